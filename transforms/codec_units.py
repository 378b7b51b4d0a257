"""Units of the shipped audio that a codec or a tokenizer gives itself: codes [nq, T]."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from schemas.unitset import Collapse, UnitSet
from schemas.utterance import UNITS
from transforms.backends.units.protocol import CodeModel
from transforms.step import Artifacts, BatchFn, Identity, Resources
from transforms.unit_step import NO_UNITS, UnitStep, model_wave, unit_row


@dataclass(frozen=True, kw_only=True)
class CodecUnits(UnitStep):
    """Codes of the turns of ``roles``: ``set_name`` is the unit set's, ``audio_rate_hz`` of FLACs.

    Only codes of one codebook can be collapsed.
    """

    model: CodeModel
    set_name: str
    roles: tuple[str, ...]
    collapse: Collapse = "none"
    audio_rate_hz: int = 16000
    resources: Resources = Resources(batch_rows=16, memory_mb=2000)

    version: ClassVar[int] = 1

    @property
    def first_counts(self) -> bool:
        return not self.model.bit_stable

    def identity(self) -> Identity:
        return {
            "model": dict(self.model.identity()),
            "set": self.set_name,
            "roles": sorted(self.roles),
            "collapse": self.collapse,
            "audio_rate_hz": self.audio_rate_hz,
        }

    def unit_set(self, centroids_sha256: str) -> UnitSet:
        return self.model.described.unit_set(
            name=self.set_name,
            audio_rate_hz=self.audio_rate_hz,
            roles=self.roles,
            collapse=self.collapse,
            codebook_size=self.model.described.codebook_size,
        )

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        contract = self.unit_set("")
        with self.model.open() as encode:

            def run(batch: pa.RecordBatch) -> pa.RecordBatch:
                rows: list[dict[str, Any]] = [NO_UNITS] * batch.num_rows
                roles, flacs = batch.column("role").to_pylist(), batch.column("flac")
                mine = [n for n, role in enumerate(roles) if role in self.roles]
                heard = [model_wave(flacs[n].as_py(), contract) for n in mine]
                found = encode([wave for wave, _ in heard])
                for n, codes, (_, length) in zip(mine, found, heard, strict=True):
                    rows[n] = unit_row(codes, length, contract)
                return pa.RecordBatch.from_pylist(rows, schema=UNITS)

            yield run
