"""Whisper's log-mel against its definition, written out band by band, on tones and on speech."""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from schemas.errors import SettingsError
from trainers.features.mel import log_mel, mel_filters

SPEECH = Path("../shared/data/speech")
Float = npt.NDArray[np.float32]
Double = npt.NDArray[np.float64]


def reference(samples: Float, num_mels: int) -> Double:
    """openai/whisper's audio.py and librosa's filters.mel, from their definitions."""
    pad = np.pad(samples.astype(np.float64), 200, mode="reflect")
    window = np.array([math.sin(math.pi * i / 400) ** 2 for i in range(400)])
    turns = np.outer(np.arange(201), np.arange(400)) / 400
    dft = np.exp(-2j * np.pi * turns)
    columns = []
    for start in range(0, len(pad) - 400 + 1, 160):
        columns.append(np.abs(dft @ (pad[start : start + 400] * window)) ** 2)
    power = np.array(columns).T[:, :-1]
    edges = [mel_to_hz(hz_to_mel(8000) * k / (num_mels + 1)) for k in range(num_mels + 2)]
    mel = np.zeros((num_mels, power.shape[1]))
    for number in range(num_mels):
        left, center, right = edges[number : number + 3]
        for band in range(201):
            hertz = band * 40.0
            weight = min((hertz - left) / (center - left), (right - hertz) / (right - center))
            if weight > 0:
                mel[number] += weight * 2 / (right - left) * power[band]
    logs = np.log10(np.clip(mel, 1e-10, None))
    scaled: Double = (np.maximum(logs, logs.max() - 8.0) + 4.0) / 4.0
    return scaled


def hz_to_mel(hertz: float) -> float:
    if hertz < 1000:
        return hertz / (200.0 / 3)
    return 15.0 + math.log(hertz / 1000.0) / (math.log(6.4) / 27.0)


def mel_to_hz(mel: float) -> float:
    return mel * 200.0 / 3 if mel < 15 else 1000.0 * math.exp((mel - 15.0) * math.log(6.4) / 27.0)


def chirp(seconds: float) -> Float:
    """A sweep over noise that is 70 dB quieter: loud and quiet bands side by side."""
    times = np.arange(int(seconds * 16000)) / 16000
    noise = np.random.default_rng(7).standard_normal(len(times)) * 3e-4
    swept: Float = (0.9 * np.sin(2 * np.pi * (80 + 900 * times) * times) + noise).astype(np.float32)
    return swept


@pytest.mark.parametrize("num_mels", [80, 128])
@pytest.mark.parametrize("seconds", [0.02, 1.0, 3.217])
def test_log_mel_is_the_formula(num_mels: int, seconds: float) -> None:
    samples = chirp(seconds)
    ours = log_mel(samples, num_mels, pad_to_frames=None)
    theirs = reference(samples, num_mels)
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape == (num_mels, len(samples) // 160)
    assert np.abs(ours - theirs).max() < 1e-5


@pytest.mark.parametrize("num_mels", [80, 128])
@pytest.mark.parametrize(
    "name", ["LJ002-0020.wav", "libri_1088-134315-0000.wav", "libri_2412-153948-0000.flac"]
)
def test_log_mel_is_the_formula_on_human_speech(num_mels: int, name: str) -> None:
    samples = speech(name)[:48000]
    assert np.abs(log_mel(samples, num_mels, None) - reference(samples, num_mels)).max() < 1e-5


@pytest.mark.parametrize("num_samples", [0, 1, 159, 160, 4000, 15199, 15439, 15599, 15840, 16000])
def test_frames_of_padding_that_are_not_computed_equal_those_that_are(num_samples: int) -> None:
    samples = chirp(1.0)[:num_samples]
    whole = np.pad(samples, (0, 16000 - num_samples))
    padded = log_mel(samples, 80, pad_to_frames=100)
    assert padded.shape == (80, 100)
    np.testing.assert_array_equal(padded, log_mel(whole, 80, pad_to_frames=100))
    np.testing.assert_allclose(padded, reference(whole, 80), atol=1e-5)


def test_silence_is_the_floor() -> None:
    np.testing.assert_array_equal(
        log_mel(np.zeros(1600, np.float32), 80), np.full((80, 3000), -1.5)
    )


@pytest.mark.parametrize("num_mels", [80, 128])
def test_features_equal_transformers(num_mels: int) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    extract = transformers.WhisperFeatureExtractor(feature_size=num_mels)
    np.testing.assert_allclose(mel_filters(num_mels).T, extract.mel_filters, atol=1e-9)
    samples = chirp(2.5)
    theirs = extract(samples, sampling_rate=16000, return_tensors="np").input_features[0]
    np.testing.assert_allclose(log_mel(samples, num_mels), theirs, atol=2e-4)  # float32 there


def test_clips_without_a_log_mel_are_refused_with_the_cure() -> None:
    with pytest.raises(SettingsError, match=r"30\.01 s in 3000 frames.*cut it into windows"):
        log_mel(np.zeros(480160, np.float32))
    with pytest.raises(SettingsError, match=r"200 samples.*pass pad_to_frames"):
        log_mel(np.zeros(200, np.float32), pad_to_frames=None)
    with pytest.raises(SettingsError, match=r"int16 \[160\].*divide int16 samples by 32768"):
        log_mel(np.zeros(160, np.int16))
    with pytest.raises(SettingsError, match="mono"):
        log_mel(np.zeros((2, 160), np.float32))
    with pytest.raises(SettingsError, match="80 or 128"):
        mel_filters(0)


def speech(name: str) -> Float:
    """Human speech as float32 at 16 kHz."""
    path = SPEECH / name
    if not path.is_file():
        pytest.skip(f"{path} is not here: the human speech lies beside the repository")
    import soxr

    samples, rate = soundfile.read(path, dtype="float32")
    at_16k: Float = soxr.resample(samples, rate, 16000).astype(np.float32)
    return at_16k
