"""The fast FLAC decoder gives libsndfile's samples, and notices what it would leave out."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import DamageError
from trainers import flac
from trainers.flac import decode_flac

Samples = npt.NDArray[np.int16]
SPEECH = Path("../shared/data/speech/libri_2412-153948-0000.flac")


def encoded(samples: Samples, rate_hz: int = 16000, subtype: str = "PCM_16") -> bytes:
    sink = io.BytesIO()
    soundfile.write(sink, samples, rate_hz, format="FLAC", subtype=subtype)
    return sink.getvalue()


def noise(num_samples: int, seed: int = 0) -> Samples:
    random = np.random.default_rng(seed)
    samples: Samples = (random.standard_normal(num_samples) * 3000).astype(np.int16)
    return samples


@pytest.fixture(params=["miniaudio", "soundfile"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either decoder: the fast one, or none installed."""
    if request.param == "soundfile":
        monkeypatch.setattr(flac, "_miniaudio", lambda: None)
    else:
        pytest.importorskip("miniaudio", reason="miniaudio is not installed")


@pytest.mark.usefixtures("decoder")
@given(num_samples=st.integers(1, 9000), rate_hz=st.sampled_from([8000, 16000, 24000, 44100]))
def test_decoding_gives_back_what_was_encoded(num_samples: int, rate_hz: int) -> None:
    samples, rate = decode_flac(encoded(noise(num_samples), rate_hz), "clip")
    np.testing.assert_array_equal(samples, noise(num_samples))
    assert samples.dtype == np.int16
    assert rate == rate_hz


@pytest.mark.usefixtures("decoder")
def test_human_speech_decodes_as_libsndfile_does() -> None:
    if not SPEECH.is_file():
        pytest.skip(f"{SPEECH} is not here: the human speech lies beside the repository")
    expected, rate = soundfile.read(SPEECH, dtype="int16")
    samples, found = decode_flac(SPEECH.read_bytes(), "clip")
    np.testing.assert_array_equal(samples, expected)
    assert found == rate


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[: len(data) // 2] + b"\0" + data[len(data) // 2 + 1 :],
        lambda data: data[:60],
        lambda data: b"",
        lambda data: b"x" * 1000,
    ],
    ids=["cut", "a byte changed", "header alone", "empty", "no FLAC"],
)
def test_damage_is_an_error_that_names_the_clip(damage: "object") -> None:
    data = damage(encoded(noise(48000)))  # type: ignore[operator]
    with pytest.raises(DamageError, match=r"KEY.00.user.flac: its FLAC of \d+ bytes cannot"):
        decode_flac(data, "KEY.00.user.flac")


def test_audio_of_24_bits_is_left_to_libsndfile() -> None:
    samples, _ = decode_flac(encoded(noise(500), subtype="PCM_24"), "clip")
    np.testing.assert_array_equal(samples, noise(500))
