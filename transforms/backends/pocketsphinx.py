"""CMU PocketSphinx with its bundled en-us model: forced alignment and recognition of English.

A decoder carries its mean and noise estimates from clip to clip: ``reinit_feat`` before each makes
the order of clips irrelevant. Scoring every second frame (``ds=2``) would be a third faster, but
then scores of the clip before leak into this one, so every frame is scored. One Gaussian per
codebook aligns a third faster than four and accepts fewer wrong texts; that, and limits on active
states, more than double the recognizer's speed for about two points of WER.
"""

import math
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from transforms.backends.listening import (
    SAMPLE_RATE_HZ,
    AlignedWord,
    Alignment,
    Clip,
    OpenAligner,
    OpenRecognizer,
    Transcript,
)
from transforms.backends.pronounce import Pronounce, lexicon
from transforms.backends.tts import Samples
from transforms.environment import versions

if TYPE_CHECKING:
    from pocketsphinx import Decoder

FRAMES_PER_S: Final = 100
MIN_SAMPLES: Final = 1600  # 0.1 s: less holds no word, and the front end wants whole frames
ALIGNER: Final[Mapping[str, Any]] = {"topn": 1, "beam": 1e-40, "pbeam": 1e-40, "wbeam": 1e-30}
RECOGNIZER: Final[Mapping[str, Any]] = {
    "topn": 1,
    "fwdflat": False,
    "maxhmmpf": 1500,
    "maxwpf": 5,
}
FLOOR: Final = 1e-300  # a likelihood that underflowed
MAX_ADDED: Final = 20_000  # words added to a dictionary before it is loaded anew
_VARIANT: Final = re.compile(r"\(\d+\)$")


@dataclass(frozen=True)
class PocketsphinxAligner:
    """The aligner ``pocketsphinx``. Words that its dictionary lacks are pronounced by flite."""

    @property
    def langs(self) -> tuple[str, ...]:
        """English alone."""
        return ("en",)

    def identity(self) -> Mapping[str, object]:
        """Version, options and the lexicon behind unknown words."""
        return {
            "backend": "pocketsphinx",
            "options": dict(ALIGNER),
            "lexicon": lexicon().identity(),
            **versions("pocketsphinx", "cpu"),
        }

    @contextmanager
    def open(self) -> Iterator[OpenAligner]:
        """Load the acoustic model and the dictionary, 0.2 s."""
        yield _Aligner(lexicon())


@dataclass(frozen=True)
class PocketsphinxRecognizer:
    """The recognizer ``pocketsphinx``: the bundled trigram model."""

    batch_rows: ClassVar[int] = 1
    gpus: ClassVar[float] = 0.0
    bit_stable: ClassVar[bool] = True

    @property
    def langs(self) -> tuple[str, ...]:
        """English alone."""
        return ("en",)

    def check(self) -> None:
        """It comes with the package."""

    def identity(self) -> Mapping[str, object]:
        """Version and options."""
        return {
            "backend": "pocketsphinx",
            "options": dict(RECOGNIZER),
            **versions("pocketsphinx", "cpu"),
        }

    @contextmanager
    def open(self) -> Iterator[OpenRecognizer]:
        """Load acoustic and language model, 0.3 s."""
        yield _Recognizer()


def _decoder(**options: object) -> "Decoder":
    from pocketsphinx import Decoder

    return Decoder(loglevel="FATAL", **options)


def _hear(decoder: "Decoder", samples: Samples) -> None:
    decoder.reinit_feat()
    decoder.start_utt()
    try:
        decoder.process_raw(samples.tobytes(), full_utt=True)
    finally:
        decoder.end_utt()


class _Aligner:
    def __init__(self, pronounce: Pronounce) -> None:
        self._pronounce = pronounce
        self._lock = threading.Lock()
        self._decoder = _decoder(lm=None, **ALIGNER)
        self._added = 0

    def align(self, samples: Samples, words: list[str]) -> Alignment | None:
        with self._lock:
            if not words or not all([self._knows(word) for word in words]):
                return None
            if len(samples) < MIN_SAMPLES:
                return Alignment(())
            self._decoder.set_align_text(" ".join(words))
            _hear(self._decoder, samples)
            if self._decoder.hyp() is None:
                return Alignment(())
            end_s = len(samples) / SAMPLE_RATE_HZ
            placed = tuple(_placed(segment, end_s) for segment in self._decoder.seg())
        found = tuple(item for item in placed if item.word[0] not in "<[+(")
        return Alignment(found if len(found) == len(words) else ())

    def _knows(self, word: str) -> bool:
        if self._decoder.lookup_word(word) is not None:
            return True
        phones = self._pronounce.phones(word)
        if not phones:
            return False
        if self._added >= MAX_ADDED:
            self._decoder, self._added = _decoder(lm=None, **ALIGNER), 0
        self._decoder.add_word(word, " ".join(phones), update=False)
        self._added += 1
        return True


def _placed(segment: Any, end_s: float) -> AlignedWord:  # noqa: ANN401 - a class of an untyped extension
    num_frames = segment.end_frame - segment.start_frame + 1
    return AlignedWord(
        word=_VARIANT.sub("", segment.word),
        start_s=segment.start_frame / FRAMES_PER_S,
        end_s=min((segment.end_frame + 1) / FRAMES_PER_S, end_s),
        fit=math.log(max(segment.ascore, FLOOR)) / max(1, num_frames),
    )


class _Recognizer:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._decoder = _decoder(**RECOGNIZER)

    def transcribe(self, clips: Sequence[Clip]) -> list[Transcript]:
        return [Transcript(self._text(clip.samples)) for clip in clips]

    def _text(self, samples: Samples) -> str:
        if len(samples) < MIN_SAMPLES:
            return ""
        with self._lock:
            _hear(self._decoder, samples)
            found = self._decoder.hyp()
        return found.hypstr if found is not None else ""
