"""Keeps the split that a sample of a corpus is in; a row that has none is assigned one."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from schemas.conversation import CONVERSATION
from transforms.split import Split
from transforms.step import Artifacts, BatchFn, Identity, Step, TableName


@dataclass(frozen=True, kw_only=True)
class KeepSplit(Step):
    """The record's split; without a record, as transforms.split decides."""

    otherwise: Split

    name: ClassVar[str] = "split"
    table: ClassVar[TableName] = "conversations"
    reads: ClassVar[pa.Schema] = pa.schema([CONVERSATION.field("id"), CONVERSATION.field("record")])
    writes: ClassVar[pa.Schema] = Split.writes

    def identity(self) -> Identity:
        return self.otherwise.identity()

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        with self.otherwise.open(artifacts) as assign:

            def keep(batch: pa.RecordBatch) -> pa.RecordBatch:
                drawn = assign(batch.select(["id"])).column(0).to_pylist()
                splits = [
                    split if text is None else json.loads(text)["split"]
                    for split, text in zip(drawn, batch.column("record").to_pylist(), strict=True)
                ]
                return pa.RecordBatch.from_arrays(
                    [pa.array(splits, pa.string())], schema=self.writes
                )

            yield keep
