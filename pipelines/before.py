"""The rows that a parent planned, in the memory of one bucket of them."""

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pipelines.plan import Partition, Plan
from pipelines.spool import BUCKETS, bucket_of, sorted_rows


@dataclass(frozen=True)
class Standing:
    """Where a row stands, and the hash of its content if its id does not follow from it."""

    partition: str
    content: str


class Before:
    """Finds the parent's rows by id, in the order of a spool: another bucket is another reading."""

    def __init__(self, parent: Plan | None) -> None:
        self._touching: list[list[Partition]] = [[] for _ in range(BUCKETS)]
        for partition in parent.partitions if parent else ():
            for bucket in {bucket_of(key) for key in partition.ids}:
                self._touching[bucket].append(partition)
        self._bucket, self._rows = -1, dict[str, Standing]()

    def find(self, key: str) -> Standing | None:
        """The row with this id, or None."""
        bucket = bucket_of(key)
        if bucket != self._bucket:
            self._bucket, self._rows = bucket, self.rows_of(bucket)
        return self._rows.get(key)

    def rows_of(self, bucket: int) -> dict[str, Standing]:
        """All rows of a bucket."""
        return {
            key: Standing(item.name, content)
            for item in self._touching[bucket]
            for key, content in zip(item.ids, item.contents or [""] * len(item.ids), strict=True)
            if bucket_of(key) == bucket
        }


@dataclass(frozen=True)
class Overlap:
    """What a source and a parent have in common, in rows.

    ``familiar`` have an id that the parent knew, ``present`` also say what they said. ``gone`` are
    the ids of the parent's rows that are not present.
    """

    familiar: int
    present: int
    gone: frozenset[str]


def overlap(folder: Path, before: Before) -> Overlap:
    """Compare the rows spooled in ``folder`` with the parent's. Memory: a bucket, and the gone."""
    familiar = present = 0
    gone: set[str] = set()
    empty = set(range(BUCKETS))
    for bucket, rows in groupby(sorted_rows(folder), key=lambda row: bucket_of(row.key)):
        known = before.rows_of(bucket)
        for row in rows:
            standing = known.get(row.key)
            familiar += standing is not None
            if standing is not None and standing.content == row.content:
                present += 1
                del known[row.key]
        gone.update(known)
        empty.remove(bucket)
    for bucket in empty:
        gone.update(before.rows_of(bucket))
    return Overlap(familiar, present, frozenset(gone))
