"""Planning: which rows stand in which partition, and which partitions make which shard.

A partition's membership is kept for ever: rows that the parent snapshot knew stay where they were,
rows that are gone leave their partition, new rows form new ones. Shards are planned likewise.
"""

import json
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.graph import PLANNED
from pipelines.spool import SourceRow, Spooled, sorted_rows, spool
from pipelines.together import Sink, together, writing_behind
from schemas.canonical import digest, pretty_json, sha256_hex
from schemas.conformance import plain
from schemas.errors import ConflictError, DamageError, SchemaError, StoreError
from schemas.parquet import read_table
from schemas.snapshot import FileEntry, Manifest, read_verified
from schemas.store import Store
from transforms.split import EVAL, TRAIN

logger = logging.getLogger(__name__)
PARTITION_ROWS = 16  # see docs/adr/0007
MIN_PARTITION_ROWS = 8
MIN_PARTITIONS = 64  # wanted, as long as partitions do not get smaller than that
CHARS_PER_S = {"zh": 4.5}
OTHER_CHARS_PER_S = 15.0
MAX_TURN_S = 17.0  # what a spoken answer is shortened to, about
FLAC_BYTES_PER_S = 17_600  # at 16 kHz, mono, 16 bit: a guess, which only sizes shards
MIN_OVERLAP = 0.1


@dataclass(frozen=True, kw_only=True)
class Partition:
    """Up to 16 source rows, by id and as a file; ``seconds`` is a guess of their speech."""

    name: str
    file: str
    sha256: str
    ids: tuple[str, ...]
    born: int
    seconds: float
    contents: tuple[str, ...] = ()  # hashes, for rows whose ids do not follow from what they say

    @property
    def entry(self) -> FileEntry:
        """Its file and checksum."""
        return {"name": self.file, "sha256": self.sha256}


@dataclass(frozen=True, kw_only=True)
class PlannedShard:
    """A run of consecutive partitions of which one split's accepted rows make a shard."""

    split: str
    number: int
    partitions: tuple[str, ...]

    @property
    def name(self) -> str:
        """The shard's name before its content is known."""
        return f"{self.split}-{self.number:06d}"


@dataclass(frozen=True)
class Plan:
    """All partitions and shards of one snapshot."""

    partitions: tuple[Partition, ...]
    shards: tuple[PlannedShard, ...]

    @property
    def rows(self) -> int:
        """How many source rows are planned."""
        return sum(len(partition.ids) for partition in self.partitions)

    @property
    def digest(self) -> str:
        """What the plan adds to a build id: ids and shards, not files and origins."""
        return digest(
            {
                "partitions": [
                    [
                        item.name,
                        list(item.ids),
                        item.born,
                        *([item.contents] if item.contents else []),
                    ]
                    for item in self.partitions
                ],
                "shards": [[item.name, list(item.partitions)] for item in self.shards],
            }
        )

    def to_bytes(self) -> bytes:
        """The plan as a file."""
        return pretty_json(asdict(self))


def read_plan(store: Store, manifest: Manifest) -> Plan:
    """The plan of a snapshot. Raises DamageError if its file is not what was written."""
    value = json.loads(read_verified(store, manifest["plan"]))
    return Plan(
        tuple(
            Partition(
                **{**item, "ids": tuple(item["ids"]), "contents": tuple(item.get("contents", ()))}
            )
            for item in value["partitions"]
        ),
        tuple(
            PlannedShard(**{**item, "partitions": tuple(item["partitions"])})
            for item in value["shards"]
        ),
    )


def write_plan(store: Store, plan: Plan) -> FileEntry:
    """Keep the plan under its own hash."""
    data = plan.to_bytes()
    sha256 = sha256_hex(data)
    entry: FileEntry = {"name": f"inputs/plan-{sha256[:12]}.json", "sha256": sha256}
    store.put(entry["name"], data)
    return entry


def load_partition(store: Store, partition: Partition) -> pa.Table:
    """The source rows of a partition, as PLANNED. Raises DamageError if the file is damaged."""
    data = read_verified(store, partition.entry)
    return read_table(data, PLANNED, f"{store.uri}/{partition.file}")


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
    ``writing`` is called before the first write of a new plan. Memory: one id per row that the
    parent knew, and one bucket of rows. Raises ConflictError if the parent's rows and these have
    almost nothing in common, unless ``same_lineage``.
    """
    known = {key: item.name for item in parent.partitions for key in item.ids} if parent else {}
    before = parent.partitions if parent else ()
    vouching = bool(before) and _is_vouched(store, before[0])
    whole = together(store, partial(_is_whole, store, vouching), before)
    lost = {item.name: item for item, good in zip(before, whole, strict=True) if not good}
    with tempfile.TemporaryDirectory(prefix="voxmill-plan-") as folder:
        count = spool(rows, Path(folder))
        present, familiar = _present(Path(folder), parent) if parent else (set[str](), 0)
        if known and not same_lineage and familiar < MIN_OVERLAP * min(len(known), count):
            raise ConflictError(
                f"{store.uri} holds a corpus of another source: of its {len(known)} rows only "
                f"{familiar} are among the {count} that were read; choose another --output, "
                "or, if this is the same source after a large edit, --set output.same_lineage=true"
            )
        changed = bool(lost) or not count == len(present) == len(known)
        if changed:
            writing()
        found: dict[str, list[dict[str, object]]] = {name: [] for name in lost}

        def unknown() -> Iterator[dict[str, object]]:
            for row in sorted_rows(Path(folder)):
                name = known[row.key] if row.key in present else None
                if name is None:
                    yield _planned(row, Path(folder), version)
                elif name in lost:
                    found[name].append(_planned(row, Path(folder), lost[name].born))

        size = rows_per_partition or partition_rows(count - len(present))
        with writing_behind(store) as sink:
            added = list(_write_partitions(sink, unknown(), size, _next_number(parent), version))
    kept = []
    for partition in parent.partitions if parent else ():
        if partition.name in lost:
            logger.warning("%s is damaged or gone; it is written again", partition.file)
            kept.append(
                _write_partition(store, found[partition.name], partition.name, partition.born)
            )
        elif all(key in present for key in partition.ids):
            kept.append(partition)
        else:
            kept.append(_without_the_gone(store, partition, present))
    partitions = (*kept, *added)
    planned = parent.shards if parent else ()
    plan = Plan(partitions, _shards(partitions, planned, target_bytes, eval_fraction))
    if not changed and parent and plan.digest != parent.digest:
        writing()
    return plan


def _present(folder: Path, parent: Plan) -> tuple[set[str], int]:
    """The ids of the parent's rows that are there and say what they said; how many are there."""
    known = {
        key: content
        for item in parent.partitions
        for key, content in zip(item.ids, item.contents or [""] * len(item.ids), strict=True)
    }
    present: set[str] = set()
    familiar = 0
    for row in sorted_rows(folder):
        familiar += row.key in known
        if known.get(row.key) == row.content:
            present.add(row.key)
    return present, familiar


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


def _next_number(parent: Plan | None) -> int:
    names = [item.name for item in parent.partitions] if parent else []
    return 1 + max((int(name[1:]) for name in names), default=-1)


def _without_the_gone(store: Store, partition: Partition, present: set[str]) -> Partition:
    table = load_partition(store, partition)
    mask = pa.array([key in present for key in table.column("id").to_pylist()], pa.bool_())
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
    contents = tuple(str(row.get("content") or "") for row in rows)
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
        ids=tuple(table.column("id").to_pylist()),
        born=born,
        seconds=round(sum(map(_seconds, rows)), 1),
        contents=contents if any(contents) else (),
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
