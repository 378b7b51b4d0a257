"""The narrow protocol of a speech backend: what it needs, what its bytes depend on, speech."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from schemas.errors import RowError, SynthesisError

Samples: TypeAlias = npt.NDArray[np.int16]

MANNERS: Final = ("style", "emotion", "instruction")  # of a voice; a backend may honor them


@dataclass(frozen=True)
class Reference:
    """A clip of the speaker that a voice is cloned from, and what is said in it.

    ``path`` changes no byte and is in no manifest; ``sha256`` is that of the file.
    """

    path: str
    sha256: str
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class VoiceSpec:
    """What a backend is told about the voice it shall use.

    ``rate`` multiplies the speaking rate (1.2 is a fifth faster). ``pitch`` multiplies the pitch.
    ``seed`` is what a backend that samples draws from; one that does not may ignore it.
    ``style``, ``emotion`` and ``instruction`` are honored by backends that say so (``honored``).
    ``task`` is a word of an endpoint's own, such as ``VoiceDesign``.
    """

    name: str  # the backend's own name for the voice
    lang: str
    rate: float = 1.0
    pitch: float = 1.0
    seed: int = 0
    reference: Reference | None = None
    style: str = ""
    emotion: str = ""
    instruction: str = ""
    task: str = ""


@dataclass(frozen=True)
class Tokens:
    """The discrete tokens from which a model made a signal, from its first sample on.

    ``codes`` int32 [nq, T]; each of the T frames became ``hop_samples`` of that signal.
    """

    codes: npt.NDArray[np.int32]
    hop_samples: int


@dataclass(frozen=True, kw_only=True)
class TokenSet:
    """Which tokens a backend gives: those of a model's vocabulary, known by its checksum."""

    model: str  # the name of its file
    model_sha256: str
    codebook_size: int
    frame_rate_hz: float
    num_codebooks: int = 1


@dataclass(frozen=True)
class Speech:
    """One mono signal: ``samples`` int16 [N] at ``sample_rate_hz``; ``tokens`` if asked for."""

    samples: Samples
    sample_rate_hz: int
    tokens: Tokens | None = None


@dataclass(frozen=True)
class Say:
    """One utterance of a batch. ``tokens``: the backend shall hand over those of its model."""

    text: str
    voice: VoiceSpec
    tokens: bool = False


@dataclass(frozen=True)
class Paid:
    """One call of an endpoint behind a result; its key is that of the kept reply."""

    key: str
    characters: int
    prompt_tokens: int = 0
    completion_tokens: int = 0
    audio_ms: int = 0  # of the speech that came


@dataclass(frozen=True)
class Said:
    """What came of a Say: speech, or why there is none; and what was paid for it."""

    speech: Speech | None
    error: RowError | None = None
    paid: tuple[Paid, ...] = ()


class Speaker(Protocol):
    """An opened backend. ``speak`` is a pure function of its arguments."""

    def speak(self, text: str, voice: VoiceSpec) -> Speech:
        """Say ``text``. Raises SynthesisError where this text cannot be spoken."""


@runtime_checkable
class BatchSpeaker(Protocol):
    """A speaker that gains by saying several utterances at once."""

    def speak_batch(self, items: Sequence[Say]) -> list[Said]:
        """The results in order. What else is in the batch changes none of them."""


class SpeechBackend(Protocol):
    """A backend before anything heavy is loaded: a frozen, picklable dataclass.

    Optional: ``honors`` (which of MANNERS it follows), ``bit_stable`` (False: the same call may
    give other bytes another time, so the first committed result counts), ``batch_rows`` and
    ``gpus`` (what a worker that runs it needs).
    """

    @property
    def name(self) -> str:
        """The word that voices of a bank use for it."""

    def identity(self, voice: VoiceSpec) -> Mapping[str, object]:
        """What the bytes depend on besides text and voice: library checksums, versions."""

    def check(self, voice: VoiceSpec) -> None:
        """Raise BackendError, with the cure, if this voice cannot be used here."""

    def open(self) -> AbstractContextManager[Speaker]:
        """Load the libraries, once per worker."""


@runtime_checkable
class TokenBackend(Protocol):
    """A backend whose model makes speech from tokens, and whose speaker is a BatchSpeaker."""

    def token_set(self) -> TokenSet:
        """What tokens a Say gets that asks for them. Raises BackendError where none can be had."""


def speak_all(speaker: Speaker, items: Sequence[Say]) -> list[Said]:
    """Say several utterances, as one batch where the speaker can."""
    if isinstance(speaker, BatchSpeaker):
        return speaker.speak_batch(items)
    found = []
    for item in items:
        try:
            found.append(Said(speaker.speak(item.text, item.voice)))
        except SynthesisError as error:
            found.append(Said(None, error))
    return found


def spoken(said: Said) -> Speech:
    """The speech of a result. Raises its error where there is none."""
    if said.speech is None:
        assert said.error is not None
        raise said.error
    return said.speech


def honored(backend: SpeechBackend) -> frozenset[str]:
    """Which of MANNERS a backend follows."""
    found: frozenset[str] = getattr(backend, "honors", frozenset())
    return found


def bit_stable(backend: SpeechBackend) -> bool:
    """Whether the same call gives the same bytes for ever."""
    return bool(getattr(backend, "bit_stable", True))
