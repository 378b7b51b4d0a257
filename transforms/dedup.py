"""Exact duplicates after normalization: the oldest row stays, then the lowest id."""

import hashlib
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc

from schemas.columns import field, reason, reasons_field
from schemas.conversation import CONVERSATION, Turn
from transforms.step import Artifacts, BatchFn, Fit, Identity, Step, TableName

Ignored = Literal["case", "punctuation", "spacing"]
Scope = Literal["conversation", "instruction"]
ENTRY = pa.schema([("key", pa.string()), ("born", pa.int32()), ("id", pa.string())])


@dataclass(frozen=True, kw_only=True)
class FindDuplicates(Fit):
    """Which rows repeat another. The artifact is an Arrow stream of (id, repeats).

    Rows that an earlier snapshot held come first (``born``), so a child never turns an accepted
    row of its parent into a duplicate. It is fitted anew for each snapshot. Its memory is one
    (key, born, id) entry per row: some 100 bytes of text, not measured at scale.
    """

    enabled: bool = True
    scope: Scope = "conversation"
    ignore: tuple[Ignored, ...] = ("case", "punctuation", "spacing")

    name: ClassVar[str] = "duplicates"
    version: ClassVar[int] = 1
    pinned: ClassVar[bool] = False
    table: ClassVar[TableName] = "conversations"
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            CONVERSATION.field("id"),
            CONVERSATION.field("turns"),
            field("born", pa.int32(), "the snapshot in which the row entered the corpus"),
        ]
    )

    def identity(self) -> Identity:
        return {"enabled": self.enabled, "scope": self.scope, "ignore": sorted(self.ignore)}

    def partial(self, batch: pa.RecordBatch, num_partitions: int) -> pa.Table:
        keys = [self._key(turns) for turns in batch.column("turns").to_pylist()]
        return pa.table(
            [pa.array(keys, pa.string()), batch.column("born"), batch.column("id")], schema=ENTRY
        )

    def merge(self, parts: list[pa.Table]) -> pa.Table:
        return pa.concat_tables(parts) if parts else ENTRY.empty_table()

    def finalize(self, merged: pa.Table) -> bytes:
        order = pc.sort_indices(
            merged, sort_keys=[("key", "ascending"), ("born", "ascending"), ("id", "ascending")]
        )
        repeated: list[str] = []
        kept: list[str] = []
        first_key = first_id = ""
        for batch in merged.take(order).to_batches(max_chunksize=65536):
            for key, row in zip(
                batch.column("key").to_pylist(), batch.column("id").to_pylist(), strict=True
            ):
                if self.enabled and key == first_key:
                    repeated.append(row)
                    kept.append(first_id)
                else:
                    first_key, first_id = key, row
        table = pa.table(
            {"id": pa.array(repeated, pa.string()), "repeats": pa.array(kept, pa.string())}
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table.sort_by("id"))
        data: bytes = sink.getvalue().to_pybytes()
        return data

    def _key(self, turns: list[Turn]) -> str:
        shown = [turn for turn in turns if self.scope == "conversation" or turn["role"] == "user"]
        parts = [
            [
                turn["role"],
                self._normal(turn["text"]),
                self._normal(turn["input"]),
                hashlib.sha256(turn["audio"] or b"").hexdigest(),
            ]
            for turn in shown
        ]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _normal(self, text: str) -> str:
        text = unicodedata.normalize("NFKC", text)
        if "case" in self.ignore:
            text = text.casefold()
        if "punctuation" in self.ignore:
            text = "".join(
                " " if unicodedata.category(letter).startswith(("P", "Z", "C")) else letter
                for letter in text
            )
        if "spacing" in self.ignore:
            text = " ".join(text.split())
        return text


@dataclass(frozen=True, kw_only=True)
class Dedup(Step):
    """Rejects the rows that repeat another, naming it."""

    name: ClassVar[str] = "dedup"
    table: ClassVar[TableName] = "conversations"
    uses: ClassVar[tuple[str, ...]] = (FindDuplicates.name,)
    reads: ClassVar[pa.Schema] = pa.schema([CONVERSATION.field("id")])
    writes: ClassVar[pa.Schema] = pa.schema([reasons_field("dedup")])

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        table = pa.ipc.open_stream(artifacts[FindDuplicates.name]).read_all()
        repeats = dict(
            zip(table.column("id").to_pylist(), table.column("repeats").to_pylist(), strict=True)
        )

        def verdicts(batch: pa.RecordBatch) -> pa.RecordBatch:
            reasons = [
                [reason("dedup", "duplicate", f"repeats {repeats[row]}")] if row in repeats else []
                for row in batch.column("id").to_pylist()
            ]
            return pa.RecordBatch.from_arrays(
                [pa.array(reasons, self.writes.field(0).type)], schema=self.writes
            )

        yield verdicts
