"""Decoding and encoding of the audio that ships: mono, int16, FLAC."""

import io

import numpy as np
import numpy.typing as npt

from schemas.errors import RowError
from transforms.backends.tts import Samples
from transforms.wav import with_length

FULL_SCALE = 32768.0


def encode_flac(samples: Samples, sample_rate_hz: int) -> bytes:
    """Int16 samples [N] as a FLAC file. Equal samples give equal bytes for one libsndfile."""
    import soundfile

    sink = io.BytesIO()
    soundfile.write(sink, samples, sample_rate_hz, format="FLAC", subtype="PCM_16")
    return sink.getvalue()


def decode_flac(data: bytes) -> tuple[Samples, int]:
    """The int16 samples [N] and the sample rate in Hz of a FLAC file that encode_flac wrote."""
    import soundfile

    samples, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    return samples, int(rate)


def decode_source_audio(data: bytes) -> tuple[npt.NDArray[np.float32], int]:
    """Any encoded audio file as mono float32 [N] in [-1, 1) and its rate in Hz.

    Channels are averaged. A WAV file that says no length is read to its end. Raises RowError for
    what libsndfile cannot read.
    """
    import soundfile

    try:
        samples, rate = soundfile.read(
            io.BytesIO(with_length(data)), dtype="float32", always_2d=True
        )
    except soundfile.LibsndfileError as error:
        raise RowError(
            f"a turn's audio ({len(data)} bytes) cannot be read: {error}; wanted a WAV, FLAC, OGG "
            "or MP3 file; convert it, or drop the audio to have the turn synthesized"
        ) from error
    if not np.isfinite(samples).all():
        raise RowError(
            "a turn's audio holds samples that are not finite numbers; wanted -1 to 1; mend the "
            "file, or drop the audio to have the turn synthesized"
        )
    return samples.mean(axis=1, dtype=np.float32), int(rate)


def resample(samples: npt.NDArray[np.float32], from_hz: int, to_hz: int) -> npt.NDArray[np.float32]:
    """Band-limited resampling (soxr, high quality) of mono samples [N]."""
    if from_hz == to_hz:
        return samples
    import soxr

    resampled: npt.NDArray[np.float32] = soxr.resample(samples, from_hz, to_hz, quality="HQ")
    return resampled


def to_int16(samples: npt.NDArray[np.float32]) -> Samples:
    """Float samples in [-1, 1] to int16, rounded and clipped."""
    scaled = np.rint(samples.astype(np.float64) * FULL_SCALE)
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def to_float(samples: Samples) -> npt.NDArray[np.float32]:
    """Int16 samples to float32 in [-1, 1)."""
    return samples.astype(np.float32) / np.float32(FULL_SCALE)
