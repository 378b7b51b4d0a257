"""Noise: the floor under the speech, an estimate of speech over noise, mains hum."""

from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.measures import of_family
from schemas.utterance import Measure, taken, unavailable

NOISE_MEASURES: Final = of_family("noise")
FRAME_S: Final = 0.02
MIN_S: Final = 0.4
QUIET: Final = 0.1  # share of the frames
SPOKEN_DB: Final = 20.0  # this far under the loudest tenth, a frame still counts as speech
LIMIT_DB: Final = 100.0  # 16 bits end at 98
HUM_WINDOW_S: Final = 0.25
HUM_RATE_HZ: Final = 1000
HUM_MIN_S: Final = 1.0
MAINS_HZ: Final = (50.0, 60.0)
HARMONICS: Final = 4
PAUSES: Final = 0.25  # share of the windows, the quietest: a voice is least there, and hum is
COMMON: Final = 20  # percentile over them
BESIDE_HZ: Final = 12.0  # where the surroundings of a tone are read: outside a Hann window's lobe


def noise_measures(wave: npt.NDArray[np.float64], rate: int) -> list[Measure]:
    """NOISE_MEASURES of a wave [N] in [-1, 1)."""
    centered = wave - wave.mean()
    power = float(np.mean(centered**2))
    if not power or len(wave) < MIN_S * rate:
        floor = taken("noise_floor_dbfs", -LIMIT_DB)
        short = len(wave) < MIN_S * rate
        return [
            unavailable("hum_db"),
            unavailable("noise_floor_dbfs") if short else floor,
            unavailable("snr_db"),
        ]
    floor_power, speech_power = _floor_and_speech(centered, rate)
    snr_db = _db(max(speech_power - floor_power, 0.0)) - _db(floor_power)
    hum = None if len(wave) < HUM_MIN_S * rate else hum_db(centered, rate, power)
    return [
        unavailable("hum_db") if hum is None else taken("hum_db", hum),
        taken("noise_floor_dbfs", _db(floor_power)),
        taken("snr_db", min(max(snr_db, -LIMIT_DB), LIMIT_DB)),
    ]


def _floor_and_speech(wave: npt.NDArray[np.float64], rate: int) -> tuple[float, float]:
    """Mean power of the quietest tenth of the frames, and of the frames that are speech."""
    size = round(FRAME_S * rate)
    frames = wave[: len(wave) // size * size].reshape(-1, size)
    power = np.sort((frames**2).mean(axis=1))
    tenth = max(1, round(QUIET * len(power)))
    spoken = power[power >= power[-tenth:].mean() * 10 ** (-SPOKEN_DB / 10)]
    return float(power[:tenth].mean()), float(spoken.mean())


def hum_db(wave: npt.NDArray[np.float64], rate: float, power: float) -> float:
    """Power of mains tones over ``power``, in dB, at least -LIMIT_DB.

    Hum is there in every window, and a voice, whose pitch may stay at one of its tones, is not in
    the quietest: what all windows have in common counts, and what the quietest have, whichever is
    less. In common is a low percentile over them.
    """
    block = max(
        1, int(rate) // HUM_RATE_HZ
    )  # means of blocks: all that is asked for is below 252 Hz
    wave = wave[: len(wave) // block * block].reshape(-1, block).mean(axis=1)
    rate = rate / block
    size = round(HUM_WINDOW_S * rate)
    windows = wave[: len(wave) // size * size].reshape(-1, size)
    quietest = np.argsort((windows**2).sum(axis=1), kind="stable")
    quietest = quietest[: max(1, round(PAUSES * len(windows)))]
    shape = np.hanning(size)
    shaped = windows * (shape / shape.sum())
    strongest = 0.0
    for mains in MAINS_HZ:
        tones = mains * np.arange(1.0, HARMONICS + 1)
        at, below, above = (
            _tone_power(shaped, np.asarray(tones + offset), rate)
            for offset in (0.0, -BESIDE_HZ, BESIDE_HZ)
        )
        excess = np.maximum(at - np.maximum(below, above), 0.0)
        common = (
            float(np.percentile(excess, COMMON, axis=0).sum()),
            float(np.percentile(excess[quietest], COMMON, axis=0, method="lower").sum()),
        )
        strongest = max(strongest, min(common))
    return _db(strongest / power)


def _tone_power(
    windows_WN: npt.NDArray[np.float64], tones_hz: npt.NDArray[np.float64], rate: float
) -> npt.NDArray[np.float64]:
    """Power of a sine at each frequency in each window [W, F], by einsum (docs/adr/0005)."""
    angles = 2 * np.pi * np.outer(np.arange(windows_WN.shape[1]) / rate, tones_hz)
    real = np.einsum("wn,nf->wf", windows_WN, np.cos(angles))
    imaginary = np.einsum("wn,nf->wf", windows_WN, np.sin(angles))
    return np.asarray(2 * (real**2 + imaginary**2))


def _db(power: float) -> float:
    return max(10 * float(np.log10(power + 1e-30)), -LIMIT_DB)
