"""Makes others' audio conform: what does is kept byte for byte, what does not is encoded again."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from schemas.columns import field
from schemas.utterance import SPEECH, UTTERANCE
from transforms.audio import decode_flac, decode_source_audio, encode_flac, resample, to_int16
from transforms.backends.tts import Speech
from transforms.environment import versions
from transforms.step import Artifacts, BatchFn, Identity, Resources, Step, TableName
from transforms.tries import check_speech

CONFORMED = pa.schema(
    [
        field("recoded", pa.binary(), "the FLAC to ship; null if audio ships", nullable=True),
        field("recoded_sha256", pa.string(), "of recoded; empty if audio ships"),
        field("heard_rate_hz", pa.int32(), "of what ships", unit="Hz"),
        field("heard_samples", pa.int64(), "of what ships", unit="samples"),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Conform(Step):
    """Mono 16-bit FLAC at ``sample_rate_hz`` (None: at any rate) ships as it is.

    Anything else that libsndfile reads is mixed to mono, resampled and encoded. Every file is
    decoded whole, so damage fails its row here. The audio that is kept is not written twice.
    """

    sample_rate_hz: int | None

    name: ClassVar[str] = "conform"
    version: ClassVar[int] = 2
    table: ClassVar[TableName] = "utterances"
    memo: ClassVar[bool] = True
    reads: ClassVar[pa.Schema] = pa.schema(
        [UTTERANCE.field("audio"), UTTERANCE.field("audio_sha256")]
    )
    writes: ClassVar[pa.Schema] = CONFORMED
    resources: Resources = Resources(batch_rows=1)

    def identity(self) -> Identity:
        return {"sample_rate_hz": self.sample_rate_hz, **versions("soundfile", "soxr", "numpy")}

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        import soundfile  # noqa: F401 - slow to load, so not on the first row's time
        import soxr  # noqa: F401

        def conform(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows = [self._conformed(audio) for audio in batch.column("audio").to_pylist()]
            return pa.RecordBatch.from_pylist(rows, schema=CONFORMED)

        yield conform

    def _conformed(self, audio: bytes) -> dict[str, Any]:
        heard, rate = decode_source_audio(audio)
        recoded = None
        if self._conforms(audio):
            samples, rate = decode_flac(audio)
        else:
            target = self.sample_rate_hz or rate
            samples, rate = to_int16(resample(heard, rate, target)), target
            recoded = encode_flac(samples, rate)
        check_speech(Speech(samples, rate), "of the source", retryable=False)
        return {
            "recoded": recoded,
            "recoded_sha256": "" if recoded is None else hashlib.sha256(recoded).hexdigest(),
            "heard_rate_hz": rate,
            "heard_samples": len(samples),
        }

    def _conforms(self, audio: bytes) -> bool:
        import soundfile

        info = soundfile.info(io.BytesIO(audio))
        return (
            (info.format, info.subtype, info.channels) == ("FLAC", "PCM_16", 1)
            and self.sample_rate_hz in (None, info.samplerate)
        )  # fmt: skip


SAID = ("flac", "flac_sha256", "sample_rate_hz", "num_samples", "audio_provenance")
# what only speech that was made here has to say: nothing
UNSAID: dict[str, Any] = {
    item.name: [] if pa.types.is_list(item.type) else "" for item in SPEECH if item.name not in SAID
}


@dataclass(frozen=True, kw_only=True)
class Ship(Step):
    """The speech that ships: the source's own bytes where they conform, else the encoded ones."""

    name: ClassVar[str] = "ship"
    table: ClassVar[TableName] = "utterances"
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            *(UTTERANCE.field(name) for name in ("audio", "audio_sha256", "provenance")),
            *CONFORMED,
        ]
    )
    writes: ClassVar[pa.Schema] = SPEECH

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        def ship(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows = [
                {
                    "flac": row["audio"] if row["recoded"] is None else row["recoded"],
                    "flac_sha256": row["recoded_sha256"] or row["audio_sha256"],
                    "sample_rate_hz": row["heard_rate_hz"],
                    "num_samples": row["heard_samples"],
                    "audio_provenance": row["provenance"],
                    **UNSAID,
                }
                for row in batch.to_pylist()
            ]
            return pa.RecordBatch.from_pylist(rows, schema=SPEECH)

        yield ship
