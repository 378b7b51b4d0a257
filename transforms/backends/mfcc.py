"""MFCC frames: the features of HuBERT's own first iteration.

Kaldi's recipe at HuBERT's frame grid: 25 ms Povey windows every 20 ms, pre-emphasis 0.97, 23 mel
bands from 20 Hz to 8 kHz, 13 cepstra with lifter 22, and their first and second differences
(https://kaldi-asr.org/doc/feat.html; HuBERT, arXiv:2106.07447, section III-A: 39-dimensional MFCC).

Legend of shape suffixes: N samples, T frames, W window, F frequency bins, M mel bands, C cepstra.
einsum is used where BLAS would be faster, because BLAS changes its sums with the number of threads.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SAMPLE_RATE_HZ = 16000
WINDOW = 400
HOP = 320
FFT = 512
NUM_MEL = 23
NUM_CEPSTRA = 13
DIMENSIONS = 3 * NUM_CEPSTRA
LIFTER = 22.0
LOW_HZ, HIGH_HZ = 20.0, 8000.0
PREEMPHASIS = 0.97
DELTA_REACH = 2

PARAMETERS = {
    "kind": "mfcc",
    "sample_rate_hz": SAMPLE_RATE_HZ,
    "window": WINDOW,
    "hop": HOP,
    "fft": FFT,
    "num_mel": NUM_MEL,
    "num_cepstra": NUM_CEPSTRA,
    "lifter": LIFTER,
    "low_hz": LOW_HZ,
    "high_hz": HIGH_HZ,
    "preemphasis": PREEMPHASIS,
    "delta_reach": DELTA_REACH,
    "version": 1,
}


def mfcc(samples_N: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Int16 samples [N] at 16 kHz to frames [T, 39], T = (N - 400) // 320 + 1, or 0 if N < 400."""
    if len(samples_N) < WINDOW:
        return np.zeros((0, DIMENSIONS), np.float32)
    frames_TW = np.lib.stride_tricks.sliding_window_view(samples_N, WINDOW)[::HOP].astype(
        np.float64
    )
    frames_TW -= frames_TW.mean(axis=1, keepdims=True)
    before_TW = np.concatenate([frames_TW[:, :1], frames_TW[:, :-1]], axis=1)
    frames_TW = (frames_TW - PREEMPHASIS * before_TW) * _povey_window()
    power_TF = np.abs(np.fft.rfft(frames_TW, FFT, axis=1)) ** 2
    mel_TM = np.einsum("tf,mf->tm", power_TF, _mel_bank())
    log_TM = np.log(np.maximum(mel_TM, np.finfo(np.float32).eps))
    cepstra_TC = np.einsum("tm,cm->tc", log_TM, _lifted_dct())
    delta_TC = _delta(cepstra_TC)
    return np.concatenate([cepstra_TC, delta_TC, _delta(delta_TC)], axis=1).astype(np.float32)


def _delta(frames_TC: Floats) -> Floats:
    """Regression over 2 frames to each side, edges repeated (HTK book, section 5.9)."""
    padded = np.pad(frames_TC, ((DELTA_REACH, DELTA_REACH), (0, 0)), mode="edge")
    length = len(frames_TC)
    total = np.zeros_like(frames_TC)
    for reach in range(1, DELTA_REACH + 1):
        after = padded[DELTA_REACH + reach : DELTA_REACH + reach + length]
        before = padded[DELTA_REACH - reach : DELTA_REACH - reach + length]
        total += reach * (after - before)
    return total / (2.0 * sum(reach**2 for reach in range(1, DELTA_REACH + 1)))


@cache
def _povey_window() -> Floats:
    hann: Floats = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / (WINDOW - 1))
    return hann**0.85


@cache
def _mel_bank() -> Floats:
    """Triangles, equally spaced in mel = 1127 ln(1 + f / 700): [M, F]."""

    def mel(hertz: Floats | float) -> Floats:
        return np.asarray(1127.0 * np.log1p(np.asarray(hertz) / 700.0))

    edges = np.linspace(mel(LOW_HZ), mel(HIGH_HZ), NUM_MEL + 2)
    bins = mel(np.arange(FFT // 2 + 1) * SAMPLE_RATE_HZ / FFT)
    left, center, right = (edges[k : k + NUM_MEL, None] for k in range(3))
    rising = (bins - left) / (center - left)
    falling = (right - bins) / (right - center)
    bank: Floats = np.maximum(0.0, np.minimum(rising, falling))
    return bank


@cache
def _lifted_dct() -> Floats:
    """Orthonormal DCT-II times the lifter 1 + L/2 sin(pi c / L): [C, M]."""
    c = np.arange(NUM_CEPSTRA)[:, None]
    m = np.arange(NUM_MEL)[None, :]
    basis = np.cos(np.pi * c * (m + 0.5) / NUM_MEL) * np.sqrt(2.0 / NUM_MEL)
    basis[0] *= np.sqrt(0.5)
    lifter = 1.0 + LIFTER / 2.0 * np.sin(np.pi * c / LIFTER)
    lifted: Floats = basis * lifter
    return lifted
