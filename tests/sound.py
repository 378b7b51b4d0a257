"""Sounds for tests: sines, and files of them."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from transforms.audio import encode_flac
from transforms.backends.tts import Samples

RATE_HZ = 16000


def sine(
    hertz: float, seconds: float, rate_hz: int = RATE_HZ, peak: float = 0.5
) -> npt.NDArray[Any]:
    """A sine [N] in [-peak, peak]."""
    return peak * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate_hz)) / rate_hz)


def pcm16(wave: npt.NDArray[Any]) -> Samples:
    """Samples in [-1, 1] as int16."""
    return np.clip(np.rint(wave * 32768.0), -32768, 32767).astype(np.int16)


def tone_flac(hertz: float = 440.0, seconds: float = 0.5, rate_hz: int = RATE_HZ) -> bytes:
    """A FLAC file of one tone."""
    return encode_flac(pcm16(sine(hertz, seconds, rate_hz)), rate_hz)


def wav(samples: npt.NDArray[Any], rate_hz: int = RATE_HZ, subtype: str = "PCM_16") -> bytes:
    """A WAV file of samples [N] or [N, channels]."""
    sink = io.BytesIO()
    soundfile.write(sink, samples, rate_hz, format="WAV", subtype=subtype)
    return sink.getvalue()
