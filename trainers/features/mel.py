"""Whisper's log-mel spectrogram, 80 or 128 bins, in NumPy and SciPy.

Formula of Whisper and of Qwen2-Audio: 16 kHz, windows of 400 samples (periodic Hann) every 160,
centered with reflection; power of all frames but the last; Slaney's mel filters; log10 of at least
1e-10; at most 8 below the clip's peak; (x + 4) / 4.
"""

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.sparse

from schemas.errors import SettingsError

SAMPLE_RATE_HZ: Final = 16000
WINDOW_SAMPLES: Final = 400
HOP_SAMPLES: Final = 160
NUM_BANDS: Final = WINDOW_SAMPLES // 2 + 1
WHISPER_FRAMES: Final = 3000  # 30 s
POWER_FLOOR: Final = 1e-10
DYNAMIC_RANGE: Final = 8.0  # decades of power below the peak

Float = npt.NDArray[np.float32]
Double = npt.NDArray[np.float64]


def log_mel(
    samples: Float, num_mels: int = 80, pad_to_frames: int | None = WHISPER_FRAMES
) -> Float:
    """The log-mel of mono samples [N] in [-1, 1) at 16 kHz: float32 [num_mels, T].

    With ``pad_to_frames`` the clip is padded with silence to that many frames first, as Whisper
    does; frames of pure padding are filled in and not computed. With None, T = N // 160. Raises
    SettingsError for a clip that is too long, too short to reflect, or no mono audio.
    """
    check_clip(samples, pad_to_frames)
    padded = samples.astype(np.float64)
    num_frames = len(samples) // HOP_SAMPLES
    if pad_to_frames is not None:
        # One hop past the last window that hears the clip: what follows is silence throughout.
        num_frames = min(pad_to_frames, (len(samples) + WINDOW_SAMPLES // 2) // HOP_SAMPLES + 1)
        # Behind a clip that is not full, half a window of silence stands where Whisper has it.
        silence = pad_to_frames * HOP_SAMPLES - len(samples)
        padded = np.pad(padded, (0, min(silence, WINDOW_SAMPLES + HOP_SAMPLES)))
    log_power = np.log10(np.maximum(_mel_power(padded, num_mels, num_frames), POWER_FLOOR))
    if pad_to_frames is not None:
        rest = (0, pad_to_frames - num_frames)
        log_power = np.pad(log_power, ((0, 0), rest), constant_values=np.log10(POWER_FLOOR))
    peak = log_power.max(initial=np.log10(POWER_FLOOR))
    scaled: Float = ((np.maximum(log_power, peak - DYNAMIC_RANGE) + 4) / 4).astype(np.float32)
    return scaled


def check_clip(samples: Float, pad_to_frames: int | None) -> None:
    """Raise SettingsError for samples that have no log-mel of that length."""
    if samples.ndim != 1 or samples.dtype.kind != "f":
        raise SettingsError(
            f"log-mel of {samples.dtype} {list(samples.shape)}: wanted mono float samples [N] in "
            "[-1, 1); divide int16 samples by 32768"
        )
    if pad_to_frames is None:
        if len(samples) <= WINDOW_SAMPLES // 2:
            raise SettingsError(
                f"log-mel of {len(samples)} samples without padding: wanted more than "
                f"{WINDOW_SAMPLES // 2}, half a window, to reflect; pass pad_to_frames"
            )
    elif len(samples) > pad_to_frames * HOP_SAMPLES:
        raise SettingsError(
            f"log-mel of {len(samples) / SAMPLE_RATE_HZ:.2f} s in {pad_to_frames} frames of 10 ms: "
            "the clip is longer; cut it into windows, filter it out, or raise pad_to_frames"
        )


@lru_cache(maxsize=4)
def mel_filters(num_mels: int) -> Double:
    """Slaney's triangles [num_mels, 201] from 0 to 8000 Hz, each of area 1 (a norm in 1/Hz)."""
    if num_mels < 1:
        raise SettingsError(f"{num_mels} mel bins: wanted at least 1; Whisper has 80 or 128")
    bands_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, NUM_BANDS)
    top = _hz_to_mel(SAMPLE_RATE_HZ / 2)
    edges_hz = _mel_to_hz(np.linspace(0, top, num_mels + 2))
    left, center, right = (edges_hz[k : k + num_mels, None] for k in range(3))
    rising = (bands_hz - left) / (center - left)
    falling = (right - bands_hz) / (right - center)
    filters: Double = np.maximum(0, np.minimum(rising, falling)) * 2 / (right - left)
    return filters


@lru_cache(maxsize=4)
def _sparse_filters(num_mels: int) -> scipy.sparse.csr_array:
    # Each band feeds two filters at most: 50 times fewer products than the dense matrix has.
    return scipy.sparse.csr_array(mel_filters(num_mels))


@lru_cache(maxsize=1)
def _window() -> Double:
    places = np.arange(WINDOW_SAMPLES)
    window: Double = 0.5 - 0.5 * np.cos(2 * np.pi * places / WINDOW_SAMPLES)
    return window


def _mel_power(samples: Double, num_mels: int, num_frames: int) -> Double:
    """[num_mels, num_frames], in float64: float32 spectra miss quiet bands beside loud ones."""
    if num_frames == 0:
        return np.zeros((num_mels, 0))
    centered = np.pad(samples, WINDOW_SAMPLES // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(centered, WINDOW_SAMPLES)
    frames = frames[: num_frames * HOP_SAMPLES : HOP_SAMPLES]
    spectra = scipy.fft.rfft(frames * _window(), axis=1)
    power = spectra.real**2 + spectra.imag**2
    mel: Double = _sparse_filters(num_mels) @ power.T
    return mel


def _hz_to_mel(hertz: float) -> float:
    """Slaney's scale: linear below 1000 Hz (15 mel), then 27 steps for each factor of 6.4."""
    if hertz < 1000:
        return hertz * 3 / 200
    return 15 + 27 * float(np.log(hertz / 1000) / np.log(6.4))


def _mel_to_hz(mels: Double) -> Double:
    hertz: Double = np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    return hertz
