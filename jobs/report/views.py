"""Tables and charts of the report as plain values: shares, bars and SVG paths."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from jobs.report.corpus import Code, Corpus, Slot, step_order
from jobs.report.gate_use import GateUse
from jobs.report.histogram import Histogram, shared_level
from schemas.snapshot import Manifest
from schemas.utterance import NOT_SAMPLED, TAKEN, UNAVAILABLE
from transforms.voices import ROLES, SPLITS, Role, Split, Voice, candidates

MAX_BARS = 44
BOX = (240, 56)  # of a histogram
MAX_VOICES = 60  # rows shown per language, split and role
SURPRISE = 3.0  # standard deviations beyond which a drift is not chance


@dataclass(frozen=True)
class Stage:
    """Rows that are left after a step, and what it took."""

    name: str
    left: int
    rejected: int
    failed: int


@dataclass(frozen=True)
class ReasonBar:
    """Rows that name this reason first, and rows that name it at all."""

    step: str
    code: str
    first: int
    named: int


@dataclass(frozen=True)
class VoiceRow:
    """A voice in one place. Shares are of the place's samples; ``odd`` if not by chance."""

    voice: str
    speaker: str
    license: str
    utterances: int
    hours: float
    share: float
    asked: float | None
    num: int  # samples of the place

    @property
    def drift(self) -> float | None:
        """Share less what the weights ask for, in percentage points."""
        return None if self.asked is None else 100 * (self.share - self.asked)

    @property
    def odd(self) -> bool:
        """Whether chance alone would hardly have done it."""
        if self.asked is None:
            return True
        deviation = math.sqrt(self.asked * (1 - self.asked) / max(self.num, 1))
        return abs(self.share - self.asked) > SURPRISE * deviation + 1e-12


@dataclass(frozen=True)
class VoiceTable:
    """The voices of one language, split and role; ``hidden`` rows are not shown."""

    lang: str
    split: str
    role: str
    samples: int
    rows: Sequence[VoiceRow]
    hidden: int


@dataclass(frozen=True)
class Distribution:
    """One measure of one role and language. ``path`` is an SVG path in BOX, if it varies.

    ``bounds`` are the gates that judge it and lie within the axis: words, and x in BOX.
    """

    role: str
    lang: str
    num: int
    min: float
    median: float
    p95: float
    max: float
    path: str
    bounds: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class MeasureView:
    """A measure: how many were taken, and how they are spread, from ``low`` to ``high``."""

    name: str
    taken: int
    not_sampled: int
    unavailable: int
    low: float
    high: float
    distributions: Sequence[Distribution]


def stages(manifest: Manifest, corpus: Corpus) -> list[Stage]:
    """The funnel, from the rows that were read to those that shipped."""
    left = manifest["counts"]["rows"]
    found = [Stage("read", left, 0, 0)]
    codes = [*corpus.first_reasons, *corpus.failed_classes]
    for step in dict.fromkeys(step for step, _ in sorted(codes, key=step_order)):
        rejected = sum(n for code, n in corpus.first_reasons.items() if code[0] == step)
        failed = sum(n for code, n in corpus.failed_classes.items() if code[0] == step)
        left -= rejected + failed
        found.append(Stage(step, left, rejected, failed))
    return found


def reason_bars(corpus: Corpus) -> list[ReasonBar]:
    """The reasons, most frequent first."""
    codes: set[Code] = {*corpus.first_reasons, *corpus.all_reasons}
    bars = [
        ReasonBar(*code, corpus.first_reasons[code], corpus.all_reasons[code]) for code in codes
    ]
    return sorted(bars, key=lambda bar: (-bar.first, -bar.named, bar.step, bar.code))


def voice_tables(corpus: Corpus) -> list[VoiceTable]:
    """Every place that has samples, with the voices that spoke and those that could have."""
    found = []
    places = {(lang, split, role) for split, lang, role, *_ in corpus.voices}
    order: dict[str, int] = {name: number for number, name in enumerate([*SPLITS, *ROLES])}
    for lang, split, role in sorted(places, key=lambda p: (p[0], order[p[1]], order[p[2]])):
        rows = list(_voice_rows(corpus, lang, split, role))
        shown = sorted(rows, key=lambda row: -abs(row.drift or 0.0))[:MAX_VOICES]
        shown.sort(key=lambda row: row.voice)
        found.append(
            VoiceTable(lang, split, role, rows[0].num, shown, hidden=len(rows) - len(shown))
        )
    return found


