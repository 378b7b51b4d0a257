"""Gathers what the report and the card show, in one pass over the index: counts, not rows."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from jobs.recipe import from_manifest
from jobs.report.histogram import Histogram, Smallest
from jobs.report.reading import IndexRow, index_rows, outcome_rows
from pipelines.outcome import Outcome, main_code
from schemas.snapshot import Manifest
from schemas.store import Store
from schemas.utterance import TAKEN
from transforms.select import Gate
from transforms.voices import VoiceBank

STEPS = (
    "source dedup split rewrite respond check_speakable take_heard explode cast synthesize conform "
    "measure units gather import_units select"
).split()
SHOWN_SAMPLES = 24
SHOWN_REJECTED = 24
SHOWN_FAILED = 100
UNIT_SAMPLES = 256  # how many samples are read for the statistics of single codes
Place: TypeAlias = tuple[str, str]  # split, lang
Slot: TypeAlias = tuple[str, str]  # role, lang
Code: TypeAlias = tuple[str, str]  # step, code


@dataclass
class Amount:
    """Samples (source rows), utterances and seconds of speech."""

    samples: int = 0
    utterances: int = 0
    seconds: float = 0.0


@dataclass
class GateUse:
    """How a gate met the accepted rows. Rows are ``judged``, ``unchecked`` or ``outside``.

    A row is unchecked where an utterance in the gate's scope has no taken measure, outside where
    it has no utterance in scope. ``rejected`` counts the rejected rows that name this gate.
    """

    gate: Gate
    judged: int = 0
    unchecked: int = 0
    outside: int = 0
    rejected: int = 0

    def meets(self, row: IndexRow) -> str:
        """Count a row; what it counted as."""
        statuses = [
            next((m["status"] for m in turn["measures"] if m["name"] == self.gate.measure), None)
            for turn in row["turns"]
            if self.covers(turn["role"], row["lang"])
        ]
        kind = "outside" if not statuses else "judged"
        if any(status != TAKEN for status in statuses):
            kind = "unchecked"
        setattr(self, kind, getattr(self, kind) + 1)
        return kind

    def rejects(self, row: Outcome) -> bool:
        """Whether one of the row's reasons is this gate's."""
        return any(
            item["step"] == "select"
            and item["code"] == self.gate.measure
            and 0 <= item["turn"] < len(row["turns"])
            and self.covers(row["turns"][item["turn"]]["role"], row["lang"])
            for item in row["reasons"]
        )

    def covers(self, role: str, lang: str) -> bool:
        """Whether the gate judges such utterances."""
        gate = self.gate
        return (not gate.roles or role in gate.roles) and (not gate.langs or lang in gate.langs)


@dataclass
class UnitUse:
    """Sums over the utterances that carry units: utterances, units, frames, seconds."""

    utterances: int = 0
    units: int = 0
    frames: int = 0
    seconds: float = 0.0


@dataclass
class Chosen:
    """The rows that are shown, chosen by the sha256 of their keys and for what they stand for."""

    spread: Smallest[IndexRow] = field(default_factory=lambda: Smallest(SHOWN_SAMPLES))
    musts: dict[tuple[str, ...], Smallest[IndexRow]] = field(default_factory=dict)
    rejected: dict[Code, Smallest[Outcome]] = field(default_factory=dict)

    def see(self, row: IndexRow) -> None:
        """Offer an accepted row for each kind that it stands for."""
        kinds: list[tuple[str, ...]] = [(row["split"], row["lang"])]
        kinds += [("several turns",)] if len(row["turns"]) > 2 else []
        kinds += [("lost turns",)] if row["num_dropped"] else []
        for kind in kinds:
            self.musts.setdefault(kind, Smallest(1)).add(row["key"], row)
        self.spread.add(row["key"], row)

    def see_rejected(self, row: Outcome) -> None:
        """Offer a rejected row for its first reason."""
        kept = self.rejected.setdefault(main_reason(row), Smallest(SHOWN_REJECTED))
        kept.add(row["id"], row)

    def samples(self) -> list[IndexRow]:
        """At most SHOWN_SAMPLES accepted rows, by key: each (split, lang) first."""
        firsts = [self.musts[kind].items()[0] for kind in sorted(self.musts)]
        found = {row["key"]: row for row in [*firsts, *self.spread.items()]}
        return sorted(list(found.values())[:SHOWN_SAMPLES], key=lambda row: str(row["key"]))

    def rejections(self) -> list[Outcome]:
        """At most SHOWN_REJECTED rejected rows: one of each first reason, then a second, ..."""
        lists = [self.rejected[code].items() for code in sorted(self.rejected, key=step_order)]
        rounds = (row[n] for n in range(SHOWN_REJECTED) for row in lists if n < len(row))
        found = [row for row, _ in zip(rounds, range(SHOWN_REJECTED), strict=False)]
        return sorted(found, key=lambda row: (step_order(main_reason(row)), row["id"]))


@dataclass
class Corpus:
    """A snapshot in numbers, and the few rows that stand for it."""

    bank: VoiceBank
    gates: list[GateUse]
    places: dict[Place, Amount] = field(default_factory=dict)
    voices: dict[tuple[str, str, str, str, str], Amount] = field(default_factory=dict)
    licenses: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    statuses: dict[str, dict[Slot, Counter[str]]] = field(default_factory=dict)
    values: dict[str, dict[Slot, Histogram]] = field(default_factory=dict)
    units: UnitUse = field(default_factory=UnitUse)
    multi_turn: int = 0
    lost_turns: int = 0
    unchecked: int = 0  # accepted rows that no gate could judge
    first_reasons: Counter[Code] = field(default_factory=Counter)
    all_reasons: Counter[Code] = field(default_factory=Counter)
    failed_classes: Counter[Code] = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)  # the first SHOWN_FAILED
    chosen: Chosen = field(default_factory=Chosen)
    unit_rows: Smallest[IndexRow] = field(default_factory=lambda: Smallest(UNIT_SAMPLES))

    @property
    def langs(self) -> list[str]:
        """The languages of the accepted rows, sorted."""
        return sorted({lang for _, lang in self.places})


def gather(store: Store, manifest: Manifest) -> Corpus:
    """Read a snapshot's index and outcomes once. Raises DamageError."""
    job, bank = from_manifest(dict(manifest["settings"]))
    gates = [GateUse(Gate(**gate.model_dump())) for gate in getattr(job, "gates", ())]
    corpus = Corpus(bank, gates)
    for row in index_rows(store, manifest):
        _see(corpus, row)
    for outcome in outcome_rows(store, manifest["rejected"]):
        corpus.first_reasons[main_reason(outcome)] += 1
        corpus.all_reasons.update({(item["step"], item["code"]) for item in outcome["reasons"]})
        corpus.chosen.see_rejected(outcome)
        for use in gates:
            use.rejected += use.rejects(outcome)
    for outcome in outcome_rows(store, manifest["failed"]):
        step = outcome["error"]["step"] if outcome["error"] else "unknown"
        corpus.failed_classes[step, main_code(outcome)] += 1
        if len(corpus.failed) < SHOWN_FAILED:
            corpus.failed.append(outcome)
    return corpus


