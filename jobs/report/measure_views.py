"""How each measure is spread, as SVG paths, with the gates that judge it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jobs.report.corpus import Corpus, Slot
from jobs.report.gate_use import GateUse
from jobs.report.histogram import Histogram, shared_level
from jobs.report.judged import bounds
from schemas.measures import BY_NAME
from schemas.utterance import NOT_SAMPLED, UNAVAILABLE

MAX_BARS: Final = 44
MAX_CHARTS: Final = 12  # of a measure: those with the most values
TEXT_UNITS: Final = {"source_text_chars": "characters", "spoken_text_chars": "characters"}
BOX: Final = (240, 56)  # of a histogram


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
    outside: Sequence[tuple[float, float]]  # left and width in BOX of what the gates reject


@dataclass(frozen=True)
class MeasureView:
    """A measure: how many were taken, and how they are spread, from ``low`` to ``high``.

    ``gates`` are the bounds of those that judge it; ``hidden`` charts have the fewest values.
    """

    name: str
    taken: int
    not_sampled: int
    unavailable: int
    low: float
    high: float
    distributions: Sequence[Distribution]
    gates: Sequence[str] = ()
    hidden: int = 0

    @property
    def unit(self) -> str:
        """Of its values; empty if the catalogue does not know it."""
        known = BY_NAME.get(self.name)
        return known.unit if known else TEXT_UNITS.get(self.name, "")

    @property
    def method(self) -> str:
        """What it is, and how it was taken."""
        known = BY_NAME.get(self.name)
        return f"{known.what}; {known.method}" if known else ""


def measure_views(corpus: Corpus) -> list[MeasureView]:
    """All measures by name, those that were taken first."""
    views = [_measure(corpus, name) for name in sorted(corpus.statuses)]
    return sorted(views, key=lambda view: view.taken == 0)


def text_views(corpus: Corpus) -> list[MeasureView]:
    """How long the texts are, as the source has them and as they are spoken."""
    return [_view(name, values, (0, 0), []) for name, values in sorted(corpus.texts.items())]


def _measure(corpus: Corpus, name: str) -> MeasureView:
    kinds = [
        sum(counter[kind] for counter in corpus.statuses[name].values())
        for kind in (NOT_SAMPLED, UNAVAILABLE)
    ]
    gates = [use for use in corpus.gates if use.gate.measure == name]
    return _view(name, corpus.values.get(name, {}), (kinds[0], kinds[1]), gates)


def _view(
    name: str, values: Mapping[Slot, Histogram], lacking: tuple[int, int], gates: Sequence[GateUse]
) -> MeasureView:
    words = [_scope(use) for use in gates]
    if not values:
        return MeasureView(name, 0, *lacking, 0, 0, (), words)
    level = shared_level(values.values(), MAX_BARS)
    width = 2.0**level
    low = math.floor(min(item.min for item in values.values()) / width)
    high = math.floor(max(item.max for item in values.values()) / width) + 1
    largest = sorted(values, key=lambda slot: (-values[slot].num, slot))[:MAX_CHARTS]
    slots = sorted(largest, key=lambda slot: (slot[1], slot[0] != "user"))
    return MeasureView(
        name,
        sum(item.num for item in values.values()),
        *lacking,
        low * width,
        high * width,
        [
            _distribution(
                slot, values[slot], (level, low, high), [u for u in gates if u.covers(*slot)]
            )
            for slot in slots
        ],
        words,
        hidden=len(values) - len(slots),
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

    def x_of(value: float) -> float:
        return round((value / 2.0**level - low) * step, 1)

    def x_most(most: float) -> float:  # right of the bar of whole numbers that are just accepted
        return x_of(math.floor(most) + min(2.0**level, 1.0) if values.whole else most)

    def x_least(least: float) -> float:
        return x_of(math.ceil(least) if values.whole else least)

    least = [(use.gate.min, x_least(use.gate.min)) for use in gates if use.gate.min is not None]
    most = [(use.gate.max, x_most(use.gate.max)) for use in gates if use.gate.max is not None]
    told = [(f"≥ {bound:g}", x) for bound, x in least] + [(f"≤ {bound:g}", x) for bound, x in most]
    outside = [(0.0, min(x, width)) for _, x in least if x > 0]
    outside += [(max(x, 0.0), round(width - max(x, 0.0), 1)) for _, x in most if x < width]
    return Distribution(
        *slot,
        num=values.num,
        min=values.min,
        median=values.quantile(0.5),
        p95=values.quantile(0.95),
        max=values.max,
        path="" if values.min == values.max else "".join(pieces),
        bounds=[(words, x) for words, x in told if 0 <= x <= width],
        outside=outside,
    )


def _scope(use: GateUse) -> str:
    scope = [*use.gate.roles, *use.gate.langs, *use.gate.voices]
    return bounds(use.gate) + (f" ({', '.join(scope)})" if scope else "")
