"""Listens to every utterance: alignment and voice activity.

The step needs a text, a language and audio, and does not ask where the audio came from. What the
attempts of synthesis measured already is taken over and not measured again. What recognizers and
predictors of opinion say is unavailable here: transcribe and rate ask them, compare puts it in.
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
    unavailable,
)
from transforms.audio import decode_flac, resample, to_float, to_int16
from transforms.backends.listening import (
    SAMPLE_RATE_HZ,
    Aligner,
    Alignment,
    OpenAligner,
    OpenVoiceDetector,
    VoiceDetector,
)
from transforms.backends.tts import Samples
from transforms.environment import versions
from transforms.hearing import (
    ALIGN_MEASURES,
    ASR_MEASURES,
    MOS_MEASURES,
    VAD_MEASURES,
    align_measures,
    aligned_words,
    vad_measures,
)
from transforms.step import Artifacts, BatchFn, Identity, Resources, Step, TableName
from transforms.text.heard import heard_words


@dataclass(frozen=True)
class _Ears:
    aligner: OpenAligner | None
    detector: OpenVoiceDetector | None


@dataclass(frozen=True, kw_only=True)
class Listen(Step):
    """Measures of what is heard, all in ``heard``; ``words`` where synthesis left them open.

    A language without an aligner is unavailable, and so is a voice of ``unrecognizable``. None for
    a backend switches its measures off: unavailable.
    """

    aligner: Aligner | None = None
    detector: VoiceDetector | None = None
    unrecognizable: frozenset[str] = frozenset()

    name: ClassVar[str] = "listen"
    version: ClassVar[int] = 2
    table: ClassVar[TableName] = "utterances"
    memo: ClassVar[bool] = True
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            *(UTTERANCE.field(name) for name in ("lang", "spoken_text")),
            VOICE.field("voice"),
            *(SPEECH.field(name) for name in ("flac", "flac_sha256", "attempts", "words")),
        ]
    )
    writes: ClassVar[pa.Schema] = pa.schema([*HEARD, SPEECH.field("words")])
    replaces: ClassVar[frozenset[str]] = frozenset({"words"})
    resources: Resources = Resources(batch_rows=1)

    def identity(self) -> Identity:
        backends = {"aligner": self.aligner, "detector": self.detector}
        return {
            "unrecognizable": sorted(self.unrecognizable),
            **{name: None if item is None else item.identity() for name, item in backends.items()},
            **versions("soundfile", "soxr", "numpy"),
        }

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        with ExitStack() as stack:
            ears = _Ears(
                None if self.aligner is None else stack.enter_context(self.aligner.open()),
                None if self.detector is None else stack.enter_context(self.detector.open()),
            )

            def listen(batch: pa.RecordBatch) -> pa.RecordBatch:
                rows = [self._row(row, ears) for row in batch.to_pylist()]
                return pa.RecordBatch.from_pylist(rows, schema=self.writes)

            yield listen

    def _row(self, row: dict[str, Any], ears: _Ears) -> dict[str, Any]:
        samples = at_16khz(*decode_flac(row["flac"]))
        aligned, words = self._alignment(row, samples, ears.aligner)
        if ears.detector is None:
            voiced = [unavailable(name) for name in VAD_MEASURES]
        else:
            voiced = vad_measures(ears.detector.probabilities(samples))
        later = [unavailable(name) for name in (*ASR_MEASURES, *MOS_MEASURES)]
        heard = sorted([*aligned, *later, *voiced], key=lambda item: item["name"])
        return {"heard": heard, "heard_text": "", "words": words}

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

    def _can(self, row: dict[str, Any], langs: tuple[str, ...]) -> bool:
        return row["lang"] in langs and row["voice"] not in self.unrecognizable


def align(
    aligner: OpenAligner, samples: Samples, rate: int, text: str, lang: str
) -> Alignment | None:
    """Place a text in samples of any rate; None where it has no words or an unknown one."""
    words = heard_words(text, lang)
    return aligner.align(at_16khz(samples, rate), words) if words else None


def at_16khz(samples: Samples, rate: int) -> Samples:
    """Int16 samples of any rate at the rate that listeners read."""
    if rate == SAMPLE_RATE_HZ:
        return samples
    return to_int16(resample(to_float(samples), rate, SAMPLE_RATE_HZ))
