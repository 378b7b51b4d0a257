"""Measures every pair: the answer beside the question, among the answer's own measures."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from schemas.utterance import Measure, unavailable
from transforms.environment import versions
from transforms.measures.pair import PAIR_MEASURES, pair_measures
from transforms.select import GATHER, GATHERED
from transforms.step import Artifacts, BatchFn, Identity, Step, TableName


@dataclass(frozen=True, kw_only=True)
class MeasurePairs(Step):
    """Adds PAIR_MEASURES to the second utterance of each pair; to the first, as unavailable."""

    name: ClassVar[str] = "measure_pairs"
    table: ClassVar[TableName] = "conversations"
    reads: ClassVar[pa.Schema] = pa.schema([GATHERED])
    writes: ClassVar[pa.Schema] = pa.schema([GATHERED])
    replaces: ClassVar[frozenset[str]] = frozenset({GATHER.column})

    def identity(self) -> Identity:
        return versions("unicode")

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        def measure(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows = batch.column(GATHER.column).to_pylist()
            for utterances in rows:
                for asked, told in zip(utterances[::2], utterances[1::2], strict=True):
                    found = pair_measures(asked, told)
                    none = [unavailable(name) for name in PAIR_MEASURES]
                    asked["measures"] = _with(asked["measures"], none)
                    told["measures"] = _with(told["measures"], found)
            return pa.RecordBatch.from_arrays([pa.array(rows, GATHERED.type)], schema=self.writes)

        yield measure


def _with(measures: list[Measure], found: list[Measure]) -> list[Measure]:
    kept = [item for item in measures if item["name"] not in PAIR_MEASURES]
    return sorted([*kept, *found], key=lambda item: item["name"])