def measure_views(corpus: Corpus) -> list[MeasureView]:
    """All measures by name, those that were taken first."""
    views = [_measure(corpus, name) for name in sorted(corpus.statuses)]
    return sorted(views, key=lambda view: view.taken == 0)


def bounds_words(use: GateUse) -> str:
    """A gate's bounds and scope, in words."""
    gate = use.gate
    low = "" if gate.min is None else f"{gate.min:g} ≤ "
    high = "" if gate.max is None else f" ≤ {gate.max:g}"
    scope = [*gate.roles, *gate.langs]
    return f"{low}{gate.measure}{high}" + (f" ({', '.join(scope)})" if scope else "")


def _voice_rows(corpus: Corpus, lang: str, split: str, role: str) -> Iterator[VoiceRow]:
    amounts = {
        (voice, speaker): amount
        for (in_split, in_lang, in_role, voice, speaker), amount in corpus.voices.items()
        if (in_split, in_lang, in_role) == (split, lang, role)
    }
    num = sum(amount.samples for amount in amounts.values())
    able = candidates(corpus.bank, cast("Role", role), lang, cast("Split", split))
    known: dict[tuple[str, str], Voice] = {(v.id, v.speaker_id): v for v in able}
    total = math.fsum(voice.weight for voice in able)
    for key in sorted({*amounts, *known}):
        amount, voice = amounts.get(key), known.get(key)
        yield VoiceRow(
            voice=key[0] or "(the source's audio)",
            speaker=key[1] or "unknown",
            license=voice.license if voice else "",
            utterances=amount.utterances if amount else 0,
            hours=amount.seconds / 3600 if amount else 0.0,
            share=amount.samples / num if amount else 0.0,
            asked=voice.weight / total if voice else None,
            num=num,
        )


def _measure(corpus: Corpus, name: str) -> MeasureView:
    counts = {
        kind: sum(counter[kind] for counter in corpus.statuses[name].values())
        for kind in (TAKEN, NOT_SAMPLED, UNAVAILABLE)
    }
    values = corpus.values.get(name, {})
    if not values:
        return MeasureView(name, 0, counts[NOT_SAMPLED], counts[UNAVAILABLE], 0, 0, ())
    level = shared_level(values.values(), MAX_BARS)
    width = 2.0**level
    low = math.floor(min(item.min for item in values.values()) / width)
    high = math.floor(max(item.max for item in values.values()) / width) + 1
    slots: list[Slot] = sorted(values, key=lambda slot: (slot[1], slot[0] != "user"))
    return MeasureView(
        name,
        counts[TAKEN],
        counts[NOT_SAMPLED],
        counts[UNAVAILABLE],
        low * width,
        high * width,
        [
            _distribution(
                slot,
                values[slot],
                (level, low, high),
                [use for use in corpus.gates if use.gate.measure == name and use.covers(*slot)],
            )
            for slot in slots
        ],
    )


def _distribution(
    slot: Slot, values: Histogram, axis: tuple[int, int, int], gates: Sequence[GateUse]
) -> Distribution:
    """``axis`` is the bins' level, and the first and one past the last bin."""
    level, low, high = axis
    width, height = BOX
    bars = values.binned(level)
    tallest, step = max(bars.values()), width / (high - low)
    pieces = []
    for place, count in sorted(bars.items()):
        tall = max(1.0, count / tallest * (height - 2))
        left = (place - low) * step
        pieces.append(f"M{left:.1f} {height}v-{tall:.1f}h{max(step - 0.8, 0.8):.1f}V{height}z")
    limits = [(sign, x) for use in gates for sign, x in (("≥", use.gate.min), ("≤", use.gate.max))]
    return Distribution(
        *slot,
        num=values.num,
        min=values.min,
        median=values.quantile(0.5),
        p95=values.quantile(0.95),
        max=values.max,
        path="" if values.min == values.max else "".join(pieces),
        bounds=[
            (f"gate {sign} {x:g}", round((x / 2.0**level - low) * step, 1))
            for sign, x in limits
            if x is not None and low <= x / 2.0**level <= high
        ],
    )
