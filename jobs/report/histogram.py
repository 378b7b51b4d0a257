"""Summaries that stay small however many values come, and do not depend on their order."""

import hashlib
import heapq
import math
from collections.abc import Iterable
from typing import Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
Floats = npt.NDArray[np.float64]
MAX_BINS: Final = 2048
FINEST: Final = -30  # the narrowest bins are 2 ** -30 wide
PRECISION: Final = 53  # bins are no finer than a float of the values' size can tell apart
PENDING: Final = 4096  # values that wait before they are binned together


class Histogram:
    """Counts in bins of width 2**level, aligned at 0; bins double when they span too far.

    A bin holds (count, least value). The final level follows from the least and the greatest value
    alone, so the order of the values changes nothing. ``most`` bounds the number of bins.
    """

    def __init__(self, most: int = MAX_BINS) -> None:
        self.num = 0
        self.min = math.inf
        self.max = -math.inf
        self.whole = True  # whether all values are whole numbers
        self._most = most
        self._level = FINEST
        self._places = np.zeros(0, np.int64)  # sorted
        self._counts = np.zeros(0, np.int64)
        self._least = np.zeros(0, np.float64)
        self._pending: list[Floats] = []
        self._num_pending = 0

    def add(self, value: float) -> None:
        """Count one finite value."""
        self.add_all(np.array([value], np.float64))

    def add_all(self, values: Floats) -> None:
        """Count finite values."""
        if not len(values):
            return
        self.num += len(values)
        self.min = min(self.min, float(values.min()))
        self.max = max(self.max, float(values.max()))
        self.whole = self.whole and bool((values == np.floor(values)).all())
        self._pending.append(values.copy())
        self._num_pending += len(values)
        if self._num_pending >= PENDING:
            self._settle()

    @property
    def level(self) -> int:
        """The width of a bin is 2 to this power."""
        self._settle()
        return self._level

    @property
    def num_bins(self) -> int:
        """Bins that hold a value."""
        self._settle()
        return len(self._places)

    def quantile(self, share: float) -> float:
        """The value that ``share`` of the values do not exceed; too small by at most a bin."""
        self._settle()
        seen = np.cumsum(self._counts)
        place = int(np.searchsorted(seen, share * self.num - 1e-9))
        return float(self._least[place]) if place < len(seen) else self.max

    def binned(self, level: int) -> dict[int, int]:
        """The counts in bins of width 2**level; ``level`` is at least this histogram's."""
        self._settle()
        assert level >= self._level, (level, self._level)
        places, inverse = np.unique(self._places >> (level - self._level), return_inverse=True)
        counts = np.bincount(inverse, self._counts, len(places)).astype(np.int64)
        return dict(zip(places.tolist(), counts.tolist(), strict=True))

    def __eq__(self, other: object) -> bool:
        """Whether the same values were counted, in any order."""
        if not isinstance(other, Histogram):
            return NotImplemented
        mine, theirs = self.level, other.level
        return (mine, self.num, self.min, self.max) == (
            theirs,
            other.num,
            other.min,
            other.max,
        ) and all(
            np.array_equal(one, two)
            for one, two in (
                (self._places, other._places),
                (self._counts, other._counts),
                (self._least, other._least),
            )
        )

    __hash__ = None  # type: ignore[assignment]  # it changes

    def _settle(self) -> None:
        """Bin what is pending."""
        if not self._pending:
            return
        values = np.concatenate(self._pending)
        self._pending, self._num_pending = [], 0
        largest = max(abs(self.min), abs(self.max))
        level = max(self._level, math.frexp(largest)[1] - PRECISION)
        while span(self.min, self.max, level) > self._most:
            level += 1
        old = self._places >> min(level - self._level, 63)
        new = np.floor(values / 2.0**level).astype(np.int64)
        places, inverse = np.unique(np.concatenate([old, new]), return_inverse=True)
        weights = np.concatenate([self._counts, np.ones(len(new), np.int64)])
        least = np.full(len(places), np.inf)
        np.minimum.at(least, inverse, np.concatenate([self._least, values]))
        self._counts = np.bincount(inverse, weights, len(places)).astype(np.int64)
        self._places, self._least, self._level = places, least, level


def span(low: float, high: float, level: int) -> int:
    """How many bins of width 2**level there are from one value to another."""
    return math.floor(math.ldexp(high, -level)) - math.floor(math.ldexp(low, -level)) + 1


def shared_level(histograms: Iterable[Histogram], most: int) -> int:
    """The finest level at which all of them together span at most ``most`` bins."""
    filled = [item for item in histograms if item.num]
    low = min(item.min for item in filled)
    high = max(item.max for item in filled)
    level = max(item.level for item in filled)
    while span(low, high, level) > most:
        level += 1
    return level


def rank(key: str) -> int:
    """A number for a key that has nothing to do with its meaning or its place: its sha256."""
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest(), "big")


class Smallest(Generic[T]):
    """The ``size`` items whose keys have the least rank: a sample that every order agrees on."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._heap: list[tuple[int, str]] = []
        self._items: dict[str, T] = {}

    def wants(self, key: str) -> bool:
        """Whether an item of this key would be kept."""
        if self.size < 1 or key in self._items:
            return False
        return len(self._heap) < self.size or (-rank(key), key) > self._heap[0]

    def add(self, key: str, item: T) -> None:
        """Offer an item; of one key the first counts."""
        if not self.wants(key):
            return
        heapq.heappush(self._heap, (-rank(key), key))
        self._items[key] = item
        if len(self._heap) > self.size:
            self._items.pop(heapq.heappop(self._heap)[1])

    def items(self) -> list[T]:
        """The kept items, least rank first."""
        return [self._items[key] for _, key in sorted(self._heap, reverse=True)]
