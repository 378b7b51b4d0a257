"""Decoding the FLAC of a shard: mono, 16 bit, checked to be whole.

dr_flac (in ``miniaudio``, of the extra ``train``) takes about half the time of libsndfile. FLAC is
lossless: both give the same samples. dr_flac leaves a damaged frame out without a word, so its
result counts only if it has as many samples as the file's header says; else libsndfile decides.
"""

import io
from functools import cache
from types import ModuleType
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.errors import DamageError

Samples = npt.NDArray[np.int16]

_MARK: Final = b"fLaC\x00\x00\x00\x22"  # the mark, and the header of a STREAMINFO of 34 bytes
_FIELDS: Final = slice(18, 26)  # rate (20 bits), channels - 1 (3), bits - 1 (5), samples (36)
_MONO_16_BIT: Final = 15  # channels - 1 and bits - 1


def decode_flac(data: bytes, name: str) -> tuple[Samples, int]:
    """The samples [N] and the rate in Hz. Raises DamageError, naming ``name``, if damaged."""
    fast = _miniaudio()
    if fast is not None and data.startswith(_MARK):
        fields = int.from_bytes(data[_FIELDS], "big")
        total = fields & ((1 << 36) - 1)
        if total and fields >> 36 & 0xFF == _MONO_16_BIT:
            try:
                samples = np.frombuffer(fast.flac_read_s16(data).samples, np.int16)
            except fast.DecodeError:
                samples = np.empty(0, np.int16)
            if len(samples) == total:
                return samples, fields >> 44
    return _by_libsndfile(data, name)


def _by_libsndfile(data: bytes, name: str) -> tuple[Samples, int]:
    import soundfile

    try:
        samples, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    except soundfile.LibsndfileError as error:
        raise DamageError(
            f"{name}: its FLAC of {len(data)} bytes cannot be decoded ({error}); build the corpus "
            "again to recompute it"
        ) from error
    return samples, int(rate)


@cache
def _miniaudio() -> ModuleType | None:
    try:
        import miniaudio
    except ImportError:
        return None
    module: ModuleType = miniaudio
    return module
