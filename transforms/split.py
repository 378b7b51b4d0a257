"""Assigns each conversation to the train or the eval split."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from schemas.columns import field
from schemas.conversation import CONVERSATION
from transforms.randomness import draw
from transforms.step import Artifacts, BatchFn, Identity, Step, TableName

TRAIN = "train"
EVAL = "eval"


@dataclass(frozen=True, kw_only=True)
class Split(Step):
    """A row is in eval with probability ``eval_fraction``, decided by the seed and its id."""

    seed: int
    eval_fraction: float

    name: ClassVar[str] = "split"
    table: ClassVar[TableName] = "conversations"
    reads: ClassVar[pa.Schema] = pa.schema([CONVERSATION.field("id")])
    writes: ClassVar[pa.Schema] = pa.schema([field("split", pa.string(), "train or eval")])

    def identity(self) -> Identity:
        return {"seed": self.seed, "eval_fraction": self.eval_fraction}

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        yield self._assign

    def _assign(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        splits = [
            EVAL if draw(self.seed, "split", key) < self.eval_fraction else TRAIN
            for key in batch.column("id").to_pylist()
        ]
        return pa.RecordBatch.from_arrays([pa.array(splits, pa.string())], schema=self.writes)
