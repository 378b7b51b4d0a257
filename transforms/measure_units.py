"""Measures every utterance's units, beside what was measured of its sound."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from schemas.utterance import MEASURES, SPEECH, UNITS
from transforms.environment import versions
from transforms.measures.units import UNIT_MEASURES, unit_measures
from transforms.step import Artifacts, BatchFn, Identity, Step, TableName


@dataclass(frozen=True, kw_only=True)
class MeasureUnits(Step):
    """Adds UNIT_MEASURES. A step of its own: new units measure no sound anew."""

    name: ClassVar[str] = "measure_units"
    version: ClassVar[int] = 2
    table: ClassVar[TableName] = "utterances"
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            *MEASURES,
            *UNITS,
            *(SPEECH.field(name) for name in ("num_samples", "sample_rate_hz")),
        ]
    )
    writes: ClassVar[pa.Schema] = MEASURES
    replaces: ClassVar[frozenset[str]] = frozenset({"measures"})

    def identity(self) -> Identity:
        return versions("numpy", "cpu")

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        def measure(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows = []
            for row in batch.to_pylist():
                found = unit_measures(
                    row["codes"],
                    row["durations"],
                    row["num_frames"],
                    row["num_samples"] / row["sample_rate_hz"],
                    len(row["codes"] or ()) // row["num_units"] if row["num_units"] else 1,
                )
                kept = [item for item in row["measures"] if item["name"] not in UNIT_MEASURES]
                rows.append(sorted([*kept, *found], key=lambda item: item["name"]))
            return pa.RecordBatch.from_arrays(
                [pa.array(rows, MEASURES.field(0).type)], schema=MEASURES
            )

        yield measure
