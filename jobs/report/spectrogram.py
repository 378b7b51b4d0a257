"""A log-mel spectrogram drawn small: a PNG of sixteen shades of one color, on any ground."""

import base64
import struct
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt
import soxr

from trainers.features.mel import SAMPLE_RATE_HZ, WINDOW_SAMPLES, log_mel

BANDS: Final = 48
COLUMNS: Final = 360
SHADES: Final = 16
RANGE: Final = 1.5  # of log_mel, which has 20 decibels in a quarter: 60 dB below the peak
MAX_SECONDS: Final = 60.0
COLORS: Final = {"user": (52, 139, 149), "assistant": (164, 96, 150)}
OTHER: Final = (120, 120, 120)


def mel_image(samples: npt.NDArray[np.int16], rate_hz: int, role: str) -> str:
    """A data URI of an image COLUMNS wide and BANDS high, low sounds at the bottom.

    Silence is transparent, the loudest band opaque. Empty for clips that are shorter than a
    window or longer than MAX_SECONDS.
    """
    shades = mel_shades(samples, rate_hz)
    if not shades.size:
        return ""
    data = png(shades, COLORS.get(role, OTHER))
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def mel_shades(samples: npt.NDArray[np.int16], rate_hz: int) -> npt.NDArray[np.uint8]:
    """Shades [BANDS, at most COLUMNS] from 0 to SHADES - 1, the highest band first."""
    sound = samples.astype(np.float32) / np.float32(32768)
    if rate_hz != SAMPLE_RATE_HZ:
        sound = np.asarray(soxr.resample(sound, rate_hz, SAMPLE_RATE_HZ), np.float32)
    if not WINDOW_SAMPLES < len(sound) <= MAX_SECONDS * SAMPLE_RATE_HZ:
        return np.zeros((0, 0), np.uint8)
    mel = log_mel(sound, BANDS, None)
    columns = min(COLUMNS, mel.shape[1])
    starts = np.arange(columns) * mel.shape[1] // columns
    means = np.maximum.reduceat(mel, starts, axis=1)
    scaled = (means - (means.max() - RANGE)) / RANGE
    found: npt.NDArray[np.uint8] = np.rint(np.clip(scaled, 0, 1) * (SHADES - 1)).astype(np.uint8)
    return found[::-1]


def png(shades: npt.NDArray[np.uint8], color: tuple[int, int, int]) -> bytes:
    """Shades [H, W] as an indexed PNG of four bits a pixel; shade n has n / 15 of the opacity."""
    height, width = shades.shape
    even = np.pad(shades, ((0, 0), (0, width % 2)))
    packed = even[:, ::2] << 4 | even[:, 1::2]
    lines = np.pad(packed, ((0, 0), (1, 0)))  # each line begins with its filter: 0, none
    header = struct.pack(">IIBBBBB", width, height, 4, 3, 0, 0, 0)
    opacity = bytes(round(255 * shade / (SHADES - 1)) for shade in range(SHADES))
    chunks = (
        (b"IHDR", header),
        (b"PLTE", bytes(color) * SHADES),
        (b"tRNS", opacity),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
