"""Bandwidth: the highest frequency that carries sound."""

from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.fft

from schemas.measures import of_family
from schemas.utterance import Measure, taken, unavailable

BAND_MEASURES: Final = of_family("band")
WINDOW_S: Final = 0.032
BAND_HZ: Final = 250
DOWN_DB: Final = 60.0  # under the strongest band; 16 bits reach about 90 below it
MIN_S: Final = 0.1


def band_measures(wave: npt.NDArray[np.float64], rate: int) -> list[Measure]:
    """BAND_MEASURES of a wave [N] in [-1, 1)."""
    if len(wave) < MIN_S * rate or not wave.any():
        return [unavailable("bandwidth_hz")]
    return [taken("bandwidth_hz", bandwidth_hz(wave, rate))]


def bandwidth_hz(wave: npt.NDArray[np.float64], rate: int) -> float:
    """The upper edge of the highest band within DOWN_DB of the strongest, at most rate / 2."""
    size = round(WINDOW_S * rate)
    frames = np.lib.stride_tricks.sliding_window_view(wave, size)[:: size // 2]
    spectrum = (np.abs(scipy.fft.rfft(frames * np.hanning(size), axis=1)) ** 2).mean(axis=0)
    bands = (np.arange(len(spectrum)) * rate / size // BAND_HZ).astype(np.int64)
    power = np.bincount(bands, weights=spectrum)
    there = np.flatnonzero(power >= power.max() * 10 ** (-DOWN_DB / 10))
    return float(min((there[-1] + 1) * BAND_HZ, rate / 2))
