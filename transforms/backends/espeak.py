"""espeak-ng from the wheel ``espeakng-loader``: any language, anywhere, robotic.

It speaks in a helper process (see espeak_child.py), because only a fork per utterance gives the
same samples every time. Its speech is too synthetic for speech recognition to check.
"""

import difflib
import hashlib
import importlib.metadata
import json
import math
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import espeakng_loader
import numpy as np

from schemas.errors import BackendError, SynthesisError
from transforms.backends import espeak_child
from transforms.backends.espeak_child import ANSWER_HEAD, NO_VOICE, OK, REQUEST_HEAD, Request
from transforms.backends.tts import Speaker, Speech, VoiceSpec

NORMAL_WPM: Final = 175
WPM_RANGE: Final = (80, 450)  # espeak-ng's own; beyond it, it drops samples
PITCH_RANGE: Final = (0.5, 1.98)
CURE: Final = "reinstall its wheel: `pip install --force-reinstall espeakng-loader==0.2.4`"


@dataclass(frozen=True)
class Espeak:
    """The backend ``espeak``. A voice's name is a language, or a language+variant: ``cmn+f2``."""

    @property
    def name(self) -> str:
        """The word that voices of a bank use for it."""
        return "espeak"

    def identity(self, voice: VoiceSpec) -> Mapping[str, object]:
        """Checksums of the library and of all its data (voices borrow each other's phonemes)."""
        library, data = _library_path(), _data_dir()
        return {
            "backend": self.name,
            "wheel": importlib.metadata.version("espeakng-loader"),
            "library": hashlib.sha256(library.read_bytes()).hexdigest(),
            "data": _tree_digest(data),
        }

    def check(self, voice: VoiceSpec) -> None:
        """Ask espeak-ng for the voice. Raises BackendError with the cure."""
        _library_path()
        with self.open() as speaker:
            assert isinstance(speaker, EspeakSpeaker)
            speaker.check(voice)

    @contextmanager
    def open(self) -> Iterator[Speaker]:
        """Start the helper process. Raises BackendError."""
        speaker = EspeakSpeaker(_library_path(), _data_dir())
        try:
            yield speaker
        finally:
            speaker.close()


class _HelperDied(Exception):
    """The helper went away while it was asked."""


