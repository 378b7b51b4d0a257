"""Level: peak, DC offset, flat peaks, loudness."""

from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.measures import of_family
from schemas.utterance import Measure, taken, unavailable
from transforms.backends.tts import Samples

LEVEL_MEASURES: Final = tuple(
    name for name in of_family("level") if name != "clipped_fraction"
)  # clipped_fraction is taken by transforms/sound.py, which judges attempts as well
MIN_LOUDNESS_S: Final = 0.4  # one gating block of BS.1770
FULL_SCALE: Final = 32768.0
FLAT: Final = 0.01  # of the extreme: this near to it, and samples are at the same height
FLAT_RUN: Final = 4  # samples; a sine's own peak at 16 kHz is flatter than that under 90 Hz
FLAT_FROM: Final = 0.05  # of full scale: a quiet wave has few steps, and is flat everywhere


def level_measures(samples: Samples, wave: npt.NDArray[np.float64], rate: int) -> list[Measure]:
    """LEVEL_MEASURES of int16 samples [N], N > 0; ``wave`` are the same in [-1, 1)."""
    peak = float(np.abs(wave).max())
    loudness = loudness_lufs(wave, rate)
    flat = flat_peaks_fraction(samples)
    return [
        taken("dc_offset", abs(float(samples.sum(dtype=np.int64)) / len(samples)) / FULL_SCALE),
        unavailable("flat_peaks_fraction") if flat is None else taken("flat_peaks_fraction", flat),
        unavailable("loudness_lufs") if loudness is None else taken("loudness_lufs", loudness),
        taken("peak_dbfs", 20 * np.log10(peak)) if peak else unavailable("peak_dbfs"),
    ]


def loudness_lufs(wave: npt.NDArray[np.float64], rate: int) -> float | None:
    """Integrated loudness in LUFS, or None where BS.1770 has no value (too short, or gated out)."""
    if len(wave) < MIN_LOUDNESS_S * rate:  # as pyloudnorm asks; at 8,001 Hz that is no integer
        return None
    import pyloudnorm

    loudness = float(pyloudnorm.Meter(rate).integrated_loudness(wave))
    return loudness if np.isfinite(loudness) else None


def flat_peaks_fraction(samples: Samples) -> float | None:
    """Samples in runs of FLAT_RUN or more at the extreme, up or down; None for silence.

    Runs, since a wave that was cut off stays at its limit, and one that was not only touches it.
    """
    high, low = int(samples.max()), int(samples.min())
    if high == 0 == low:
        return None
    flat = 0
    for extreme, there in (
        (high, samples >= high * (1 - FLAT)),
        (-low, samples <= low * (1 - FLAT)),
    ):
        if extreme < FLAT_FROM * FULL_SCALE:
            continue
        edges = np.flatnonzero(np.diff(there.astype(np.int8), prepend=0, append=0))
        lengths = edges[1::2] - edges[::2]
        flat += int(lengths[lengths >= FLAT_RUN].sum())
    return flat / len(samples)
