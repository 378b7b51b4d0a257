"""MFCC frames against Kaldi's definition, written out frame by frame and band by band."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import scipy.fft

from tests.sound import pcm16, sine
from transforms.backends.mfcc import mfcc

Matrix = npt.NDArray[np.float64]


def reference(samples: npt.NDArray[np.int16]) -> Matrix:
    """Kaldi's compute-mfcc-feats (feature-window.cc, mel-computations.cc, feature-mfcc.cc).

    With --dither=0 --frame-shift=20 --use-energy=false, and HTK's differences of differences.
    """
    frames = []
    for start in range(0, len(samples) - 400 + 1, 320):
        frame = [float(value) for value in samples[start : start + 400]]
        mean = sum(frame) / 400
        frame = [value - mean for value in frame]
        for i in range(399, 0, -1):
            frame[i] -= 0.97 * frame[i - 1]
        frame[0] -= 0.97 * frame[0]
        frame = [
            value * (0.5 - 0.5 * math.cos(2 * math.pi * i / 399)) ** 0.85
            for i, value in enumerate(frame)
        ]
        power = np.abs(scipy.fft.fft(frame, 512)[:256]) ** 2
        logs = [math.log(max(band(power, number), 1.1920928955078125e-07)) for number in range(23)]
        cepstra = scipy.fft.dct(logs, type=2, norm="ortho")[:13]
        frames.append([c * (1 + 11 * math.sin(math.pi * i / 22)) for i, c in enumerate(cepstra)])
    base = np.array(frames).reshape(-1, 13)
    return np.concatenate([base, delta(base), delta(delta(base))], axis=1)


def band(power: Matrix, number: int) -> float:
    """The energy of a mel band."""

    def mel(hertz: float) -> float:
        return 1127.0 * math.log(1.0 + hertz / 700.0)

    step = (mel(8000) - mel(20)) / 24
    left, center, right = (mel(20) + (number + k) * step for k in range(3))
    total = 0.0
    for i, value in enumerate(power):
        place = mel(i * 16000 / 512)
        if left < place < right:
            rising, falling = (place - left) / (center - left), (right - place) / (right - center)
            total += value * (rising if place <= center else falling)
    return total


def delta(frames: Matrix) -> Matrix:
    """d[t] = sum_n n (c[t+n] - c[t-n]) / (2 sum_n n^2), n = 1, 2."""
    last = len(frames) - 1
    rows = [
        sum(n * (frames[min(t + n, last)] - frames[max(t - n, 0)]) for n in (1, 2)) / 10.0
        for t in range(len(frames))
    ]
    return np.array(rows).reshape(frames.shape)


def signals() -> dict[str, npt.NDArray[np.int16]]:
    noise = np.random.default_rng(3)
    time = np.arange(8000) / 16000
    return {
        "noise": pcm16(noise.uniform(-0.4, 0.4, 6000)),
        "full scale": pcm16(noise.uniform(-1.5, 1.5, 4000)),
        "chirp": pcm16(0.5 * np.sin(2 * np.pi * (100 * time + 6000 * time**2))),
        "offset": pcm16(sine(200.0, 0.3) + 0.2),
        "silence then a click": np.eye(1, 4000, 2500, dtype=np.int16)[0] * np.int16(20000),
        "two frames": pcm16(noise.uniform(-0.1, 0.1, 720)),
    }


@pytest.mark.parametrize("name", list(signals()))
def test_frames_are_kaldis(name: str) -> None:
    samples = signals()[name]
    found = mfcc(samples)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, reference(samples), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("num_samples", "frames"),
    [(0, 0), (1, 0), (399, 0), (400, 1), (719, 1), (720, 2), (16000, 49), (160000, 499)],
)
def test_the_number_of_frames_is_the_unit_sets(num_samples: int, frames: int) -> None:
    samples = pcm16(np.random.default_rng(0).uniform(-0.5, 0.5, num_samples))
    assert mfcc(samples).shape == (frames, 39)


def test_digital_silence_has_finite_frames() -> None:
    assert np.isfinite(mfcc(np.zeros(4000, np.int16))).all()


def test_a_frame_depends_on_its_window_and_its_differences_on_four_neighbors() -> None:
    samples = signals()["noise"]
    changed = samples.copy()
    changed[10 * 320 + 100] += 5000  # in frame 10 alone
    differs = np.abs(mfcc(samples) - mfcc(changed)) > 1e-6
    assert set(np.flatnonzero(differs[:, :13].any(axis=1))) == {10}
    assert set(np.flatnonzero(differs[:, 13:26].any(axis=1))) == {8, 9, 11, 12}
    assert set(np.flatnonzero(differs[:, 26:].any(axis=1))) <= set(range(6, 15))
