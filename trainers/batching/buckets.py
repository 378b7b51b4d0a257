"""Duration buckets: batches of samples of like length, from their durations alone.

The same contract as in ``packing``: the durations of one window in, places in that window out.
"""

import bisect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schemas.errors import SettingsError
from trainers.batching.packing import Group


@dataclass(frozen=True, kw_only=True)
class Buckets:
    """How batches are cut: bucket edges in seconds, and what a batch may hold.

    A batch holds at most ``batch_size`` samples and at most ``padded_s`` seconds after padding
    (samples times the longest of them); a longer sample stands alone. An edge belongs to the bucket
    below it: with edges (2, 4) the buckets are up to 2 s, up to 4 s, and above.
    """

    edges_s: tuple[float, ...]
    batch_size: int
    padded_s: float = math.inf

    def __post_init__(self) -> None:
        """Raise SettingsError for edges that do not rise, or a batch that cannot hold a sample."""
        rising = all(a < b for a, b in zip(self.edges_s, self.edges_s[1:], strict=False))
        if not rising or any(not edge > 0 for edge in self.edges_s):
            raise SettingsError(
                f"bucket edges {self.edges_s}: wanted rising numbers of seconds above 0"
            )
        if self.batch_size < 1 or not self.padded_s > 0:
            raise SettingsError(
                f"batches of {self.batch_size} samples and {self.padded_s} padded seconds: wanted "
                "at least 1 sample and more than 0 s"
            )

    def __call__(self, durations_s: Sequence[float]) -> list[Group]:
        """The batches of a window. Each sample is in one; a batch comes where it became full.

        What is left over at the window's end goes, shortest bucket first, into shared batches, so
        that a window leaves one batch short and not one per bucket.
        """
        full: list[tuple[int, Group]] = []  # the place that completed a batch, and the batch
        open_: list[list[int]] = [[] for _ in range(len(self.edges_s) + 1)]
        for place, duration_s in enumerate(durations_s):
            bucket = open_[bisect.bisect_left(self.edges_s, _checked(duration_s, place))]
            if bucket and not self._fits([*bucket, place], durations_s):
                full.append((place, tuple(bucket)))
                bucket.clear()
            bucket.append(place)
            if len(bucket) == self.batch_size:
                full.append((place, tuple(bucket)))
                bucket.clear()
        rest = [place for bucket in open_ for place in bucket]
        return [batch for _, batch in full] + list(self._cut(rest, durations_s))

    def _cut(self, places: Sequence[int], durations_s: Sequence[float]) -> Iterator[Group]:
        batch: list[int] = []
        for place in places:
            if batch and not self._fits([*batch, place], durations_s):
                yield tuple(sorted(batch))
                batch = []
            batch.append(place)
        if batch:
            yield tuple(sorted(batch))

    def _fits(self, places: Sequence[int], durations_s: Sequence[float]) -> bool:
        longest_s = max(durations_s[place] for place in places)
        return len(places) <= self.batch_size and len(places) * longest_s <= self.padded_s


def padded_share(batches: Sequence[Group], durations_s: Sequence[float]) -> float:
    """The share of a padded batch that is padding, over all batches: 0 is none."""
    padded_s = sum(len(batch) * max(durations_s[place] for place in batch) for batch in batches)
    return 1 - sum(durations_s) / padded_s if padded_s else 0.0


def _checked(duration_s: float, place: int) -> float:
    if not 0 <= duration_s < math.inf:
        raise SettingsError(
            f"sample {place} of the window lasts {duration_s} s; wanted a finite number from 0"
        )
    return duration_s
