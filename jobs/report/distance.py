"""How far two distributions are apart, and whether chance alone could do it.

Population stability index over the deciles of the first: sum of (b - a) ln(b / a), counts plus one
half. Under no change PSI n m / (n + m) follows a chi-squared law with bins - 1 degrees of freedom
(Yurdakul and Naranjo 2020). Kolmogorov and Smirnov's D is the greatest distance of the two
cumulative distributions; its limit is c sqrt((n + m) / (n m)). Both limits are at one in a
thousand.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri

from jobs.report.histogram import Histogram, shared_level

Level: TypeAlias = Literal["none", "some", "large"]
MAX_PLACES: Final = 4096
BINS: Final = 10
SOME_PSI, LARGE_PSI = 0.1, 0.25  # the usual reading of the index
SOME_KS, LARGE_KS = 0.1, 0.2
CHANCE: Final = 0.001
KS_CHANCE: Final = 1.949  # c at CHANCE
Counts: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Distance:
    """PSI and KS (nan where there is no order), and what they amount to."""

    psi: float
    ks: float
    level: Level


def of_values(one: Histogram, other: Histogram) -> Distance:
    """The distance of two measures' values, from their histograms."""
    level = shared_level([one, other], MAX_PLACES)
    binned = [item.binned(level) for item in (one, other)]
    places = sorted({*binned[0], *binned[1]})
    first, second = (
        np.array([counts.get(place, 0) for place in places], np.float64) for counts in binned
    )
    below = np.cumsum(first) / first.sum() - np.cumsum(second) / second.sum()
    ks = float(np.abs(below).max())
    edges = _deciles(first) if len(places) > BINS else np.arange(len(places))
    return _judged(np.add.reduceat(first, edges), np.add.reduceat(second, edges), ks)


def of_shares(one: Mapping[str, int], other: Mapping[str, int]) -> Distance:
    """The distance of two mixtures of named things, from their counts."""
    names = sorted({*one, *other})
    first, second = (
        np.array([counts.get(name, 0) for name in names], np.float64) for counts in (one, other)
    )
    return _judged(first, second, math.nan)


def divergence(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Jensen and Shannon's divergence of two counts of words, 0 to 1 bit."""
    names = sorted({*one, *other})
    shares = [
        np.array([counts.get(name, 0) for name in names], np.float64) for counts in (one, other)
    ]
    first, second = (item / item.sum() for item in shares)
    middle = (first + second) / 2
    return float((_entropy(middle) - (_entropy(first) + _entropy(second)) / 2).clip(0, 1))


def _judged(first: Counts, second: Counts, ks: float) -> Distance:
    num, others, bins = first.sum(), second.sum(), len(first)
    if not num or not others:  # shares of nothing: that there is nothing is told elsewhere
        return Distance(math.nan, math.nan, "none")
    a = (first + 0.5) / (num + 0.5 * bins)
    b = (second + 0.5) / (others + 0.5 * bins)
    psi = float(((b - a) * np.log(b / a)).sum())
    apart = 1 / num + 1 / others
    sure_psi = bins > 1 and psi > chdtri(bins - 1, CHANCE) * apart
    sure_ks = not math.isnan(ks) and ks > KS_CHANCE * math.sqrt(apart)
    level: Level = "none"
    if (sure_psi and psi >= SOME_PSI) or (sure_ks and ks >= SOME_KS):
        level = "some"
    if (sure_psi and psi >= LARGE_PSI) or (sure_ks and ks >= LARGE_KS):
        level = "large"
    return Distance(psi, ks, level)


def _deciles(counts: Counts) -> npt.NDArray[np.int64]:
    """Where bins begin, so that each holds a tenth of the counts, as near as may be.

    A place that holds a tenth or more is a bin of its own: what leaves it must not stay within it.
    """
    below = np.cumsum(counts) / counts.sum()
    starts = np.searchsorted(below, np.arange(1, BINS) / BINS) + 1
    heavy = np.flatnonzero(counts >= counts.sum() / BINS)
    found = np.unique(np.concatenate([[0], starts, heavy, heavy + 1]))
    return found[found < len(counts)]


def _entropy(shares: Counts) -> npt.NDArray[np.float64]:
    there = shares[shares > 0]
    return np.asarray(-(there * np.log2(there)).sum())
