"""Speaks every utterance with its voice; audio that the source carries is only re-encoded."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from schemas.errors import SynthesisError
from schemas.utterance import SPEECH, UTTERANCE, VOICE
from transforms.audio import decode_source_audio, encode_flac, resample, to_float, to_int16
from transforms.backends.tts import Samples, Speaker, Speech, SpeechBackend
from transforms.environment import versions
from transforms.step import Artifacts, BatchFn, Identity, Resources, Step, TableName
from transforms.voices import VoiceBank

MIN_PEAK = 64  # of int16, about -54 dBFS: what never rises above it is silence
SYNTHESIZED = "synthesized"


@dataclass(frozen=True, kw_only=True)
class Synthesize(Step):
    """Spoken text becomes the FLAC that ships, at ``sample_rate_hz``.

    What the sound depends on (voice, backend, library checksums) is in ``voice_digest``, a column
    that the step reads, so a changed voice redoes its own utterances and no others.
    """

    bank: VoiceBank
    backends: tuple[SpeechBackend, ...]
    sample_rate_hz: int

    name: ClassVar[str] = "synthesize"
    version: ClassVar[int] = 1
    table: ClassVar[TableName] = "utterances"
    memo: ClassVar[bool] = True
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            *(UTTERANCE.field(name) for name in ("spoken_text", "audio", "audio_sha256")),
            UTTERANCE.field("provenance"),
            *VOICE,
        ]
    )
    writes: ClassVar[pa.Schema] = SPEECH
    resources: Resources = Resources(batch_rows=1)

    def identity(self) -> Identity:
        return {"sample_rate_hz": self.sample_rate_hz, **versions("soundfile", "soxr", "numpy")}

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        import soundfile  # noqa: F401 - slow to load, so not on the first row's time
        import soxr  # noqa: F401

        voices = {voice.id: voice for voice in self.bank.voices}
        used = {voice.backend for voice in self.bank.voices}
        with ExitStack() as stack:
            speakers: dict[str, Speaker] = {
                backend.name: stack.enter_context(backend.open())
                for backend in self.backends
                if backend.name in used
            }

            def speak(text: str, voice_id: str) -> Speech:
                voice = voices[voice_id]
                speech = speakers[voice.backend].speak(text, voice.spec)
                check_speech(speech, voice_id)
                return speech

            def synthesize(batch: pa.RecordBatch) -> pa.RecordBatch:
                rows = [self._speech(row, speak) for row in batch.to_pylist()]
                return pa.RecordBatch.from_pylist(rows, schema=SPEECH)

            yield synthesize

    def _speech(self, row: dict[str, Any], speak: Callable[[str, str], Speech]) -> dict[str, Any]:
        if row["audio"] is not None:
            heard, rate = decode_source_audio(row["audio"])
            samples = to_int16(resample(heard, rate, self.sample_rate_hz))
            check_speech(Speech(samples, self.sample_rate_hz), "of the source", retryable=False)
        else:
            speech = speak(row["spoken_text"], row["voice"])
            samples = self._at_rate(speech)
        flac = encode_flac(samples, self.sample_rate_hz)
        return {
            "flac": flac,
            "flac_sha256": hashlib.sha256(flac).hexdigest(),
            "sample_rate_hz": self.sample_rate_hz,
            "num_samples": len(samples),
            "audio_provenance": row["provenance"] if row["audio"] is not None else SYNTHESIZED,
        }

    def _at_rate(self, speech: Speech) -> Samples:
        if speech.sample_rate_hz == self.sample_rate_hz:
            return speech.samples
        resampled = resample(to_float(speech.samples), speech.sample_rate_hz, self.sample_rate_hz)
        return to_int16(resampled)


def check_speech(speech: Speech, who: str, *, retryable: bool = True) -> None:
    """Raise SynthesisError for a result that cannot be speech: wrong kind, empty or silent.

    Float samples are refused here because a NaN would become a plausible number in int16.
    """
    samples = speech.samples
    if samples.dtype != np.int16 or samples.ndim != 1:
        raise SynthesisError(
            f"voice '{who}' returned {samples.dtype} samples of shape {samples.shape}; wanted "
            "int16 [N]",
            retryable=retryable,
        )
    if not len(samples):
        raise SynthesisError(f"voice '{who}' returned no samples", retryable=retryable)
    peak = int(np.abs(samples.astype(np.int32)).max())
    if peak < MIN_PEAK:
        raise SynthesisError(
            f"voice '{who}' returned silence: {len(samples)} samples, peak {peak} of 32768",
            retryable=retryable,
        )
