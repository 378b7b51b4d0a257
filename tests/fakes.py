"""Backends that need no library: a voice of tones, ears, and a chat model, some as services."""

import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from schemas.errors import BackendError, SynthesisError
from tests.chat_server import obedient
from tests.sound import RATE_HZ, pcm16
from transforms.backends import asr_endpoint
from transforms.backends.asr_endpoint import HearAsk, TranscriptionEndpoint
from transforms.backends.chat.protocol import (
    Ask,
    Reply,
    RequestRefused,
    Sampling,
)
from transforms.backends.listening import Clip, Transcript
from transforms.backends.tts import Said, Say, Speech, TokenSet, VoiceSpec
from transforms.backends.tts_endpoint import SpeechEndpoint
from transforms.backends.tts_tokens import with_tokens
from transforms.backends.tts_wire import SpeechAsk, SpeechForm, speech_reply

TONES = {"low": 150.0, "middle": 220.0, "high": 330.0}
WORDS = ("it", "follows", "that", "is", "all", "blue", "北京", "")
EARS_LANGS = ("en", "zh")


@dataclass(frozen=True)
class Tone:
    """A speech backend that needs milliseconds: three tones that follow from text and voice."""

    salt: str = ""

    @property
    def name(self) -> str:
        return "tone"

    def identity(self, voice: VoiceSpec) -> Mapping[str, object]:
        return {"backend": self.name, "salt": self.salt}

    def check(self, voice: VoiceSpec) -> None:
        if voice.name not in TONES:
            raise BackendError(f"tone: no voice {voice.name!r}; it has {', '.join(TONES)}")

    @contextmanager
    def open(self) -> Iterator["Tone"]:
        yield self

    def speak(self, text: str, voice: VoiceSpec) -> Speech:
        if not text.strip():
            raise SynthesisError("tone: nothing to say in an empty text")
        word = hashlib.sha256(f"{self.salt}/{voice}/{text}".encode()).digest()
        seconds = (0.45 + 0.004 * min(len(text), 60)) / voice.rate
        pitches = TONES[voice.name] * voice.pitch * (1.0 + np.frombuffer(word[:3], np.uint8) / 64)
        steps = np.repeat(pitches, int(seconds * RATE_HZ / 3)) / RATE_HZ
        wave = np.sin(2 * np.pi * np.cumsum(steps)) * (0.2 + word[3] / 512)
        quiet = np.zeros(RATE_HZ // 50)
        return Speech(pcm16(np.concatenate([quiet, wave, quiet])), RATE_HZ)


@dataclass(frozen=True)
class TokenTone(Tone):
    """Tone, which says that it made its samples from tokens: one of 5 for every 640 of them."""

    word: str = "tone"

    @property
    def name(self) -> str:
        return self.word

    def token_set(self) -> TokenSet:
        return TokenSet(model="tone", model_sha256="", codebook_size=5, frame_rate_hz=25.0)

    def speak_batch(self, items: Sequence[Say]) -> list[Said]:
        return [self._said(item) for item in items]

    def _said(self, item: Say) -> Said:
        speech = self.speak(item.text, item.voice)
        if not item.tokens:
            return Said(speech)
        codes = np.abs(speech.samples[::640].astype(np.int64)) % 5
        return Said(with_tokens(speech, [codes], self.token_set(), self.name))


@dataclass(frozen=True)
class ToneService:
    """A speech service that answers in this process: Tone's samples, as a server's replies."""

    faulty: float = 0.0

    sampling = Sampling(model="tone")
    max_in_flight = 8
    processes = 1

    def identity(self) -> Mapping[str, object]:
        return {"service": "tone"}

    @asynccontextmanager
    async def open(self) -> AsyncIterator["ToneService"]:
        yield self

    async def complete(self, ask: Ask) -> Reply:
        assert isinstance(ask, SpeechAsk)
        if int(hashlib.sha256(ask.text.encode()).hexdigest()[:4], 16) / 65536 < self.faulty:
            raise RequestRefused(f"tone: will not say {ask.text[:20]!r}")
        return speech_reply("tone", Tone().speak(ask.text, ask.voice), {"input_tokens": 3})


def tone_endpoint(faulty: float = 0.0) -> SpeechEndpoint:
    """The Tone backend behind an endpoint."""
    form = SpeechForm(model="tone")
    return SpeechEndpoint(name="tone", service=ToneService(faulty), form=form)


def heard_in(sound: bytes, salt: str = "") -> str:
    """A few words that follow from the sound, sometimes none."""
    drawn = hashlib.sha256(salt.encode() + sound).digest()
    return " ".join(WORDS[item % len(WORDS)] for item in drawn[: drawn[-1] % 6]).strip()


@dataclass(frozen=True)
class Ears:
    """A recognizer that needs microseconds: its words follow from the samples and ``salt``."""

    salt: str = ""
    langs: tuple[str, ...] = EARS_LANGS

    batch_rows: ClassVar[int] = 4
    gpus: ClassVar[float] = 0.0
    bit_stable: ClassVar[bool] = True

    def identity(self) -> Mapping[str, object]:
        return {"backend": "ears", "salt": self.salt, "langs": self.langs}

    def check(self) -> None:
        pass

    @contextmanager
    def open(self) -> Iterator["Ears"]:
        yield self

    def transcribe(self, clips: Sequence[Clip]) -> list[Transcript]:
        return [
            Transcript(heard_in(clip.samples.tobytes(), self.salt + clip.lang)) for clip in clips
        ]


@dataclass(frozen=True)
class EarsService:
    """A transcription service that answers in this process, and refuses a share of the clips."""

    faulty: float = 0.0

    sampling = Sampling(model="ears")
    max_in_flight = 8
    processes = 1

    def identity(self) -> Mapping[str, object]:
        return {"service": "ears", "faulty": self.faulty}

    @asynccontextmanager
    async def open(self) -> AsyncIterator["EarsService"]:
        yield self

    async def complete(self, ask: Ask) -> Reply:
        assert isinstance(ask, HearAsk)
        if int(ask.flac_sha256[:4], 16) / 65536 < self.faulty:
            raise RequestRefused(f"ears: will not hear {ask.flac_sha256[:8]}")
        return Reply(
            text=heard_in(ask.flac, ask.lang),
            finish_reason=asr_endpoint.HEARD,
            refusal="",
            model=self.sampling.model,
            prompt_tokens=len(ask.flac) // 1000,
            completion_tokens=3,
            attempts=1,
        )


def ears_endpoint(faulty: float = 0.0) -> TranscriptionEndpoint:
    """A recognizer behind an endpoint."""
    return TranscriptionEndpoint(service=EarsService(faulty), langs=EARS_LANGS)


@dataclass(frozen=True, kw_only=True)
class Parrot:
    """A chat backend in process: the tests' server's model, whose replies follow from the request.

    ``faulty`` is the share of requests, by their digest, that get a reply without an answer.
    """

    sampling: Sampling = Sampling(model="parrot")
    max_in_flight: int = 64
    processes: int = 1
    faulty: float = 0.0

    def identity(self) -> Mapping[str, object]:
        return {"model": self.sampling.model, "faulty": self.faulty}

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Parrot"]:
        yield self

    async def complete(self, ask: Ask) -> Reply:
        messages = [{"role": role, "content": content} for role, content in ask.messages]
        text = obedient({"messages": messages})
        if int(ask.key(self.identity())[:8], 16) < self.faulty * 2**32:
            text = "I will not say it in JSON."
        return Reply(
            text=text,
            finish_reason="stop",
            refusal="",
            model=self.sampling.model,
            prompt_tokens=100,
            completion_tokens=len(text) // 4,
            attempts=1,
        )
