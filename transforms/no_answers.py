"""No answer is spoken: the corpus asks, and a model is to answer (an evaluation set)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from schemas.conversation import CONVERSATION
from transforms.respond import Respond
from transforms.spoken import SPOKEN
from transforms.step import Artifacts, BatchFn, Step, TableName


@dataclass(frozen=True, kw_only=True)
class NoAnswers(Step):
    """Stands where Respond stands; its ``answers`` are empty."""

    name: ClassVar[str] = "respond"
    table: ClassVar[TableName] = "conversations"
    reads: ClassVar[pa.Schema] = pa.schema([CONVERSATION.field("turns")])
    writes: ClassVar[pa.Schema] = Respond.writes

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        yield lambda batch: pa.RecordBatch.from_arrays(
            [pa.array([[] for _ in range(batch.num_rows)], SPOKEN)], schema=self.writes
        )
