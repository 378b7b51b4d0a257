"""A snapshot in numbers, and the few rows that stand for it: what the report and the card show."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from jobs.report.chosen import Chosen
from jobs.report.gate_use import GateUse
from jobs.report.histogram import Histogram, Smallest
from jobs.report.judged import Rules
from jobs.report.reading import IndexRow
from pipelines.outcome import Outcome, main_code
from transforms.voices import VoiceBank

STEPS: Final = (
    "source pick dedup split rewrite respond check_speakable take_heard explode cast synthesize "
    "conform ship listen transcribe rate compare augment measure units measure_units gather "
    "import_units measure_pairs select"
).split()
SHOWN_FAILED: Final = 100
UNIT_SAMPLES: Final = 256  # how many samples are read for the statistics of single codes
Place: TypeAlias = tuple[str, str]  # split, lang
Slot: TypeAlias = tuple[str, str]  # role, lang
Code: TypeAlias = tuple[str, str]  # step, code
VoiceKey: TypeAlias = tuple[str, str, str, str, str]  # split, lang, role, voice, speaker
Values: TypeAlias = dict[str, dict[Slot, Histogram]]  # by measure


@dataclass
class Amount:
    """Samples (source rows), utterances and seconds of speech."""

    samples: int = 0
    utterances: int = 0
    seconds: float = 0.0


@dataclass
class UnitUse:
    """Sums over the utterances that carry units: utterances, units, frames, seconds."""

    utterances: int = 0
    units: int = 0
    frames: int = 0
    seconds: float = 0.0


@dataclass
class Corpus:
    """A snapshot in numbers, and the few rows that stand for it."""

    bank: VoiceBank
    gates: list[GateUse]
    places: dict[Place, Amount] = field(default_factory=dict)
    voices: dict[VoiceKey, Amount] = field(default_factory=dict)
    licenses: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    origins: dict[tuple[str, str], Amount] = field(default_factory=dict)  # by source and license
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)  # by language and state
    statuses: dict[str, dict[Slot, Counter[str]]] = field(default_factory=dict)
    values: Values = field(default_factory=dict)
    texts: Values = field(default_factory=dict)  # lengths in characters
    by_voice: dict[str, dict[str, Histogram]] = field(default_factory=dict)  # measure, voice
    words: dict[str, Counter[str]] = field(default_factory=dict)  # by language, where asked for
    units: UnitUse = field(default_factory=UnitUse)
    multi_turn: int = 0
    lost_turns: int = 0
    unchecked: int = 0  # accepted rows that no gate could judge
    first_reasons: Counter[Code] = field(default_factory=Counter)
    all_reasons: Counter[Code] = field(default_factory=Counter)
    failed_classes: Counter[Code] = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)  # the first SHOWN_FAILED
    rejected: list[Outcome] = field(default_factory=list)  # those that are shown
    chosen: Chosen = field(default_factory=Chosen)
    unit_rows: Smallest[IndexRow] = field(default_factory=lambda: Smallest(UNIT_SAMPLES))

    @property
    def rules(self) -> Rules:
        """Its gates, and what was usual."""
        return Rules(
            [use.gate for use in self.gates],
            next((use.norms for use in self.gates if use.norms is not None), None),
        )

    @property
    def langs(self) -> list[str]:
        """The languages of the accepted rows, sorted."""
        return sorted({lang for _, lang in self.places})

    @property
    def seconds(self) -> float:
        """Of speech."""
        return sum(amount.seconds for amount in self.places.values())


def main_reason(row: Outcome) -> Code:
    """The step and the code under which a rejected row is counted: its first reason's."""
    step = row["reasons"][0]["step"] if row["reasons"] else "unknown"
    return step, main_code(row)


def step_order(code: Code) -> tuple[int, str, str]:
    """Sorts (step, code) in the order of the pipeline."""
    return (STEPS.index(code[0]) if code[0] in STEPS else len(STEPS), *code)
