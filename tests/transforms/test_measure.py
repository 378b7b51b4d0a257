"""Measures of signals whose silence, clipping and loudness are known."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.measures import of_family
from schemas.utterance import TAKEN, UNAVAILABLE
from tests.builders import run_step, utterances
from tests.sound import pcm16, sine
from transforms.audio import encode_flac
from transforms.listen import Listen
from transforms.measure import TAKEN_HERE, Measured, measures
from transforms.measures.pair import PAIR_MEASURES
from transforms.measures.units import UNIT_MEASURES
from transforms.pace import FitPace, Pace
from transforms.sound import SOUND_MEASURES, silences

UNFITTED = FitPace(seed=0).finalize(FitPace(seed=0).merge([]))


def measured(
    samples: npt.NDArray[np.int16], text: str = "Hello.", rate: int = 16000
) -> dict[str, float]:
    """The measures that were taken, by name."""
    row = utterances(Measured.reads, {"flac": encode_flac(samples, rate), "spoken_text": text})
    found = measures(row.to_pylist()[0], Pace(UNFITTED))
    return {item["name"]: item["value"] for item in found if item["value"] is not None}


def quiet(seconds: float, rate: int = 16000) -> npt.NDArray[np.float64]:
    return np.zeros(round(seconds * rate))


def test_every_measure_is_there_sorted_and_has_a_value_only_if_taken() -> None:
    (heard,) = run_step(Listen(), utterances(Listen.reads, {}))
    batch = utterances(Measured.reads, {"heard": heard["heard"]})
    (row,) = run_step(Measured(), batch, {FitPace.name: UNFITTED})
    names = [item["name"] for item in row["measures"]]
    later = {*UNIT_MEASURES, *PAIR_MEASURES}  # where units and pairs are known
    assert names == sorted(set(TAKEN_HERE) - later)
    assert {item["status"] for item in row["measures"]} == {TAKEN, UNAVAILABLE}
    taken = {item["name"] for item in row["measures"] if item["status"] == TAKEN}
    short = {"hum_db", "repeated_ngrams"}  # half a second, one word
    own = (
        "breaks",
        "level",
        "noise",
        "band",
        "pitch",
        "text",
    )  # nobody listened, nothing was fitted
    assert taken == {*SOUND_MEASURES, *of_family(*own)} - short
    for item in row["measures"]:
        assert (item["value"] is None) == (item["status"] == UNAVAILABLE)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100])
def test_silences_are_where_they_were_put(rate: int) -> None:
    parts = [quiet(0.2, rate), sine(300, 0.5, rate), quiet(0.3, rate), sine(300, 0.4, rate)]
    parts += [quiet(0.05, rate), sine(300, 0.2, rate), quiet(0.1, rate)]
    found = measured(pcm16(np.concatenate(parts)), rate=rate)
    assert found["duration_s"] == pytest.approx(1.75, abs=1e-4)
    assert found["leading_silence_s"] == pytest.approx(0.2, abs=0.011)
    assert found["longest_silence_s"] == pytest.approx(0.3, abs=0.021)
    assert found["trailing_silence_s"] == pytest.approx(0.1, abs=0.021)


def test_leading_and_trailing_silence_are_not_inner_silence() -> None:
    found = measured(pcm16(np.concatenate([quiet(0.9), sine(300, 0.5), quiet(0.7)])))
    assert found["longest_silence_s"] == 0.0
    assert found["leading_silence_s"] == pytest.approx(0.9)
    assert found["trailing_silence_s"] == pytest.approx(0.7)


@pytest.mark.parametrize(("dbfs", "silent"), [(-49.5, False), (-50.5, True)])
def test_silence_is_under_minus_50_dbfs_rms(dbfs: float, silent: bool) -> None:
    soft = sine(400, 0.5, peak=2**0.5 * 10 ** (dbfs / 20))
    found = measured(pcm16(np.concatenate([sine(400, 0.5), soft, sine(400, 0.5)])))
    assert found["longest_silence_s"] == pytest.approx(0.5 if silent else 0.0, abs=0.011)


def test_where_nothing_is_heard_all_of_it_leads() -> None:
    assert silences(np.zeros(1600, np.int16), 16000) == (0.1, 0.0, 0.0)
    assert silences(np.zeros(10, np.int16), 16000) == (0.0, 0.0, 0.0)


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_the_parts_of_a_signal_are_counted_by_frames(heard: list[bool]) -> None:
    samples = np.repeat(np.where(heard, 3000, 0), 160).astype(np.int16)
    leading, inner, trailing = silences(samples, 16000)
    text = "".join("x" if item else " " for item in heard)
    inside = max((len(run) for run in text.strip().split("x")), default=0)
    assert round(leading * 100) == len(text) - len(text.lstrip())
    assert round(inner * 100) == inside
    assert round(trailing * 100) == (len(text) - len(text.rstrip()) if any(heard) else 0)


def test_samples_at_either_end_of_the_scale_are_clipped() -> None:
    samples = pcm16(sine(300, 0.5))
    samples[:3] = 32767
    samples[3:8] = -32768
    samples[8:10] = (32766, -32766)
    samples[10] = -32767
    assert measured(samples)["clipped_fraction"] == 9 / 8000
    assert measured(pcm16(sine(300, 0.5)))["clipped_fraction"] == 0.0


@pytest.mark.parametrize("rate", [16000, 22050, 48000])
def test_a_full_scale_sine_of_997_hz_is_minus_3_lufs(rate: int) -> None:
    """ITU-R BS.1770-4, annex 1: 0 dBFS at 997 Hz in one channel is -3.01 LUFS."""
    found = measured(pcm16(sine(997, 3.0, rate, peak=32767 / 32768)), rate=rate)
    assert found["loudness_lufs"] == pytest.approx(-3.01, abs=0.1)


def test_loudness_follows_the_level_and_silence_is_gated_out() -> None:
    tone = sine(997, 3.0, peak=0.1)
    assert measured(pcm16(tone))["loudness_lufs"] == pytest.approx(-23.01, abs=0.1)
    padded = np.concatenate([quiet(2.0), tone, quiet(2.0)])
    assert measured(pcm16(padded))["loudness_lufs"] == pytest.approx(-23.01, abs=0.6)


@pytest.mark.parametrize(
    "samples",
    [pcm16(sine(997, 0.39)), np.zeros(16000, np.int16), pcm16(sine(997, 2.0, peak=1e-4))],
    ids=["under 0.4 s", "silence", "under the gate"],
)
def test_loudness_without_a_value_is_unavailable(samples: npt.NDArray[np.int16]) -> None:
    assert "loudness_lufs" not in measured(samples)


@pytest.mark.parametrize(
    ("text", "letters"),
    [("Hello, you!", 8), ("北京是中国的首都。", 8), ("Hi 👋 3 times", 8), ("a-b c'd", 4)],
)
def test_the_speaking_rate_counts_letters_and_digits(text: str, letters: int) -> None:
    assert measured(pcm16(sine(300, 0.8)), text)["chars_per_s"] == pytest.approx(letters / 0.8)


def test_audio_without_a_text_has_no_speaking_rate() -> None:
    assert "chars_per_s" not in measured(pcm16(sine(300, 0.8)), "")
    assert "chars_per_s" not in measured(pcm16(sine(300, 0.8)), " ... 👋")
