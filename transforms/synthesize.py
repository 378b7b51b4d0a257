"""Speaks every utterance with its voice; audio that the source carries is only re-encoded."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pyarrow as pa

from schemas.errors import SynthesisError
from schemas.utterance import SPEECH, UTTERANCE, VOICE, Attempt, Measure, Word
from transforms.attempts import Variation, best, score, variation
from transforms.audio import decode_source_audio, encode_flac, resample, to_float, to_int16
from transforms.backends.listening import Aligner, OpenAligner
from transforms.backends.tts import Samples, Speaker, Speech, SpeechBackend
from transforms.environment import versions
from transforms.hearing import align_measures, aligned_words
from transforms.listen import align
from transforms.sound import sound_measures
from transforms.step import Artifacts, BatchFn, Identity, Resources, Step, TableName
from transforms.voices import FACTORS, VoiceBank

Speak: TypeAlias = Callable[[Variation, str], Samples]

MIN_PEAK = 64  # of int16, about -54 dBFS: what never rises above it is silence
SYNTHESIZED = "synthesized"


@dataclass(frozen=True, kw_only=True)
class Synthesize(Step):
    """Spoken text becomes the FLAC that ships, at ``sample_rate_hz``.

    What the sound depends on (voice, backend, library checksums) is in ``voice_digest``, a column
    that the step reads, so a changed voice redoes its own utterances and no others. Each result is
    checked, and tried again with another rate, seed and spelling while its score is under
    ``retry_below`` (transforms/attempts.py); all attempts are kept with their measures.
    """

    bank: VoiceBank
    backends: tuple[SpeechBackend, ...]
    sample_rate_hz: int
    seed: int = 0
    attempts: int = 1
    retry_below: float = 0.0
    aligner: Aligner | None = None  # None: attempts are judged by their sound alone

    name: ClassVar[str] = "synthesize"
    version: ClassVar[int] = 2
    table: ClassVar[TableName] = "utterances"
    memo: ClassVar[bool] = True
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            *(UTTERANCE.field(name) for name in ("id", "turn", "lang")),
            *(UTTERANCE.field(name) for name in ("spoken_text", "audio", "audio_sha256")),
            UTTERANCE.field("provenance"),
            *VOICE,
        ]
    )
    writes: ClassVar[pa.Schema] = SPEECH
    resources: Resources = Resources(batch_rows=1)

    def identity(self) -> Identity:
        return {
            "sample_rate_hz": self.sample_rate_hz,
            "seed": self.seed,
            "attempts": self.attempts,
            "retry_below": self.retry_below,
            "aligner": None if self.aligner is None else self.aligner.identity(),
            **versions("soundfile", "soxr", "numpy"),
        }

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
            aligner = None if self.aligner is None else stack.enter_context(self.aligner.open())

            def speak(how: Variation, voice_id: str) -> Samples:
                voice = voices[voice_id]
                rate = min(FACTORS[1], max(FACTORS[0], voice.spec.rate * how.rate))
                spec = replace(voice.spec, rate=rate, seed=how.seed)
                speech = speakers[voice.backend].speak(how.text, spec)
                check_speech(speech, voice_id)
                return self._at_rate(speech)

            def synthesize(batch: pa.RecordBatch) -> pa.RecordBatch:
                rows = [self._speech(row, speak, aligner) for row in batch.to_pylist()]
                return pa.RecordBatch.from_pylist(rows, schema=SPEECH)

            yield synthesize

    def _speech(
        self, row: dict[str, Any], speak: Speak, aligner: OpenAligner | None
    ) -> dict[str, Any]:
        attempts: list[Attempt] = []
        words: list[Word] = []
        if row["audio"] is not None:
            heard, rate = decode_source_audio(row["audio"])
            samples = to_int16(resample(heard, rate, self.sample_rate_hz))
            check_speech(Speech(samples, self.sample_rate_hz), "of the source", retryable=False)
        else:
            samples, attempts, words = self._best(row, speak, aligner)
        flac = encode_flac(samples, self.sample_rate_hz)
        return {
            "flac": flac,
            "flac_sha256": hashlib.sha256(flac).hexdigest(),
            "sample_rate_hz": self.sample_rate_hz,
            "num_samples": len(samples),
            "audio_provenance": row["provenance"] if row["audio"] is not None else SYNTHESIZED,
            "attempts": attempts,
            "words": words,
            "augmentation": "",
        }

    def _best(
        self, row: dict[str, Any], speak: Speak, aligner: OpenAligner | None
    ) -> tuple[Samples, list[Attempt], list[Word]]:
        """Speak until content or out of attempts; the error of the first if none gave speech."""
        attempts: list[Attempt] = []
        results: list[tuple[Samples, list[Word]]] = []
        first: SynthesisError | None = None
        for number in range(self.attempts):
            lang, text = row["lang"], row["spoken_text"]
            how = variation(number, text, lang, self.seed, row["id"], row["turn"])
            measures: list[Measure] = []
            words: list[Word] = []
            error = ""
            try:
                samples = speak(how, row["voice"])
            except SynthesisError as failed:
                first, error = first or failed, str(failed)
                samples = np.zeros(0, np.int16)
                if not failed.retryable:
                    raise
            else:
                measures, words = self._judge(samples, row, aligner)
            mark = 0.0 if error else score(measures, lang)
            said = "" if how.text == text else how.text
            attempts.append(
                {
                    "number": number,
                    "rate": how.rate,
                    "seed": how.seed,
                    "said": said,
                    "score": mark,
                    "kept": False,
                    "error": error,
                    "measures": measures,
                }
            )
            results.append((samples, words))
            if not error and mark >= self.retry_below:
                break
        if all(item["error"] for item in attempts):
            assert first is not None
            raise first
        kept = best(attempts)
        attempts[kept]["kept"] = True
        return results[kept][0], attempts, results[kept][1]

    def _judge(
        self, samples: Samples, row: dict[str, Any], aligner: OpenAligner | None
    ) -> tuple[list[Measure], list[Word]]:
        """The cheap measures of one attempt, and where its words are."""
        measures = sound_measures(samples, self.sample_rate_hz, row["spoken_text"])
        words: list[Word] = []
        can = self.aligner is not None and row["lang"] in self.aligner.langs
        if aligner is not None and can and row["voice"] not in self.bank.unrecognizable:
            found = align(aligner, samples, self.sample_rate_hz, row["spoken_text"], row["lang"])
            measures, words = [*measures, *align_measures(found)], aligned_words(found)
        return sorted(measures, key=lambda item: item["name"]), words

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
