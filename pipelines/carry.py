"""What an increment takes from its parent as it stands: verdicts of rows, samples, whole shards.

Where nothing was asked anew (same request, same pinned artifacts), a row that the parent knew ends
as it ended there, unless a fit step that is not pinned (duplicates) now says otherwise of it.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from pipelines.graph import Pipeline
from pipelines.plan import Partition, PlannedShard
from schemas.conformance import conform
from schemas.errors import DamageError, StoreError
from schemas.index import INDEX
from schemas.parquet import iterate
from schemas.shard import Member, Placed, crc32c, split_sample
from schemas.snapshot import FileEntry, ShardEntry, read_verified
from schemas.store import Store
from transforms.step import BatchFn, Step

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Carry:
    """What the parent offers. ``partitions`` are those it knew, ``whole`` those that lost no row.

    ``shards`` has the parent's shard for each planned one; ``artifacts`` the parent's artifacts of
    the fit steps that are fitted anew.
    """

    partitions: frozenset[str]
    whole: frozenset[str]
    shards: Mapping[str, ShardEntry]
    artifacts: Mapping[str, FileEntry]
    planned: frozenset[str]  # the names of the parent's planned shards

    def untouched(self, shard: PlannedShard, again: Mapping[str, list[str]]) -> bool:
        """Whether a shard is the parent's, row by row. ``again``: rows judged anew."""
        return shard.name in self.planned and all(
            name in self.whole and not again.get(name) for name in shard.partitions
        )


def rejudging(pipeline: Pipeline) -> list[Step]:
    """The steps whose verdict on an old row may change: they use a fit that is not pinned."""
    loose = {fit.name for fit in pipeline.fits() if not fit.pinned}
    return [step for step in pipeline.steps() if loose & set(step.uses)]


@dataclass
class Standing:
    """Finds the rows of a partition that end as they ended in the parent; opened once a worker."""

    carry: Carry | None
    pipeline: Pipeline
    output: Store
    artifacts: Mapping[str, bytes]  # of this build
    _pairs: list[tuple[Step, BatchFn, BatchFn]] | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def rows(self, partition: Partition, load: Callable[[], pa.Table]) -> frozenset[str]:
        """The ids. ``load`` gives the partition's source rows, where a step must see them."""
        if self.carry is None or partition.name not in self.carry.partitions:
            return frozenset()
        moved: set[str] = set()
        for step, before, after in self._open(self.carry):
            names = step.reads.names
            ids = pa.array(partition.ids, pa.string())
            batch = conform(step.name, pa.table({"id": ids}) if names == ["id"] else load(),
                            step.reads)  # fmt: skip
            verdicts = zip(
                partition.ids, before(batch).to_pylist(), after(batch).to_pylist(), strict=True
            )
            moved |= {key for key, was, now in verdicts if was != now}
        return frozenset(partition.ids) - moved

    def close(self) -> None:
        """Close the steps."""
        self._stack.close()

    def _open(self, carry: Carry) -> list[tuple[Step, BatchFn, BatchFn]]:
        if self._pairs is None:
            old = dict(self.artifacts)
            old |= {name: read_verified(self.output, e) for name, e in carry.artifacts.items()}
            self._pairs = [
                (
                    step,
                    self._stack.enter_context(step.open({name: old[name] for name in step.uses})),
                    self._stack.enter_context(
                        step.open({name: self.artifacts[name] for name in step.uses})
                    ),
                )
                for step in rejudging(self.pipeline)
                if any(old[name] != self.artifacts[name] for name in step.uses)
            ]
        return self._pairs


@dataclass(frozen=True)
class CopiedSample:
    """A sample of the parent's shard, member by member as it stands there."""

    key: str
    files: tuple[Member, ...]
    row: Mapping[str, Any]

    def members(self) -> list[Member]:
        """The files in the order in which they stand in the tar."""
        return list(self.files)

    def index_row(self, placed: Placed, shard: str) -> dict[str, Any]:
        """The parent's index row, at its new place."""
        return {
            **self.row,
            "shard": shard,
            "offset": placed.offset,
            "length": placed.length,
            "crc32c": placed.crc32c,
            "members": [
                {"suffix": suffix, "offset": offset, "size": size}
                for suffix, offset, size in placed.members
            ],
        }


@dataclass
class ParentShard:
    """The samples of one shard of the parent, by key."""

    output: Store
    entry: ShardEntry
    rows: dict[str, dict[str, Any]] | None = field(init=False)  # None: the index is damaged

    def __post_init__(self) -> None:
        path = f"index/{self.entry['index']}"
        try:
            data = read_verified(self.output, {"name": path, "sha256": self.entry["index_sha256"]})
            self.rows = {row["key"]: row for row in iterate(data, INDEX, path, 256)}
        except (DamageError, StoreError) as error:
            logger.warning("%s; its rows are computed again", error)
            self.rows = None

    def copies(self, keys: list[str]) -> tuple[list[CopiedSample], list[str]]:
        """The samples among ``keys``, checked, and the keys whose samples are damaged.

        A key that the index does not name was not accepted, or is in the other split. All keys
        are damaged where the index is.
        """
        if self.rows is None:
            return [], keys
        found, damaged = [], []
        for key in keys:
            if key in self.rows:
                try:
                    found.append(self._copy(key, self.rows[key]))
                except (DamageError, StoreError) as error:
                    logger.warning("%s; the row is computed again", error)
                    damaged.append(key)
        return found, damaged

    def _copy(self, key: str, row: dict[str, Any]) -> CopiedSample:
        path = f"shards/{self.entry['name']}"
        data = self.output.get_range(path, row["offset"], row["length"])
        if crc32c(data) != row["crc32c"]:
            raise DamageError(f"{self.output.uri}/{path}, sample {key}: its crc32c is wrong")
        members = split_sample(data, key)
        return CopiedSample(key, tuple(Member(name, file) for name, file in members.items()), row)
