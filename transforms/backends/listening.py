"""The narrow protocols of what listens to speech: an aligner, a recognizer, a voice detector.

Each backend is a frozen, picklable dataclass; nothing heavy is loaded before ``open``. What
``open`` gives is a pure function of its arguments, whatever it heard before and from any thread.
Audio is int16 [N] mono at ``SAMPLE_RATE_HZ``.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from schemas.errors import RowError
from transforms.backends.tts import Samples

SAMPLE_RATE_HZ: Final = 16000


@dataclass(frozen=True)
class AlignedWord:
    """A word, where it is, and how well it fits: mean log likelihood per frame, 0 the best."""

    word: str
    start_s: float
    end_s: float
    fit: float


@dataclass(frozen=True)
class Alignment:
    """The words of a text placed in audio; no words: no path through the audio was found."""

    words: tuple[AlignedWord, ...]


class OpenAligner(Protocol):
    """An opened aligner."""

    def align(self, samples: Samples, words: list[str]) -> Alignment | None:
        """Place the words. None where a word has no pronunciation, so nothing can be said."""


class Aligner(Protocol):
    """Places the words of a known text in audio."""

    @property
    def langs(self) -> tuple[str, ...]:
        """The languages it knows: ISO 639-1 codes."""

    def identity(self) -> Mapping[str, object]:
        """What its results depend on."""

    def open(self) -> AbstractContextManager[OpenAligner]:
        """Load the models, once per worker."""


@dataclass(frozen=True)
class Clip:
    """Speech to be recognized: int16 samples [N] at SAMPLE_RATE_HZ, and what language it is in.

    ``flac`` is the file that they come from, at its own rate, for services that take files.
    """

    samples: Samples
    lang: str
    flac: bytes = b""
    flac_sha256: str = ""


@dataclass(frozen=True)
class Request:
    """A request to a service that was needed: the key of its committed reply, and what counts."""

    key: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    audio_ms: int = 0  # of the clip that was heard


@dataclass(frozen=True)
class Transcript:
    """What is heard, empty if nothing is; or the error of this very clip."""

    text: str = ""
    error: RowError | None = None
    requests: tuple[Request, ...] = ()


class OpenRecognizer(Protocol):
    """An opened recognizer."""

    def transcribe(self, clips: Sequence[Clip]) -> list[Transcript]:
        """What is heard in each clip, whatever the others are."""


class Recognizer(Protocol):
    """Speech to text."""

    @property
    def langs(self) -> tuple[str, ...]:
        """The languages it knows: ISO 639-1 codes."""

    @property
    def batch_rows(self) -> int:
        """How many clips it wants at once."""

    @property
    def gpus(self) -> float:
        """The share of a GPU that one worker needs."""

    @property
    def bit_stable(self) -> bool:
        """Whether the same clip always gives the same text; otherwise the first one counts."""

    def identity(self) -> Mapping[str, object]:
        """What its results depend on."""

    def check(self) -> None:
        """Raise BackendError, with the cure, for what can be seen without loading weights."""

    def open(self) -> AbstractContextManager[OpenRecognizer]:
        """Load the models, once per worker. Raises BackendError."""


class OpenVoiceDetector(Protocol):
    """An opened voice detector."""

    def probabilities(self, samples: Samples) -> npt.NDArray[np.float32]:
        """The probability of speech [T] in each whole window of 32 ms (512 samples)."""


class VoiceDetector(Protocol):
    """Tells speech from what is not, in any language."""

    def identity(self) -> Mapping[str, object]:
        """What its results depend on."""

    def open(self) -> AbstractContextManager[OpenVoiceDetector]:
        """Load the model, once per worker."""
