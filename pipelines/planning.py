"""Planning: which rows stand in which partition, and which partitions make which shard.

A partition's membership is kept for ever: rows that the parent snapshot knew stay where they were,
rows that are gone leave their partition, new rows form new ones. Shards are planned likewise.
"""

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.before import Before, Overlap, overlap
from pipelines.graph import PLANNED
from pipelines.packed import Packed
from pipelines.plan import (
    FLAC_BYTES_PER_S,
    Partition,
    Plan,
    PlannedShard,
    load_partition,
)
from pipelines.spool import SourceRow, Spooled, sorted_rows, spool
from pipelines.together import Sink, together, writing_behind
from schemas.canonical import sha256_hex
from schemas.conformance import plain
from schemas.errors import ConflictError, DamageError, SchemaError, StoreError
from schemas.snapshot import read_verified
from schemas.store import Store
from transforms.split import EVAL, TRAIN

logger = logging.getLogger(__name__)
PARTITION_ROWS = 16  # see docs/adr/0007
MIN_PARTITION_ROWS = 8
MIN_PARTITIONS = 64  # wanted, as long as partitions do not get smaller than that
CHARS_PER_S = {"zh": 4.5}
OTHER_CHARS_PER_S = 15.0
MAX_TURN_S = 17.0  # what a spoken answer is shortened to, about
MIN_OVERLAP = 0.1


def make_plan(
    rows: Iterable[SourceRow],
    store: Store,
    parent: Plan | None,
    version: int,
    *,
    target_bytes: int,
    eval_fraction: float,
    same_lineage: bool = False,
    rows_per_partition: int | None = None,
    writing: Callable[[], None] = lambda: None,
) -> Plan:
    """Plan snapshot ``version``: read the source once, write what is new to ``inputs/``.

    ``rows_per_partition`` is of new partitions; None: as their number asks for.
    ``writing`` is called before the first write of a new plan. Memory: one bucket of rows and of
    the parent's ids, and an id per row that is gone. Raises ConflictError if the parent's rows and
    these have almost nothing in common, unless ``same_lineage``.
    """
    planned = parent or Plan((), ())
    known = planned.rows
    vouching = bool(planned.partitions) and _is_vouched(store, planned.partitions[0])
    whole = together(store, partial(_is_whole, store, vouching), planned.partitions)
    states = zip(planned.partitions, whole, strict=True)
    lost = {item.name: item for item, good in states if not good}
    before = Before(parent)
    with tempfile.TemporaryDirectory(prefix="voxmill-plan-") as folder:
        count = spool(rows, Path(folder))
        common = overlap(Path(folder), before) if parent else Overlap(0, 0, frozenset())
        if known and not same_lineage and common.familiar < MIN_OVERLAP * min(known, count):
            raise ConflictError(
                f"{store.uri} holds a corpus of another source: of its {known} rows only "
                f"{common.familiar} are among the {count} that were read; choose another --output, "
                "or, if this is the same source after a large edit, --set output.same_lineage=true"
            )
        changed = bool(lost) or not count == common.present == known
        if changed:
            writing()
        found: dict[str, list[dict[str, object]]] = {name: [] for name in lost}

        def unknown() -> Iterator[dict[str, object]]:
            for row in sorted_rows(Path(folder)):
                standing = before.find(row.key)
                if standing is None or row.key in common.gone:
                    yield _planned(row, Path(folder), version)
                elif standing.partition in lost:
                    born = lost[standing.partition].born
                    found[standing.partition].append(_planned(row, Path(folder), born))

        size = rows_per_partition or partition_rows(count - common.present)
        with writing_behind(store) as sink:
            added = list(_write_partitions(sink, unknown(), size, _next_number(planned), version))
    kept = []
    for partition in planned.partitions:
        if partition.name in lost:
            logger.warning("%s is damaged or gone; it is written again", partition.file)
            kept.append(
                _write_partition(store, found[partition.name], partition.name, partition.born)
            )
        elif common.gone.isdisjoint(partition.ids):
            kept.append(partition)
        else:
            kept.append(_without_the_gone(store, partition, common.gone))
    partitions = (*kept, *added)
    plan = Plan(partitions, _shards(partitions, planned.shards, target_bytes, eval_fraction))
    if not changed and parent and plan.digest != parent.digest:
        writing()
    return plan


def _planned(row: Spooled, folder: Path, born: int) -> dict[str, object]:
    """A row of the PLANNED table, and its content's hash, which the table does not hold."""
    return {**row.columns(folder), "born": born, "content": row.content}


