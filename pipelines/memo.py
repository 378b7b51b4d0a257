"""The memo: results of a step, in immutable packs per (step fingerprint, partition).

A pack holds row keys and the columns that the step writes. A run adds a pack with what it computed
and never rewrites one, so a killed run costs only what it had not yet put. The file is an Arrow
stream followed by its own sha256, so a torn or damaged pack is noticed, removed and recomputed.
"""

import hashlib
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from schemas.canonical import canonical_json, sha256_hex
from schemas.errors import DamageError
from schemas.store import Store

logger = logging.getLogger(__name__)
KEY = pa.field("key", pa.string(), nullable=False)
DIGEST_BYTES = 32


def row_keys(batch: pa.RecordBatch) -> list[str]:
    """One key per row: a hash of the columns that the step reads for that row.

    A binary column X counts by its sha256, taken from the column X_sha256 where there is one.
    """
    columns: dict[str, list[object]] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_binary(column.type):
            if name + "_sha256" not in batch.schema.names:
                columns[name] = [
                    None if value is None else hashlib.sha256(value).hexdigest()
                    for value in column.to_pylist()
                ]
        else:
            columns[name] = column.to_pylist()
    names = sorted(columns)
    return [
        sha256_hex(canonical_json(dict(zip(names, row, strict=True)), default=_bytes_digest))[:32]
        for row in zip(*(columns[name] for name in names), strict=True)
    ]


def _bytes_digest(value: object) -> str:
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    raise TypeError(f"a {type(value).__name__} cannot be part of a row key")


class _HashingSink(io.BytesIO):
    """Memory that hashes what is written to it, so that nothing is copied to be hashed."""

    def __init__(self) -> None:
        super().__init__()
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        self.sha256.update(data)
        return super().write(data)


def pack_bytes(table: pa.Table) -> memoryview:
    """A table as one self-checking file."""
    sink = _HashingSink()
    with pa.ipc.new_stream(pa.PythonFile(sink, "w"), table.schema) as writer:
        writer.write_table(table)
    sink.write(sink.sha256.digest())
    return sink.getbuffer()


def unpack(data: bytes, name: str) -> pa.Table:
    """The table of a pack. Raises DamageError if the file is not what was written."""
    body = memoryview(data)[:-DIGEST_BYTES]
    if len(data) <= DIGEST_BYTES or hashlib.sha256(body).digest() != data[-DIGEST_BYTES:]:
        raise DamageError(f"{name}: damaged; its checksum does not hold")
    return pa.ipc.open_stream(pa.py_buffer(body)).read_all()


@dataclass(frozen=True)
class Found:
    """What the memo holds: ``rows`` maps a key to its row in ``table``."""

    table: pa.Table
    rows: dict[str, int]


class Memo:
    """The packs of one work store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def folder(self, step: str, fingerprint: str, partition: str) -> str:
        """Where the packs of a step and a partition are."""
        return f"memo/{step}-{fingerprint[:16]}/{partition}"

    def lookup(
        self, step: str, fingerprint: str, partition: str, schema: pa.Schema, generation: int
    ) -> Found:
        """All results that hold; a retryable failure of an earlier generation does not.

        A damaged pack is removed, and said.
        """
        tables = []
        for path in self.store.list(self.folder(step, fingerprint, partition)):
            try:
                table = unpack(self.store.get(path), f"{self.store.uri}/{path}")
            except DamageError as error:
                logger.warning("%s; its rows are computed again", error)
                self.store.delete(path)
                continue
            if table.schema.names == schema.names and table.schema.types == schema.types:
                tables.append(table)
        table = pa.concat_tables(tables) if tables else schema.empty_table()
        errors = table.column(f"{step}_error").to_pylist()
        rows: dict[str, int] = {}
        for index, (key, failed) in enumerate(
            zip(table.column("key").to_pylist(), errors, strict=True)
        ):
            if failed and failed["retryable"] and failed["generation"] < generation:
                continue
            rows.setdefault(key, index)
        return Found(table, rows)

    def partitions(self, step: str, fingerprint: str) -> set[str]:
        """The partitions of which some row is kept, without a look at what it is."""
        folder = f"memo/{step}-{fingerprint[:16]}/"
        return {
            path.removeprefix(folder).partition("/")[0]
            for path in self.store.list(folder.rstrip("/"))
        }

    def put(self, step: str, fingerprint: str, partition: str, table: pa.Table) -> None:
        """Keep new results. Their name follows from their keys, so two runs agree on it."""
        keys: Sequence[str] = table.column("key").to_pylist()
        name = sha256_hex(canonical_json(keys))[:16]
        folder = self.folder(step, fingerprint, partition)
        self.store.put(f"{folder}/{name}.pack", pack_bytes(table))

    def forget_failures(self, step: str, fingerprint: str) -> int:
        """Drop the failures of a step, so that these rows are tried again; how many.

        Those that are not retryable too: where most rows fail, the set-up is to blame and not they.
        Not while workers write. What succeeded stays.
        """
        forgotten = 0
        for path in self.store.list(f"memo/{step}-{fingerprint[:16]}"):
            try:
                table = unpack(self.store.get(path), f"{self.store.uri}/{path}")
            except DamageError:
                continue  # the next lookup removes it, and says so
            errors = table.column(f"{step}_error").to_pylist()
            kept = [error is None for error in errors]
            if all(kept):
                continue
            forgotten += kept.count(False)
            if any(kept):
                self.store.put(path, pack_bytes(table.filter(pa.array(kept))))
            else:
                self.store.delete(path)
        return forgotten

    def put_first(
        self, step: str, fingerprint: str, partition: str, table: pa.Table, generation: int
    ) -> pa.Table:
        """Keep new results of a step that another run may end otherwise; what stands is given.

        Replies are committed one by one, so two drivers agree on them; but a request that failed
        for one of them may have been answered for the other.
        """
        name = sha256_hex(canonical_json([table.column("key").to_pylist(), generation]))[:16]
        path = f"{self.folder(step, fingerprint, partition)}/{name}.pack"
        if self.store.put_new(path, bytes(pack_bytes(table))):
            return table
        try:
            standing = unpack(self.store.get(path), f"{self.store.uri}/{path}")
            if standing.column("key").equals(table.column("key")):
                return standing
        except DamageError as error:
            logger.warning("%s; it is written again", error)
        self.store.put(path, pack_bytes(table))  # damaged, or a stop took its failures
        return table