class EspeakSpeaker:
    """One helper process, restarted when it has died. Usable from several threads."""

    def __init__(self, library: Path, data_dir: Path) -> None:
        self._library, self._data_dir = library, data_dir
        self._lock = threading.Lock()
        self._helper: subprocess.Popen[bytes] | None = None
        self._owner_pid = os.getpid()
        with self._lock:
            self._start()

    @property
    def helper_pid(self) -> int | None:
        """The helper's process id, for tests and for a look from outside."""
        return self._helper.pid if self._helper else None

    def speak(self, text: str, voice: VoiceSpec) -> Speech:
        """Say ``text``. Raises SynthesisError, or BackendError for a voice that is not there."""
        shown = text if len(text) <= 60 else text[:57] + "..."
        if "\0" in text or not any(letter.isalnum() for letter in text):
            raise SynthesisError(f"espeak: nothing to say in {shown!r}: wants a letter or a digit")
        status, rate_hz, payload = self._ask(self._request(text, voice))
        if status != OK:
            self._refuse_voice(status, voice)
            raise SynthesisError(f"espeak: {payload.decode(errors='replace')}, asked for {shown!r}")
        samples = np.frombuffer(payload, dtype=np.int16)
        if not samples.any():
            raise SynthesisError(f"espeak: voice {voice.name!r} gave no samples for {shown!r}")
        return Speech(samples=samples, sample_rate_hz=rate_hz)

    def check(self, voice: VoiceSpec) -> None:
        """Raise BackendError if espeak-ng has no such voice or cannot speak like that."""
        status, _, _ = self._ask(self._request("", voice))
        self._refuse_voice(status, voice)

    def close(self) -> None:
        """End the helper. A later ``speak`` would start a new one."""
        with self._lock:
            self._stop()

    def _request(self, text: str, voice: VoiceSpec) -> Request:
        wpm = round(NORMAL_WPM * voice.rate)
        low, high = PITCH_RANGE
        if not (WPM_RANGE[0] <= wpm <= WPM_RANGE[1] and low <= voice.pitch <= high):
            raise BackendError(
                f"espeak: voice {voice.name!r} with rate {voice.rate} and pitch {voice.pitch}: "
                f"wants a rate from {WPM_RANGE[0] / NORMAL_WPM:.2f} to "
                f"{WPM_RANGE[1] / NORMAL_WPM:.2f} and a pitch from {low} to {high}"
            )
        variant = voice.name.partition("+")[2]
        variants = _file_names(self._data_dir / "voices" / "!v")
        # An unknown variant is not an error to espeak-ng: it speaks without one.
        if "+" in voice.name and variant not in variants:
            raise BackendError(
                f"espeak: no variant {variant!r} for voice {voice.name!r}{_near(variant, variants)}"
                f"; it has {', '.join(sorted(variants))}"
            )
        # pitch_adjust_tab of espeak-ng's voices.c is 128 * 2 ** ((p - 50) / 50).
        pitch = round(50 + 50 * math.log2(voice.pitch))
        return {"text": text, "voice": voice.name, "wpm": wpm, "pitch": min(max(pitch, 0), 99)}

    def _refuse_voice(self, status: int, voice: VoiceSpec) -> None:
        if status == NO_VOICE:
            known = _languages(self._data_dir)
            raise BackendError(
                f"espeak: no voice {voice.name!r}{_near(voice.name.partition('+')[0], known)}; "
                f"it has {', '.join(sorted(known))}"
            )

    def _ask(self, request: Request) -> tuple[int, int, bytes]:
        body = json.dumps(request).encode()
        with self._lock:
            for _ in range(2):  # the helper may have been killed since the last utterance
                try:
                    return self._exchange(REQUEST_HEAD.pack(len(body)) + body)
                except (_HelperDied, OSError):
                    self._stop()
        raise SynthesisError("espeak: its helper process died twice", retryable=True)

    def _exchange(self, message: bytes) -> tuple[int, int, bytes]:
        if self._owner_pid != os.getpid():  # a fork of us must not talk into our pipe
            self._helper, self._owner_pid = None, os.getpid()
        helper = self._helper or self._start()
        assert helper.stdin is not None
        helper.stdin.write(message)
        helper.stdin.flush()
        return self._receive(helper)

    def _receive(self, helper: subprocess.Popen[bytes]) -> tuple[int, int, bytes]:
        assert helper.stdout is not None
        head = helper.stdout.read(ANSWER_HEAD.size)
        if len(head) < ANSWER_HEAD.size:
            raise _HelperDied
        status, rate_hz, length = ANSWER_HEAD.unpack(head)
        payload = helper.stdout.read(length)
        if len(payload) < length:
            raise _HelperDied
        return status, rate_hz, payload

    def _start(self) -> subprocess.Popen[bytes]:
        # -I -S: neither the working directory nor site-packages can change what the helper runs.
        self._helper = subprocess.Popen(
            [sys.executable, "-I", "-S", espeak_child.__file__, self._library, self._data_dir],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            status, _, payload = self._receive(self._helper)
        except _HelperDied:
            status, payload = espeak_child.FAILED, b"its helper process ended at once"
        if status != OK:
            self._stop()
            raise BackendError(f"espeak: {payload.decode(errors='replace')}; {CURE}")
        return self._helper

    def _stop(self) -> None:
        helper, self._helper = self._helper, None
        if helper is None or self._owner_pid != os.getpid():
            return
        assert helper.stdin is not None
        assert helper.stdout is not None
        try:
            helper.stdin.close()  # end of input: the helper ends by itself
        except OSError:
            helper.kill()  # it died with our bytes unread
        try:
            helper.wait(timeout=10)
        except subprocess.TimeoutExpired:
            helper.kill()
            helper.wait()
        helper.stdout.close()


def _library_path() -> Path:
    path = Path(espeakng_loader.get_library_path())
    if not path.is_file():
        raise BackendError(f"espeak: no library at {path}; {CURE}")
    return path


def _data_dir() -> Path:
    try:
        return Path(espeakng_loader.get_data_path())
    except RuntimeError as error:
        raise BackendError(f"espeak: {error}; {CURE}") from error


def _near(word: str, known: frozenset[str]) -> str:
    close = difflib.get_close_matches(word, sorted(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


@cache
def _file_names(directory: Path) -> frozenset[str]:
    return frozenset(path.name for path in directory.iterdir() if path.is_file())


@cache
def _languages(data_dir: Path) -> frozenset[str]:
    """The language codes of the voices: what a voice's name may be."""
    return frozenset(p.name.lower() for p in (data_dir / "lang").rglob("*") if p.is_file())


@cache
def _tree_digest(root: Path) -> str:
    """SHA-256 over names and contents of all files, in the order of their names. 19 MB: 0.1 s."""
    digest = hashlib.sha256()
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(root).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()
