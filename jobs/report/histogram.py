"""Summaries that stay small however many values come, and do not depend on their order."""

import hashlib
import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
MAX_BINS = 2048
FINEST = -30  # the narrowest bins are 2 ** -30 wide


@dataclass
class Histogram:
    """Counts in bins of width 2**level, aligned at 0; bins double when they span too far.

    A bin holds (count, least value). The final level follows from the least and the greatest value
    alone, so the order of the values changes nothing.
    """

    level: int = FINEST
    bins: dict[int, tuple[int, float]] = field(default_factory=dict)
    num: int = 0
    min: float = math.inf
    max: float = -math.inf

    def add(self, value: float) -> None:
        """Count one finite value."""
        self.num += 1
        self.min, self.max = min(self.min, value), max(self.max, value)
        while self._span(self.level) > MAX_BINS:
            self.level += 1
            self.bins = _halved(self.bins)
        place = math.floor(value / 2.0**self.level)
        count, least = self.bins.get(place, (0, value))
        self.bins[place] = (count + 1, min(least, value))

    def quantile(self, share: float) -> float:
        """The value that ``share`` of the values do not exceed; too small by at most a bin."""
        wanted, seen = share * self.num, 0
        for _, (count, least) in sorted(self.bins.items()):
            seen += count
            if seen >= wanted:
                return least
        return self.max

    def binned(self, level: int) -> dict[int, int]:
        """The counts in bins of width 2**level; ``level`` is at least this histogram's."""
        assert level >= self.level, (level, self.level)
        bins = self.bins
        for _ in range(level - self.level):
            bins = _halved(bins)
        return {place: count for place, (count, _) in bins.items()}

    def _span(self, level: int) -> int:
        width = 2.0**level
        return math.floor(self.max / width) - math.floor(self.min / width) + 1


def shared_level(histograms: Iterable[Histogram], most: int) -> int:
    """The finest level at which all of them together span at most ``most`` bins."""
    filled = [item for item in histograms if item.num]
    low = min(item.min for item in filled)
    high = max(item.max for item in filled)
    level = max(item.level for item in filled)
    while math.floor(high / 2.0**level) - math.floor(low / 2.0**level) + 1 > most:
        level += 1
    return level


def _halved(bins: dict[int, tuple[int, float]]) -> dict[int, tuple[int, float]]:
    halved: dict[int, tuple[int, float]] = {}
    for place, (count, least) in bins.items():
        before, other = halved.get(place // 2, (0, least))
        halved[place // 2] = (before + count, min(other, least))
    return halved


def rank(key: str) -> int:
    """A number for a key that has nothing to do with its meaning or its place: its sha256."""
    return int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest(), "big")


class Smallest(Generic[T]):
    """The ``size`` items whose keys have the least rank: a sample that every order agrees on."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._heap: list[tuple[int, str]] = []
        self._items: dict[str, T] = {}

    def add(self, key: str, item: T) -> None:
        """Offer an item; of one key the first counts."""
        if self.size < 1 or key in self._items:
            return
        heapq.heappush(self._heap, (-rank(key), key))
        self._items[key] = item
        if len(self._heap) > self.size:
            self._items.pop(heapq.heappop(self._heap)[1])

    def items(self) -> list[T]:
        """The kept items, least rank first."""
        return [self._items[key] for _, key in sorted(self._heap, reverse=True)]