def _is_vouched(store: Store, partition: Partition) -> bool:
    """Whether the store itself proves a partition's bytes, without sending them."""
    try:
        return store.vouched_sha256(partition.file) == partition.sha256
    except StoreError:
        return False


def _is_whole(store: Store, vouching: bool, partition: Partition) -> bool:
    """``vouching``: the store vouches for the first, so the others are worth the question."""
    if vouching and _is_vouched(store, partition):
        return True
    try:
        read_verified(store, partition.entry)
    except (DamageError, StoreError):
        return False
    return True


def _next_number(parent: Plan) -> int:
    return 1 + max((int(item.name[1:]) for item in parent.partitions), default=-1)


def _without_the_gone(store: Store, partition: Partition, gone: frozenset[str]) -> Partition:
    table = load_partition(store, partition)
    mask = pa.array([key not in gone for key in table.column("id").to_pylist()], pa.bool_())
    rows: list[dict[str, object]] = table.filter(mask).to_pylist()
    contents = dict(zip(partition.ids, partition.contents, strict=False))
    for row in rows:
        row["content"] = contents.get(str(row["id"]), "")
    return _write_partition(store, rows, partition.name, partition.born)


def partition_rows(count: int) -> int:
    """Rows per partition for ``count`` new rows: 16, and fewer where that gives under 64 of them.

    A small source then keeps many workers busy to the end.
    """
    return max(MIN_PARTITION_ROWS, min(PARTITION_ROWS, count // MIN_PARTITIONS))


def _write_partitions(
    store: Sink, rows: Iterator[dict[str, object]], size: int, first: int, born: int
) -> Iterator[Partition]:
    batch: list[dict[str, object]] = []
    number = first
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield _write_partition(store, batch, f"p{number:06d}", born)
            number += 1
            batch = []
    if batch:
        yield _write_partition(store, batch, f"p{number:06d}", born)


def _table(rows: list[dict[str, object]]) -> pa.Table:
    try:
        return pa.Table.from_pylist(rows, schema=plain(PLANNED))
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError) as error:
        raise SchemaError(
            f"source: rows that do not fit the conversation table: {error}"
        ) from error


def _write_partition(store: Sink, rows: list[dict[str, object]], name: str, born: int) -> Partition:
    table = _table(rows)
    contents = [str(row.get("content") or "") for row in rows]
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    data = sink.getvalue().to_pybytes()
    sha256 = sha256_hex(data)
    file = f"inputs/{name}-{sha256[:12]}.parquet"
    store.put(file, data, sha256=sha256)
    return Partition(
        name=name,
        file=file,
        sha256=sha256,
        ids=Packed(table.column("id").to_pylist()),
        born=born,
        seconds=round(sum(map(_seconds, rows)), 1),
        contents=Packed(contents if any(contents) else ()),
    )


def _seconds(row: dict[str, object]) -> float:
    """A guess of the row's speech."""
    turns = row["turns"]
    assert isinstance(turns, list)
    return sum(turn_seconds(t, str(row["lang"])) for t in turns if t["role"] != "system")


def turn_seconds(turn: Mapping[str, Any], lang: str) -> float:
    """A guess of a turn's speech, from its letters or its audio's bytes."""
    if turn["audio"]:
        return len(turn["audio"]) / FLAC_BYTES_PER_S
    rate = CHARS_PER_S.get(lang, OTHER_CHARS_PER_S)
    return min(MAX_TURN_S, (len(turn["text"]) + len(turn["input"])) / rate)


def _shards(
    partitions: tuple[Partition, ...],
    planned: tuple[PlannedShard, ...],
    target_bytes: int,
    eval_fraction: float,
) -> tuple[PlannedShard, ...]:
    """The planned shards, and new ones for the partitions that no shard of a split covers."""
    shards = list(planned)
    for split, share in ((TRAIN, 1.0 - eval_fraction), (EVAL, eval_fraction)):
        number = 1 + max((item.number for item in planned if item.split == split), default=-1)
        covered = {name for item in planned if item.split == split for name in item.partitions}
        run: list[str] = []
        size = 0.0
        for partition in partitions if share > 0 else ():
            if partition.name in covered:
                continue
            expected = partition.seconds * FLAC_BYTES_PER_S * share
            if run and size + expected > target_bytes:
                shards.append(PlannedShard(split=split, number=number, partitions=tuple(run)))
                number, run, size = number + 1, [], 0.0
            run.append(partition.name)
            size += expected
        if run:
            shards.append(PlannedShard(split=split, number=number, partitions=tuple(run)))
    return tuple(shards)
