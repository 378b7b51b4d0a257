"""Pitch: median, range and share of the voiced frames.

Short-term autocorrelation over the window's own, after P. Boersma, "Accurate short-term analysis of
the fundamental frequency" (1993), without the path search: medians and percentiles need no path.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.fft

from schemas.measures import of_family
from schemas.utterance import Measure, taken, unavailable

PITCH_MEASURES: Final = of_family("pitch")
WINDOW_S: Final = 0.04
HOP_S: Final = 0.02
LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
VOICED: Final = 0.6  # of a perfect period
QUIET: Final = 1e-4  # a frame with less power than this share of the loudest tenth is not voiced
OCTAVE_COST: Final = 0.02  # per octave: of two equal peaks the shorter period is meant
GLIDE_OCTAVES: Final = 0.25  # per hop: three semitones in 20 ms
MIN_FRAMES: Final = 5


def pitch_measures(wave: npt.NDArray[np.float64], rate: int) -> list[Measure]:
    """PITCH_MEASURES of a wave [N] in [-1, 1)."""
    if len(wave) < WINDOW_S * rate:
        return [unavailable(name) for name in PITCH_MEASURES]
    hertz_T = frame_pitch_hz(wave, rate)
    voiced = hertz_T[hertz_T > 0]
    fraction = taken("voiced_fraction", len(voiced) / len(hertz_T))
    if len(voiced) < MIN_FRAMES:
        return [unavailable("pitch_median_hz"), unavailable("pitch_range_st"), fraction]
    low, median, high = np.percentile(voiced, [10, 50, 90])
    return [
        taken("pitch_median_hz", median),
        taken("pitch_range_st", 12 * np.log2(high / low)),
        fraction,
    ]


def frame_pitch_hz(wave: npt.NDArray[np.float64], rate: int) -> npt.NDArray[np.float64]:
    """The pitch of each frame [T], 0 where it is not voiced."""
    size = round(WINDOW_S * rate)
    shape = np.hanning(size)
    frames_TN = np.lib.stride_tricks.sliding_window_view(wave, size)[:: round(HOP_S * rate)]
    frames_TN = (frames_TN - frames_TN.mean(axis=1, keepdims=True)) * shape
    shortest, longest = int(rate / HIGHEST_HZ), int(rate / LOWEST_HZ) + 1
    found_TL = _autocorrelation(frames_TN, longest + 2)
    own_L = _autocorrelation(shape[None, :], longest + 2)[0]
    power_T = found_TL[:, 0].copy()
    loud = np.sort(power_T)[-max(1, len(power_T) // 10) :].mean()
    ratio_TL = found_TL / np.maximum(power_T, 1e-12)[:, None] / (own_L / own_L[0])
    inner = ratio_TL[:, shortest:longest]
    peaks = (inner >= ratio_TL[:, shortest - 1 : longest - 1]) & (
        inner > ratio_TL[:, shortest + 1 : longest + 1]
    )
    cost_L = OCTAVE_COST * np.log2(np.arange(shortest, longest) / shortest)
    best_T = np.where(peaks, inner - cost_L, -np.inf).argmax(axis=1)
    rows = np.arange(len(best_T))
    before, at, after = (ratio_TL[rows, shortest + best_T + step] for step in (-1, 0, 1))
    curve = before - 2 * at + after
    shift = np.where(curve < 0, 0.5 * (before - after) / np.where(curve < 0, curve, 1.0), 0.0)
    voiced = (at >= VOICED) & peaks[rows, best_T] & (power_T > QUIET * loud) & (loud > 0)
    return _steady(np.where(voiced, rate / (shortest + best_T + shift), 0.0))


def _steady(hertz_T: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Without the frames that agree with no neighbor: noise has chance peaks, a voice glides."""
    log_T = np.log2(np.maximum(hertz_T, 1.0))
    near = np.abs(np.diff(log_T)) < GLIDE_OCTAVES
    agrees = np.concatenate([near, [False]]) | np.concatenate([[False], near])
    return np.where(agrees & (hertz_T > 0), hertz_T, 0.0)


def _autocorrelation(frames_TN: npt.NDArray[np.float64], lags: int) -> npt.NDArray[np.float64]:
    length = scipy.fft.next_fast_len(frames_TN.shape[1] + lags, real=True)
    spectrum = scipy.fft.rfft(frames_TN, length, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    return np.asarray(scipy.fft.irfft(power, length, axis=1)[:, :lags])
