"""The narrow protocol of a speech backend: what it needs, what its bytes depend on, speech."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[np.int16]


@dataclass(frozen=True, kw_only=True)
class VoiceSpec:
    """What a backend is told about the voice it shall use.

    ``rate`` multiplies the speaking rate (1.2 is a fifth faster). ``pitch`` multiplies the pitch.
    ``seed`` is what a backend that samples draws from; one that does not may ignore it.
    """

    name: str  # the backend's own name for the voice
    lang: str
    rate: float = 1.0
    pitch: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Speech:
    """One mono signal: ``samples`` int16 [N] at ``sample_rate_hz``."""

    samples: Samples
    sample_rate_hz: int


class Speaker(Protocol):
    """An opened backend. ``speak`` is a pure function of its arguments."""

    def speak(self, text: str, voice: VoiceSpec) -> Speech:
        """Say ``text``. Raises SynthesisError where this text cannot be spoken."""


class SpeechBackend(Protocol):
    """A backend before anything heavy is loaded: a frozen, picklable dataclass."""

    @property
    def name(self) -> str:
        """The word that voices of a bank use for it."""

    def identity(self, voice: VoiceSpec) -> Mapping[str, object]:
        """What the bytes depend on besides text and voice: library checksums, versions."""

    def check(self, voice: VoiceSpec) -> None:
        """Raise BackendError, with the cure, if this voice cannot be used here."""

    def open(self) -> AbstractContextManager[Speaker]:
        """Load the libraries, once per worker."""
