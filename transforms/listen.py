"""Listens to every utterance: alignment, speech recognition on a fraction, voice activity.

The step needs a text, a language and audio, and does not ask where the audio came from. What the
attempts of synthesis measured already is taken over and not measured again.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from schemas.utterance import (
    HEARD,
    SPEECH,
    UTTERANCE,
    VOICE,
    Measure,
    Word,
    not_sampled,
    unavailable,
)
from transforms.audio import decode_flac, resample, to_float, to_int16
from transforms.backends.listening import (
    SAMPLE_RATE_HZ,
    Aligner,
    Alignment,
    OpenAligner,
    OpenRecognizer,
    OpenVoiceDetector,
    Recognizer,
    VoiceDetector,
)
from transforms.backends.tts import Samples
from transforms.environment import versions
from transforms.hearing import (
    ALIGN_MEASURES,
    ASR_MEASURES,
    VAD_MEASURES,
    align_measures,
    aligned_words,
    asr_measures,
    vad_measures,
)
from transforms.randomness import draw
from transforms.step import Artifacts, BatchFn, Identity, Resources, Step, TableName
from transforms.text.heard import heard_words


@dataclass(frozen=True)
class _Ears:
    aligner: OpenAligner | None
    recognizer: OpenRecognizer | None
    detector: OpenVoiceDetector | None


@dataclass(frozen=True, kw_only=True)
class Listen(Step):
    """Measures of what is heard, all in ``heard``; ``words`` where synthesis left them open.

    ``asr_fraction`` of the utterances, by a hash of (seed, id, turn), are transcribed; the others
    are not_sampled. A language without a recognizer or an aligner is unavailable, and so is a voice
    of ``unrecognizable``. None for a backend switches its measures off: unavailable.
    """

    seed: int
    asr_fraction: float = 0.0
    aligner: Aligner | None = None
    recognizer: Recognizer | None = None
    detector: VoiceDetector | None = None
    unrecognizable: frozenset[str] = frozenset()

    name: ClassVar[str] = "listen"
    version: ClassVar[int] = 1
    table: ClassVar[TableName] = "utterances"
    memo: ClassVar[bool] = True
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            *(UTTERANCE.field(name) for name in ("id", "turn", "lang", "spoken_text")),
            VOICE.field("voice"),
            *(SPEECH.field(name) for name in ("flac", "flac_sha256", "attempts", "words")),
        ]
    )
    writes: ClassVar[pa.Schema] = pa.schema([*HEARD, SPEECH.field("words")])
    replaces: ClassVar[frozenset[str]] = frozenset({"words"})
    resources: Resources = Resources(batch_rows=1)

    def identity(self) -> Identity:
        backends = {
            "aligner": self.aligner,
            "recognizer": self.recognizer,
            "detector": self.detector,
        }
        return {
            "seed": self.seed,
            "asr_fraction": self.asr_fraction,
            "unrecognizable": sorted(self.unrecognizable),
            **{name: None if item is None else item.identity() for name, item in backends.items()},
            **versions("soundfile", "soxr", "numpy", "rapidfuzz"),
        }

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        with ExitStack() as stack:
            asks = self.recognizer is not None and self.asr_fraction > 0
            ears = _Ears(
                None if self.aligner is None else stack.enter_context(self.aligner.open()),
                stack.enter_context(self.recognizer.open())
                if asks and self.recognizer is not None
                else None,
                None if self.detector is None else stack.enter_context(self.detector.open()),
            )

            def listen(batch: pa.RecordBatch) -> pa.RecordBatch:
                rows = [self._row(row, ears) for row in batch.to_pylist()]
                return pa.RecordBatch.from_pylist(rows, schema=self.writes)

            yield listen

    def _row(self, row: dict[str, Any], ears: _Ears) -> dict[str, Any]:
        samples = _at_16khz(*decode_flac(row["flac"]))
        aligned, words = self._alignment(row, samples, ears.aligner)
        recognized, text = self._recognition(row, samples, ears.recognizer)
        if ears.detector is None:
            voiced = [unavailable(name) for name in VAD_MEASURES]
        else:
            voiced = vad_measures(ears.detector.probabilities(samples))
        heard = sorted([*aligned, *recognized, *voiced], key=lambda item: item["name"])
        return {"heard": heard, "heard_text": text, "words": words}

    def _alignment(
        self, row: dict[str, Any], samples: Samples, aligner: OpenAligner | None
    ) -> tuple[list[Measure], list[Word]]:
        kept = next((item for item in row["attempts"] if item["kept"]), None)
        known = [] if kept is None else kept["measures"]
        found = [item for item in known if item["name"] in ALIGN_MEASURES]
        if found:
            return found, row["words"]
        if aligner is None or self.aligner is None or not self._can(row, self.aligner.langs):
            return align_measures(None), row["words"]
        alignment = align(aligner, samples, SAMPLE_RATE_HZ, row["spoken_text"], row["lang"])
        return align_measures(alignment), aligned_words(alignment)

    def _recognition(
        self, row: dict[str, Any], samples: Samples, recognizer: OpenRecognizer | None
    ) -> tuple[list[Measure], str]:
        if recognizer is None or self.recognizer is None:
            return [unavailable(name) for name in ASR_MEASURES], ""
        if not self._can(row, self.recognizer.langs):
            return [unavailable(name) for name in ASR_MEASURES], ""
        if draw(self.seed, "asr", row["id"], str(row["turn"])) >= self.asr_fraction:
            return [not_sampled(name) for name in ASR_MEASURES], ""
        lang = row["lang"]
        text = recognizer.transcribe(samples, lang)
        said = heard_words(row["spoken_text"], lang)
        return asr_measures(said, heard_words(text, lang) if text else []), text

    def _can(self, row: dict[str, Any], langs: tuple[str, ...]) -> bool:
        return row["lang"] in langs and row["voice"] not in self.unrecognizable


def align(
    aligner: OpenAligner, samples: Samples, rate: int, text: str, lang: str
) -> Alignment | None:
    """Place a text in samples of any rate; None where it has no words or an unknown one."""
    words = heard_words(text, lang)
    return aligner.align(_at_16khz(samples, rate), words) if words else None


def _at_16khz(samples: Samples, rate: int) -> Samples:
    if rate == SAMPLE_RATE_HZ:
        return samples
    return to_int16(resample(to_float(samples), rate, SAMPLE_RATE_HZ))
