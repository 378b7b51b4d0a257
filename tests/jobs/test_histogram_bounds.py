"""What a chart of a measure shades as rejected is what its gates reject, bar by bar."""

import re

import numpy as np
import pytest

from jobs.report.corpus import Corpus
from jobs.report.gate_use import GateUse
from jobs.report.histogram import Histogram
from jobs.report.measure_views import BOX, Distribution, measure_views
from transforms.gate import Gate
from transforms.voices import VoiceBank


def chart(values: list[float], gate: Gate) -> Distribution:
    corpus = Corpus(VoiceBank(()), [GateUse(gate)])
    histogram = Histogram()
    histogram.add_all(np.array(values, np.float64))
    corpus.values["repeated_words"] = {("user", "en"): histogram}
    corpus.statuses["repeated_words"] = {}
    (view,) = measure_views(corpus)
    return view.distributions[0]


def bars(shown: Distribution) -> list[tuple[float, float]]:
    """Left and right of each bar."""
    found = re.findall(r"M([\d.]+) \d+v-[\d.]+h([\d.]+)V", shown.path)
    return [(float(left), float(left) + float(width)) for left, width in found]


def shaded(shown: Distribution, left: float, right: float) -> bool:
    middle = (left + right) / 2
    return any(start <= middle <= start + width for start, width in shown.outside)


@pytest.mark.parametrize("num", [6, 60])  # bars narrower than 1, and bars of two numbers
@pytest.mark.parametrize("bounds", [{"max": 2.0}, {"max": 2.5}, {"min": 3.0}, {"min": 2.5}])
def test_a_bar_of_whole_numbers_is_shaded_only_where_they_are_rejected(
    num: int, bounds: dict[str, float]
) -> None:
    gate = Gate(measure="repeated_words", **bounds)  # type: ignore[arg-type]
    shown = chart([float(value) for value in range(num)], gate)
    drawn = bars(shown)
    each = num // len(drawn)
    assert each == {6: 1, 60: 2}[num]
    for value in range(num):
        left, right = drawn[value // each]
        width = (right - left) / each
        left += value % each * width
        rejected = value < bounds.get("min", -1) or value > bounds.get("max", num)
        assert shaded(shown, left, left + width) == rejected, value


def test_a_bound_between_fractions_stays_where_it_is() -> None:
    shown = chart([0.5, 1.0, 1.5, 2.0, 2.5], Gate(measure="repeated_words", max=2.0))
    ((left, width),) = shown.outside
    assert [words for words, _ in shown.bounds] == ["≤ 2"]
    assert left == shown.bounds[0][1]
    assert left + width == BOX[0]
    assert shaded(shown, *bars(shown)[-1])
