"""CMU Flite in process: real English voices at 80 to 2,000 times real time on one core.

Flite has two habits that would make output depend on what was said before, and where:

* It draws its noise from libc's ``rand()``, one state for all threads. ``srand(1)`` before each
  utterance makes the samples bit-identical. One thread makes all calls, so that no two mix, and
  flite has a libc of its own, since other libraries of the process draw from that state too.
* ``register_cmu_us_*`` returns one static voice, whose features outlive a call. Rate and pitch
  are therefore written on every call, as multiples of what the voice had when registered
  (kal16 starts with a stretch of 1.1, not 1).
"""

import ctypes
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from schemas.errors import BackendError, SynthesisError
from transforms.backends.namespace import Namespace, OneThread
from transforms.backends.tts import Samples, Speaker, Speech, VoiceSpec

VOICES: Final = ("slt", "rms", "awb", "kal16", "kal")
FIXED_PITCH: Final = frozenset({"rms"})  # ignores f0_shift: measured, same samples
BASE_LIBRARIES: Final = ("libflite.so.1", "libflite_usenglish.so.1", "libflite_cmulex.so.1")
AUDIO_LIBRARY: Final = "libasound.so.2"  # libflite links to it and never calls it here
CURE: Final = (
    "on Debian or Ubuntu run `make setup` or `python -m jobs.install_flite` (no root needed), "
    "or `apt-get install libflite1`; elsewhere install flite 2.x, or choose a bank with "
    "espeak-ng voices by `--set voices.bank=...`"
)

_PROBES: Final = {  # one exported function of each library, to ask the loader where it came from
    "libflite.so.1": "flite_init",
    "libflite_usenglish.so.1": "usenglish_init",
    "libflite_cmulex.so.1": "cmu_lex_init",
}
# Flite keeps the pointer to a feature's name, so these bytes must live as long as the process.
_STRETCH: Final = b"duration_stretch"
_SHIFT: Final = b"f0_shift"

# Loads, registers and speaks: flite has one state per process.
_THREAD: Final = OneThread()


class _Wave(ctypes.Structure):
    """``cst_wave`` of flite 2.x."""

    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_int16)),
    )


class _VoiceHead(ctypes.Structure):
    """The first two fields of ``cst_voice``."""

    _fields_ = (("name", ctypes.c_char_p), ("features", ctypes.c_void_p))


class _SymbolInfo(ctypes.Structure):
    """``Dl_info`` of dladdr(3)."""

    _fields_ = (
        ("file_name", ctypes.c_char_p),
        ("file_base", ctypes.c_void_p),
        ("symbol_name", ctypes.c_char_p),
        ("symbol_address", ctypes.c_void_p),
    )


@dataclass(frozen=True)
class _Registered:
    """A registered voice: its C pointers, the features it came with, the file it is from."""

    pointer: int
    features: int
    base_stretch: float
    base_shift: float
    path: Path


class _Engine:
    """Flite as loaded into this process. Touched only by the one thread; never unloaded."""

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory
        self._space = Namespace()
        if directory is not None and (directory / AUDIO_LIBRARY).is_file():
            # The loader meets the name again as a dependency of libflite, and finds it loaded.
            self._space.load(directory / AUDIO_LIBRARY)
        libraries = {name: self._load(name) for name in BASE_LIBRARIES}
        self.paths = {n: _path_of(lib, _PROBES[n]) for n, lib in libraries.items()}
        self._voices: dict[str, _Registered] = {}
        self._srand = self._space.libc().srand
        flite = libraries["libflite.so.1"]
        flite.flite_init()
        self._synthesize = flite.flite_text_to_wave
        self._synthesize.restype = ctypes.POINTER(_Wave)
        self._synthesize.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
        self._delete = flite.delete_wave
        self._delete.restype, self._delete.argtypes = None, [ctypes.POINTER(_Wave)]
        self._get = flite.flite_get_param_float
        self._get.restype = ctypes.c_float
        self._get.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_float]
        self._set = flite.flite_feat_set_float
        self._set.restype = None
        self._set.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_float]

    def voice(self, name: str) -> _Registered:
        """Register a voice on first use. Raises OSError or AttributeError from the loader."""
        if name not in self._voices:
            library = self._load(f"libflite_cmu_us_{name}.so.1")
            register = getattr(library, f"register_cmu_us_{name}")
            register.restype, register.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
            pointer = register(None)
            features = ctypes.cast(pointer, ctypes.POINTER(_VoiceHead)).contents.features
            self._voices[name] = _Registered(
                pointer=pointer,
                features=features,
                base_stretch=self._get(features, _STRETCH, 1.0),
                base_shift=self._get(features, _SHIFT, 1.0),
                path=_path_of(library, f"register_cmu_us_{name}"),
            )
        return self._voices[name]

    def synthesize(self, text: bytes, name: str, rate: float, pitch: float) -> tuple[Samples, int]:
        """Samples int16 [N] (N may be 0) and their rate in Hz."""
        voice = self.voice(name)
        self._set(voice.features, _STRETCH, voice.base_stretch / rate)
        self._set(voice.features, _SHIFT, voice.base_shift * pitch)
        self._srand(1)
        pointer = self._synthesize(text, voice.pointer)
        if not pointer:
            return np.empty(0, dtype=np.int16), 0
        try:
            wave = pointer.contents
            count = wave.num_samples * wave.num_channels
            raw = ctypes.string_at(wave.samples, count * 2) if count > 0 else b""
            return np.frombuffer(raw, dtype=np.int16), int(wave.sample_rate)
        finally:
            self._delete(pointer)

    def _load(self, name: str) -> ctypes.CDLL:
        return self._space.load(name if self.directory is None else self.directory / name)


