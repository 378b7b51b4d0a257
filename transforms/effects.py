"""What rooms, lines and microphones do to speech, by short formulas. Samples are float64 [N].

Each effect is a function of its arguments and of the generator it is given.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Wave = npt.NDArray[np.float64]
TELEPHONE_HZ: Final = (300.0, 3400.0)  # ITU-T G.712's pass band
PREDELAY_S: Final = 0.003
MAX_PEAK: Final = 0.99


def with_speed(samples: Wave, factor: float, rate: int) -> Wave:
    """Played ``factor`` times as fast, pitch included, as a tape would: soxr resampling."""
    import soxr

    changed: Wave = soxr.resample(samples, rate * factor, float(rate), quality="HQ")
    return changed


def with_noise(samples: Wave, kind: str, snr_db: float, chance: np.random.Generator) -> Wave:
    """Plus ``white`` or ``pink`` (power falls with frequency) noise at this ratio of powers."""
    noise = chance.standard_normal(len(samples))
    if kind == "pink":
        spectrum = np.fft.rfft(noise)
        bins = np.arange(len(spectrum))
        noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(bins, 1)), len(samples))
    power, wanted = float(np.mean(noise**2)), float(np.mean(samples**2)) / 10 ** (snr_db / 10)
    noisy: Wave = samples + noise * np.sqrt(wanted / max(power, 1e-20))
    return noisy


def with_room(
    samples: Wave, rt60_s: float, drr_db: float, rate: int, chance: np.random.Generator
) -> Wave:
    """In a room: the direct sound, then noise that decays by 60 dB in ``rt60_s`` (Polack, 1988).

    ``drr_db`` is the ratio of direct to reverberant energy. The length is kept: the tail is cut.
    """
    from scipy.signal import fftconvolve

    count = max(2, round(rt60_s * rate))
    decay = 10 ** (-3.0 * np.arange(count) / (rt60_s * rate))
    response = chance.standard_normal(count) * decay
    response[: round(PREDELAY_S * rate)] = 0.0
    energy = float(np.sum(response**2))
    response *= np.sqrt(10 ** (-drr_db / 10) / max(energy, 1e-20))
    response[0] = 1.0
    wet: Wave = fftconvolve(samples, response)[: len(samples)]
    return wet


def on_telephone(samples: Wave, rate: int) -> Wave:
    """Band-limited to 300 to 3400 Hz: Butterworth, fourth order."""
    from scipy.signal import butter, sosfilt

    upper = min(TELEPHONE_HZ[1], 0.45 * rate)
    sections = butter(4, (TELEPHONE_HZ[0], upper), "bandpass", fs=rate, output="sos")
    filtered: Wave = sosfilt(sections, samples)
    return filtered


def with_gain(samples: Wave, db: float) -> Wave:
    """Louder or softer."""
    return samples * 10 ** (db / 20)


def limited(samples: Wave) -> tuple[Wave, float]:
    """Scaled down if it would clip, and by how many dB (0 or less)."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak <= MAX_PEAK:
        return samples, 0.0
    return samples * (MAX_PEAK / peak), float(20 * np.log10(MAX_PEAK / peak))
