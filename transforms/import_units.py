"""Checks the units that a source brings against the contracts of their unit sets."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import pyarrow as pa

from schemas.columns import field
from schemas.conversation import CONVERSATION
from schemas.errors import RowError
from schemas.unitset import UnitSet
from schemas.utterance import UNITS, UTTERANCE
from transforms.select import GATHER, GATHERED
from transforms.step import Artifacts, BatchFn, Identity, Step, TableName
from transforms.unit_step import NO_UNITS

KEPT: Final = pa.struct(
    [
        field("turn", pa.int32(), "index of the turn", unit="turns"),
        field("set", pa.string(), "name of the unit set"),
        field("codes", pa.list_(pa.int32()), "unit ids [T']"),
        field("durations", pa.list_(pa.int32()), "run lengths [T']", unit="frames", nullable=True),
        field("num_frames", pa.int32(), "of the turn's audio", unit="frames"),
    ]
)


@dataclass(frozen=True, kw_only=True)
class ImportUnits(Step):
    """Keeps the units of ``sets``; a row whose units break a contract fails, naming how.

    Every turn of a set's roles must have units: a corpus in which some are missing would not be
    what its manifest says.
    """

    sets: tuple[UnitSet, ...]

    name: ClassVar[str] = "import_units"
    table: ClassVar[TableName] = "conversations"
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            CONVERSATION.field("imported"),
            GATHERED,
        ]
    )
    writes: ClassVar[pa.Schema] = pa.schema(
        [
            field(
                "kept_units",
                pa.list_(pa.field("item", KEPT, nullable=False)),
                "the units that ship beside those that are extracted here",
            )
        ]
    )

    def identity(self) -> Identity:
        return {"sets": [item.to_json() for item in self.sets]}

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        def check(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows = [{"kept_units": list(self._kept(row))} for row in batch.to_pylist()]
            return pa.RecordBatch.from_pylist(rows, schema=self.writes)

        yield check

    def _kept(self, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
        given = {(item["turn"], item["set"]): item for item in row["imported"] or []}
        for spoken in row[GATHER.column]:
            for contract in self.sets:
                if spoken["role"] not in contract.roles:
                    continue
                units = given.get((spoken["turn"], contract.name))
                who = f"turn {spoken['turn']}: units of {contract.name}"
                if units is None:
                    raise RowError(
                        f"{who} are missing; wanted units for every turn of "
                        f"{', '.join(contract.roles)}; complete them, or leave out source.units"
                    )
                if spoken["sample_rate_hz"] != contract.sample_rate_hz:
                    raise RowError(
                        f"{who} are of audio at {contract.sample_rate_hz} Hz, which here ships at "
                        f"{spoken['sample_rate_hz']} Hz; set audio.sample_rate_hz to the unit set's"
                    )
                broken = contract.violations(
                    units["codes"], units["durations"], spoken["num_samples"]
                )
                if broken:
                    raise RowError(
                        f"{who} break its contract: {'; '.join(broken)}; correct source.units, "
                        "or the source"
                    )
                yield {**units, "num_frames": contract.frames(spoken["num_samples"])}


@dataclass(frozen=True, kw_only=True)
class NoUnits(Step):
    """No units are extracted here."""

    name: ClassVar[str] = "units"
    table: ClassVar[TableName] = "utterances"
    reads: ClassVar[pa.Schema] = pa.schema([UTTERANCE.field("role")])
    writes: ClassVar[pa.Schema] = UNITS

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        yield lambda batch: pa.RecordBatch.from_pylist([NO_UNITS] * batch.num_rows, schema=UNITS)
