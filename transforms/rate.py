"""Asks a predictor what people would think of how each utterance sounds: its mean opinion score."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import pyarrow as pa

from schemas.columns import field
from schemas.utterance import MEASURE, SPEECH, UTTERANCE, Measure, not_sampled, taken, unavailable
from transforms.audio import decode_flac
from transforms.backends.mos import Listener, MosProgram
from transforms.environment import versions
from transforms.hearing import MOS_MEASURES
from transforms.randomness import draw
from transforms.step import Artifacts, BatchFn, Identity, Resources, Step, TableName

OPINIONS: Final = pa.schema(
    [field("opinions", pa.list_(pa.field("item", MEASURE, nullable=False)), "sorted by name")]
)
(MOS,) = MOS_MEASURES


@dataclass(frozen=True, kw_only=True)
class Rate(Step):
    """``mos`` of ``fraction`` of the utterances, by a hash of (seed, id, turn), one by one."""

    seed: int
    fraction: float
    predictor: MosProgram

    name: ClassVar[str] = "rate"
    version: ClassVar[int] = 1
    table: ClassVar[TableName] = "utterances"
    memo: ClassVar[bool] = True
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            *(UTTERANCE.field(name) for name in ("id", "turn")),
            *(SPEECH.field(name) for name in ("flac", "flac_sha256")),
        ]
    )
    writes: ClassVar[pa.Schema] = OPINIONS
    resources: Resources = Resources(batch_rows=1)

    def identity(self) -> Identity:
        return {
            "seed": self.seed,
            "fraction": self.fraction,
            "predictor": dict(self.predictor.identity()),
            **versions("soundfile", "soxr", "numpy"),
        }

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        with self.predictor.open() as listener:

            def rate(batch: pa.RecordBatch) -> pa.RecordBatch:
                rows = [{"opinions": [self._mos(row, listener)]} for row in batch.to_pylist()]
                return pa.RecordBatch.from_pylist(rows, schema=self.writes)

            yield rate

    def _mos(self, row: dict[str, Any], listener: Listener) -> Measure:
        if draw(self.seed, MOS, row["id"], str(row["turn"])) >= self.fraction:
            return not_sampled(MOS)
        score = listener.score(*decode_flac(row["flac"]))
        return unavailable(MOS) if score is None else taken(MOS, score)
