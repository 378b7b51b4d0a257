"""Units that the speech model gave itself while it spoke: kept, checked, and called its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from schemas.errors import RowError
from schemas.unitset import OWN, UnitSet
from schemas.utterance import OWN_UNITS, SPEECH, UNITS, UTTERANCE
from transforms.backends.units.protocol import Described
from transforms.step import Artifacts, BatchFn, Identity
from transforms.unit_step import NO_UNITS, UnitStep, checked_row


@dataclass(frozen=True, kw_only=True)
class OwnUnits(UnitStep):
    """Tokens of the turns of ``roles``, from the column that a speech backend filled.

    A vocoder may round its edges, so their number may miss frames(n) by ``slack_frames``; nothing
    else moves the audio against them (ADR 0080). A turn whose audio has no such tokens fails: a
    unit set is never half the model's own and half extracted from audio.
    """

    set_name: str
    told: Described
    roles: tuple[str, ...]
    slack_frames: int
    audio_rate_hz: int = 16000

    version: ClassVar[int] = 1
    reads: ClassVar[pa.Schema] = pa.schema(
        [UTTERANCE.field("role"), SPEECH.field("num_samples"), *OWN_UNITS]
    )

    def identity(self) -> Identity:
        return {"contract": self.unit_set("").to_json()}

    def unit_set(self, centroids_sha256: str) -> UnitSet:
        made = self.told.unit_set(
            name=self.set_name,
            audio_rate_hz=self.audio_rate_hz,
            roles=self.roles,
            collapse="none",
            codebook_size=self.told.codebook_size,
            provenance=OWN,
        )
        return replace(made, slack_frames=self.slack_frames)

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        contract = self.unit_set("")

        def run(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows = [
                _row(row, contract) if row["role"] in self.roles else NO_UNITS
                for row in batch.to_pylist()
            ]
            return pa.RecordBatch.from_pylist(rows, schema=UNITS)

        yield run


def _row(row: dict[str, Any], contract: UnitSet) -> dict[str, Any]:
    codes = row["own_codes"]
    if codes is None:
        raise RowError(
            f"this turn's audio came without tokens of its own, and {contract.name} is made of "
            "these alone; speak it with a backend that gives them, or extract units from the audio"
        )
    checked_row(codes, None, row["num_samples"], contract)
    length = len(codes) // contract.num_codebooks
    return {
        "codes": np.asarray(codes, np.int32),
        "durations": None,
        "num_frames": length,
        "num_units": length,
    }