def main_reason(row: Outcome) -> Code:
    """The step and the code under which a rejected row is counted: its first reason's."""
    step = row["reasons"][0]["step"] if row["reasons"] else "unknown"
    return step, main_code(row)


def step_order(code: Code) -> tuple[int, str, str]:
    """Sorts (step, code) in the order of the pipeline."""
    return (STEPS.index(code[0]) if code[0] in STEPS else len(STEPS), *code)


def _see(corpus: Corpus, row: IndexRow) -> None:
    corpus.licenses[row["license"]] += 1
    corpus.sources[row["source"]] += 1
    corpus.multi_turn += len(row["turns"]) > 2
    corpus.lost_turns += row["num_dropped"] > 0
    place = corpus.places.setdefault((row["split"], row["lang"]), Amount())
    place.samples += 1
    place.utterances += len(row["turns"])
    place.seconds += row["duration_s"]
    for key, turns in _by_voice(row):
        amount = corpus.voices.setdefault(key, Amount())
        amount.samples += 1
        amount.utterances += len(turns)
        amount.seconds += sum(turn["duration_s"] for turn in turns)
    for turn in row["turns"]:
        _see_turn(corpus, turn, row["lang"])
    kinds = {use.meets(row) for use in corpus.gates}
    corpus.unchecked += "judged" not in kinds
    corpus.chosen.see(row)
    slim = ("key", "shard", "offset", "length", "crc32c")
    corpus.unit_rows.add(row["key"], {name: row[name] for name in slim})


def _by_voice(row: IndexRow) -> Iterator[tuple[tuple[str, str, str, str, str], list[IndexRow]]]:
    spoken: dict[tuple[str, str, str], list[IndexRow]] = {}
    for turn in row["turns"]:
        key = (turn["role"], turn["voice"], turn["speaker_id"])
        spoken.setdefault(key, []).append(turn)
    for (role, voice, speaker), turns in spoken.items():
        yield (row["split"], row["lang"], role, voice, speaker), turns


def _see_turn(corpus: Corpus, turn: IndexRow, lang: str) -> None:
    slot = (turn["role"], lang)
    for measure in turn["measures"]:
        name, value = measure["name"], measure["value"]
        corpus.statuses.setdefault(name, {}).setdefault(slot, Counter())[measure["status"]] += 1
        if value is not None and math.isfinite(value):
            corpus.values.setdefault(name, {}).setdefault(slot, Histogram()).add(value)
    if turn["num_frames"]:
        units = corpus.units
        units.utterances += 1
        units.units += turn["num_units"]
        units.frames += turn["num_frames"]
        units.seconds += turn["duration_s"]
