"""Signals whose measures are known, and human speech where it is at hand."""

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

Wave = npt.NDArray[np.float64]
RATE_HZ = 16000
SPEECH = Path(__file__).parents[3].parent / "shared" / "data" / "speech"
NAMES = (
    "LJ002-0020.wav",
    "LJ002-0035.wav",
    "libri_1088-134315-0000.wav",
    "libri_2412-153948-0000.flac",
    "libri_2412-153948-0001.flac",
)


def tone(hertz: float, seconds: float = 1.0, level: float = 0.5, rate: int = RATE_HZ) -> Wave:
    """A sine from phase 0."""
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def buzz(hertz: float, seconds: float = 1.0, rate: int = RATE_HZ) -> Wave:
    """A pitch with harmonics up to 4 kHz that fall by 6 dB per octave, like a voice's."""
    count = int(4000 / hertz)
    return sum((tone(k * hertz, seconds, 0.2 / k, rate) for k in range(1, count + 1)), 0.0)


def noise(seconds: float, level: float, seed: int = 1, rate: int = RATE_HZ) -> Wave:
    """White noise of an RMS."""
    return level * np.random.default_rng(seed).standard_normal(round(seconds * rate))


def quiet(seconds: float, rate: int = RATE_HZ) -> Wave:
    """Digital silence."""
    return np.zeros(round(seconds * rate))


def pcm(wave: Wave) -> npt.NDArray[np.int16]:
    """As int16, clipped."""
    return np.clip(np.rint(wave * 32768), -32768, 32767).astype(np.int16)


@cache
def human(name: str) -> tuple[Wave, int]:
    """A recording of a person; skips where the data is absent."""
    path = SPEECH / name
    if not path.exists():
        pytest.skip(f"no {path}: human speech for tests is not part of the project")
    samples, rate = soundfile.read(path, dtype="int16")
    return samples / 32768.0, rate