_engines: list[_Engine] = []  # at most one
os.register_at_fork(after_in_child=_engines.clear)  # it belongs to a thread that is not there


@dataclass(frozen=True)
class Flite:
    """The backend ``flite``. ``library_dir`` None means: where our installer puts it, then the
    system's libraries."""

    library_dir: str | None = None

    @property
    def name(self) -> str:
        """The word that voices of a bank use for it."""
        return "flite"

    def identity(self, voice: VoiceSpec) -> Mapping[str, object]:
        """SHA-256 of each library file that the loader really took for this voice.

        Raises BackendError as ``check`` does.
        """
        paths = _THREAD.run(self._paths, voice)
        return {"backend": self.name, "libraries": {n: _sha256(p) for n, p in paths.items()}}

    def check(self, voice: VoiceSpec) -> None:
        """Load what the voice needs. Raises BackendError with the cure."""
        _THREAD.run(self._ready, voice)

    def lexicon_paths(self) -> dict[str, Path]:
        """The files that hold flite's lexicon and its rules. Raises BackendError as ``check``."""
        paths = _THREAD.run(self._engine).paths
        return {name: paths[name] for name in BASE_LIBRARIES}

    @contextmanager
    def open(self) -> Iterator[Speaker]:
        """Load flite, once per process; voices load when first used. Raises BackendError."""
        _THREAD.run(self._engine)
        yield _FliteSpeaker(self)

    def speak(self, text: str, voice: VoiceSpec) -> Speech:
        """Say ASCII ``text``. Raises SynthesisError for text that gives no speech."""
        shown = text if len(text) <= 60 else text[:57] + "..."
        if not text.isascii() or "\0" in text:
            raise SynthesisError(f"flite: got {shown!r}, wants ASCII text: normalize it first")
        if not any(letter.isalnum() for letter in text):
            raise SynthesisError(f"flite: nothing to say in {shown!r}: wants a letter or a digit")
        samples, rate_hz = _THREAD.run(self._speak, text.encode("ascii"), voice)
        if not samples.any():
            raise SynthesisError(f"flite: voice {voice.name!r} gave no samples for {shown!r}")
        return Speech(samples=samples, sample_rate_hz=rate_hz)

    def _speak(self, text: bytes, voice: VoiceSpec) -> tuple[Samples, int]:
        return self._ready(voice).synthesize(text, voice.name, voice.rate, voice.pitch)

    def _paths(self, voice: VoiceSpec) -> dict[str, Path]:
        engine = self._ready(voice)
        name = f"libflite_cmu_us_{voice.name}.so.1"
        return {**engine.paths, name: engine.voice(voice.name).path}

    def _ready(self, voice: VoiceSpec) -> _Engine:
        if voice.name not in VOICES:
            raise BackendError(f"flite: no voice {voice.name!r}; it has {', '.join(VOICES)}")
        if not (0.2 <= voice.rate <= 5.0 and 0.2 <= voice.pitch <= 5.0):
            raise BackendError(
                f"flite: voice {voice.name!r} with rate {voice.rate} and pitch {voice.pitch}: "
                "wants both from 0.2 to 5"
            )
        if voice.pitch != 1.0 and voice.name in FIXED_PITCH:
            raise BackendError(
                f"flite: voice {voice.name!r} cannot change its pitch (asked for {voice.pitch}): "
                "leave pitch at 1, vary its rate, or use slt, awb or kal16"
            )
        engine = self._engine()
        try:
            engine.voice(voice.name)
        except (OSError, AttributeError) as error:
            raise BackendError(f"flite: voice {voice.name!r}: {error}; {CURE}") from error
        return engine

    def _engine(self) -> _Engine:
        directory = self._directory()
        if not _engines:
            try:
                _engines.append(_Engine(directory))
            except (OSError, AttributeError) as error:
                place = directory or "the system's libraries"
                raise BackendError(f"flite: not found in {place} ({error}); {CURE}") from error
        if self.library_dir is not None and _engines[0].directory != directory:
            # Two copies would resolve each other's symbols, and no checksum would be true.
            raise BackendError(
                f"flite: {directory} was asked for, but this process already uses "
                f"{_engines[0].directory or 'the system libraries'}: use one library_dir"
            )
        return _engines[0]

    def _directory(self) -> Path | None:
        if self.library_dir is not None:
            return Path(self.library_dir).absolute()
        ours = install_dir()
        return ours if (ours / BASE_LIBRARIES[0]).is_file() else None


@dataclass(frozen=True)
class _FliteSpeaker:
    backend: Flite

    def speak(self, text: str, voice: VoiceSpec) -> Speech:
        return self.backend.speak(text, voice)


def install_dir() -> Path:
    """Where ``jobs.install_flite`` unpacks the libraries, in this Python environment."""
    return Path(sys.prefix) / "lib" / "voxmill" / "flite"


def _path_of(library: ctypes.CDLL, symbol: str) -> Path:
    """The file that the loader took ``symbol`` from, however it found it: dladdr(3)."""
    dladdr = ctypes.CDLL(None).dladdr
    dladdr.argtypes = [ctypes.c_void_p, ctypes.POINTER(_SymbolInfo)]
    info = _SymbolInfo()
    address = ctypes.cast(getattr(library, symbol), ctypes.c_void_p)
    if not dladdr(address, ctypes.byref(info)) or not info.file_name:
        raise OSError(f"the loader does not say where {symbol} is from")
    return Path(info.file_name.decode()).resolve()


@cache
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
