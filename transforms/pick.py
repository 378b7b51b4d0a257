"""Picks the rows of a source by their own ids; every other is rejected, saying which it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from schemas.columns import Reason, reason, reasons_field
from schemas.conversation import CONVERSATION
from transforms.step import Artifacts, BatchFn, Identity, Step, TableName


@dataclass(frozen=True, kw_only=True)
class Pick(Step):
    """Keeps the rows whose ``source_id`` is, or lies below, one of ``keep`` and none of ``leave``.

    Ids are paths: "vicuna" holds "vicuna/math/3". An empty ``keep`` keeps all. Reasons:
    not_picked, left_out.
    """

    keep: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()

    name: ClassVar[str] = "pick"
    table: ClassVar[TableName] = "conversations"
    reads: ClassVar[pa.Schema] = pa.schema([CONVERSATION.field("source_id")])
    writes: ClassVar[pa.Schema] = pa.schema([reasons_field("pick")])

    def identity(self) -> Identity:
        return {"keep": sorted(self.keep), "leave": sorted(self.leave)}

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        def pick(batch: pa.RecordBatch) -> pa.RecordBatch:
            found = [self._reasons(own) for own in batch.column("source_id").to_pylist()]
            return pa.RecordBatch.from_arrays(
                [pa.array(found, self.writes.field(0).type)], schema=self.writes
            )

        yield pick

    def _reasons(self, own: str) -> list[Reason]:
        shown = own[:40] or "a row without an id"
        if self.keep and not any(_below(own, place) for place in self.keep):
            return [
                reason(self.name, "not_picked", f"{shown}; picked: {', '.join(self.keep)}"[:80])
            ]
        for place in self.leave:
            if _below(own, place):
                return [reason(self.name, "left_out", f"{shown} is of {place}"[:80])]
        return []


def _below(own: str, place: str) -> bool:
    return own == place or own.startswith(f"{place}/")
