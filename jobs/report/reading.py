"""Reads a snapshot for people: index and outcome rows as streams, samples by byte range."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.outcome import Outcome
from schemas.errors import DamageError
from schemas.shard import crc32c, split_sample
from schemas.snapshot import FileEntry, Manifest, read_verified
from schemas.store import Store

BATCH_ROWS = 256
MANY_ROWS = 4096
IndexRow: TypeAlias = dict[str, Any]  # a row of schemas.index.INDEX, whole or some columns


def index_rows(
    store: Store, manifest: Manifest, columns: Sequence[str] | None = None
) -> Iterator[IndexRow]:
    """The index rows of every shard, in the order of the shards. Raises DamageError."""
    for batch in index_batches(store, manifest, columns, BATCH_ROWS):
        yield from batch.to_pylist()


def index_batches(
    store: Store,
    manifest: Manifest,
    columns: Sequence[str] | None = None,
    rows: int = MANY_ROWS,
) -> Iterator[pa.RecordBatch]:
    """The same in batches of at most ``rows`` rows. Raises DamageError."""
    for shard in manifest["shards"]:
        entry: FileEntry = {"name": f"index/{shard['index']}", "sha256": shard["index_sha256"]}
        yield from _batches(store, entry, columns, rows)


def outcome_rows(
    store: Store, entry: FileEntry, columns: Sequence[str] | None = None
) -> Iterator[Outcome]:
    """The rows of a rejected or failed file, a batch at a time. Raises DamageError."""
    for batch in outcome_batches(store, entry, columns):
        yield from batch.to_pylist()


def outcome_batches(
    store: Store, entry: FileEntry, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The same in batches. Raises DamageError."""
    yield from _batches(store, entry, columns, BATCH_ROWS)


def read_sample(store: Store, row: Mapping[str, Any]) -> dict[str, bytes]:
    """The members of one sample by suffix, read by range and checked. Raises DamageError."""
    path = f"shards/{row['shard']}"
    data = store.get_range(path, row["offset"], row["length"])
    if crc32c(data) != row["crc32c"]:
        raise DamageError(
            f"{store.uri}/{path}, sample {row['key']}: its crc32c is not the index's; run "
            f"`voxmill verify {store.uri}`, then the build again"
        )
    return split_sample(data, str(row["key"]))


def _batches(
    store: Store, entry: FileEntry, columns: Sequence[str] | None, rows: int
) -> Iterator[pa.RecordBatch]:
    # one thread and no pre-buffering: a reader that stops early leaves nothing running at exit
    data = pa.BufferReader(read_verified(store, entry))
    file = pq.ParquetFile(data, pre_buffer=False)
    names = None if columns is None else list(columns)
    yield from file.iter_batches(batch_size=rows, columns=names, use_threads=False)
