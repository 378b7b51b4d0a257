"""From the int16 samples of a turn to the float samples of a front end, at the rate it wants."""

import numpy as np
import numpy.typing as npt

from trainers.sample import Audio

Float = npt.NDArray[np.float32]
FULL_SCALE = np.float32(32768)


def at_rate(audio: Audio, rate_hz: int) -> Float:
    """Decoded audio as mono float32 [N] in [-1, 1) at ``rate_hz``."""
    return resample(audio.samples.astype(np.float32) / FULL_SCALE, audio.sample_rate_hz, rate_hz)


def resample(samples: Float, from_hz: int, to_hz: int) -> Float:
    """Band-limited resampling (soxr, high quality) of mono samples [N]."""
    if from_hz == to_hz:
        return samples
    import soxr

    resampled: Float = soxr.resample(samples, from_hz, to_hz, quality="HQ")
    return resampled
