"""WAV files whose writer did not know their length: ffmpeg to a pipe, servers that stream.

Such a header says 0 or 0xFFFFFFFF where the size of its samples belongs (RIFF, 1991; ffmpeg's
wavenc.c). libsndfile reads the first as a file without any sound.
"""

import struct
from typing import Final

UNKNOWN: Final = (0, 0xFFFFFFFF)
_HEAD: Final = 12  # RIFF, size, WAVE
_CHUNK: Final = 8  # name and size


def with_length(data: bytes) -> bytes:
    """A WAV file whose header says no length with that of all that follows; else ``data``."""
    start = _samples_without_length(data)
    if start is None:
        return data
    size = len(data) - start
    riff = struct.pack("<I", min(len(data) - 8, 0xFFFFFFFF))
    return data[:4] + riff + data[8 : start - 4] + struct.pack("<I", size) + data[start:]


def lacks_length(data: bytes) -> bool:
    """Whether a file is a WAV file with samples whose header does not say how many."""
    return _samples_without_length(data) is not None


def _samples_without_length(data: bytes) -> int | None:
    """Where the samples of such a file begin; None for every other file."""
    if data[:4] != b"RIFF" or data[8:_HEAD] != b"WAVE":
        return None
    place = _HEAD
    while place + _CHUNK <= len(data):
        name, (size,) = data[place : place + 4], struct.unpack_from("<I", data, place + 4)
        place += _CHUNK
        if name == b"data":
            rest = len(data) - place
            told = size not in UNKNOWN or not rest
            return None if told or (size == 0 and _only_chunks(data, place)) else place
        place += size + size % 2
    return None


def _only_chunks(data: bytes, place: int) -> bool:
    """Whether all from ``place`` on is chunks, as after the samples of a file that has none."""
    while place + _CHUNK <= len(data):
        name, (size,) = data[place : place + 4], struct.unpack_from("<I", data, place + 4)
        if not all(32 <= letter < 127 for letter in name):
            return False
        place += _CHUNK + size
        if place < len(data):
            place += size % 2
    return place == len(data)
