"""Measures of sound: signals whose answer is known, and people speaking."""

import math

import numpy as np
import pytest

from schemas.utterance import Measure
from tests.transforms.measures.signals import (
    NAMES,
    RATE_HZ,
    Wave,
    buzz,
    human,
    noise,
    pcm,
    quiet,
    tone,
)
from transforms.audio import resample
from transforms.effects import with_speed
from transforms.measures.band import BAND_MEASURES, band_measures
from transforms.measures.level import LEVEL_MEASURES, level_measures, loudness_lufs
from transforms.measures.noise import NOISE_MEASURES, noise_measures
from transforms.measures.pitch import PITCH_MEASURES, frame_pitch_hz, pitch_measures

every_person = pytest.mark.parametrize("name", NAMES)


def values(found: list[Measure]) -> dict[str, float | None]:
    return {item["name"]: item["value"] for item in found}


def level(wave: Wave, rate: int = RATE_HZ) -> dict[str, float | None]:
    samples = pcm(wave)
    return values(level_measures(samples, samples / 32768.0, rate))


def of_noise(wave: Wave, rate: int = RATE_HZ) -> dict[str, float | None]:
    return values(noise_measures(wave, rate))


def of_pitch(wave: Wave, rate: int = RATE_HZ) -> dict[str, float | None]:
    return values(pitch_measures(wave, rate))


def bandwidth(wave: Wave, rate: int = RATE_HZ) -> float | None:
    return values(band_measures(wave, rate))["bandwidth_hz"]


def bursts(count: int = 6) -> Wave:
    """Sound with pauses, as speech has them: 0.3 s of buzz, 0.2 s of nothing."""
    return np.concatenate([np.concatenate([buzz(150, 0.3), quiet(0.2)]) for _ in range(count)])


def test_each_family_gives_the_measures_of_the_catalogue() -> None:
    wave = bursts()
    assert sorted(level(wave)) == sorted(LEVEL_MEASURES)
    assert sorted(of_noise(wave)) == sorted(NOISE_MEASURES)
    assert sorted(of_pitch(wave)) == sorted(PITCH_MEASURES)
    assert sorted(values(band_measures(wave, RATE_HZ))) == sorted(BAND_MEASURES)


def test_silence_has_no_value_where_none_can_be_told() -> None:
    nothing = quiet(2.0)
    assert level(nothing) == {
        "dc_offset": 0.0,
        "flat_peaks_fraction": None,
        "loudness_lufs": None,
        "peak_dbfs": None,
    }
    assert of_noise(nothing) == {"hum_db": None, "noise_floor_dbfs": -100.0, "snr_db": None}
    assert of_pitch(nothing) == {
        "pitch_median_hz": None,
        "pitch_range_st": None,
        "voiced_fraction": 0.0,
    }
    assert bandwidth(nothing) is None


@pytest.mark.parametrize("samples", [1, 100, 800])
def test_the_shortest_clips_raise_nothing(samples: int) -> None:
    wave = tone(200)[:samples]
    assert of_noise(wave)["snr_db"] is None
    assert of_pitch(wave)["pitch_median_hz"] is None
    assert level(wave)["loudness_lufs"] is None
    assert bandwidth(wave) is None


def test_an_offset_is_the_mean_of_the_wave() -> None:
    assert level(tone(200) + 0.1)["dc_offset"] == pytest.approx(0.1, abs=1e-4)
    assert level(tone(200) - 0.05)["dc_offset"] == pytest.approx(0.05, abs=1e-4)
    assert level(tone(200))["dc_offset"] == pytest.approx(0.0, abs=1e-4)


def test_the_peak_is_that_of_the_largest_sample() -> None:
    assert level(tone(200, level=0.5))["peak_dbfs"] == pytest.approx(-6.02, abs=0.01)


def test_a_wave_cut_at_any_level_has_flat_peaks() -> None:
    whole = buzz(150, 2.0)
    assert level(whole)["flat_peaks_fraction"] == 0.0
    for limit in (0.08, 0.2, 0.4):
        cut = np.clip(whole, -limit, limit)
        share = float(np.mean(np.abs(whole) >= limit))
        assert level(cut)["flat_peaks_fraction"] == pytest.approx(share, rel=0.25)


def test_half_of_the_level_is_six_loudness_units() -> None:
    loud, soft = (level(tone(1000, 3.0, size))["loudness_lufs"] for size in (0.5, 0.25))
    assert loud is not None
    assert soft is not None
    assert loud - soft == pytest.approx(6.02, abs=0.01)
    # BS.1770 calibrates on stereo; one channel's sine of 997 Hz at full scale has -3.01 LUFS
    full = level(tone(997, 3.0, 32767 / 32768))["loudness_lufs"]
    assert full == pytest.approx(-3.01, abs=0.1)  # filters at 16 kHz


@pytest.mark.parametrize("snr_db", [5.0, 15.0, 30.0])
def test_noise_of_a_known_level_is_found_as_floor_and_as_ratio(snr_db: float) -> None:
    speech = bursts(10)
    power = float(np.mean(speech[np.abs(speech) > 0] ** 2))
    floor = np.sqrt(power / 10 ** (snr_db / 10))
    found = of_noise(speech + noise(len(speech) / RATE_HZ, floor))
    assert found["noise_floor_dbfs"] == pytest.approx(20 * np.log10(floor), abs=1.0)
    assert found["snr_db"] == pytest.approx(snr_db, abs=2.0)


def test_an_offset_is_not_taken_for_noise() -> None:
    assert of_noise(bursts() + 0.2)["noise_floor_dbfs"] == of_noise(bursts())["noise_floor_dbfs"]


@pytest.mark.parametrize("mains", [50.0, 60.0])
def test_hum_is_found_at_its_level_and_a_pitch_that_passes_by_is_not(mains: float) -> None:
    speech = np.concatenate([buzz(pitch, 0.4) for pitch in (110, 150, 200, 180, 120, 130)])
    power = float(np.mean(speech**2))
    clean = of_noise(speech)["hum_db"]
    assert clean is not None
    assert clean < -60
    hum = tone(mains, len(speech) / RATE_HZ, np.sqrt(2 * power / 100))  # 20 dB under the speech
    assert of_noise(speech + hum)["hum_db"] == pytest.approx(-20, abs=2)


def test_a_voice_that_stays_at_a_tone_of_the_mains_is_no_hum_as_it_pauses() -> None:
    speech = np.concatenate([buzz(200, 3.4), quiet(0.6)])
    assert (of_noise(speech)["hum_db"] or 0) < -60
    hum = tone(50, len(speech) / RATE_HZ, np.sqrt(2 * float(np.mean(speech**2)) / 100))
    assert of_noise(speech + hum)["hum_db"] == pytest.approx(-20, abs=2)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100])
def test_the_bandwidth_is_the_highest_frequency_with_sound(rate: int) -> None:
    for highest in (1000.0, 3000.0):
        wave = sum(tone(hertz, 1.0, 0.1, rate) for hertz in (200.0, 500.0, highest))
        assert bandwidth(np.asarray(wave), rate) == pytest.approx(highest + 250, abs=251)
    assert bandwidth(noise(1.0, 0.1, rate=rate), rate) == pytest.approx(rate / 2, abs=250)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100])
@pytest.mark.parametrize("hertz", [70.0, 110.0, 220.0, 440.0])
def test_the_pitch_is_the_period_and_not_an_octave_of_it(hertz: float, rate: int) -> None:
    found = of_pitch(buzz(hertz, 1.0, rate), rate)
    assert found["pitch_median_hz"] == pytest.approx(hertz, rel=0.01)
    assert found["pitch_range_st"] == pytest.approx(0.0, abs=0.2)
    assert found["voiced_fraction"] == pytest.approx(1.0)


def test_the_range_is_how_far_a_glide_goes() -> None:
    seconds, rate = 4.0, RATE_HZ
    times = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * 100 * seconds / np.log(2) * (2 ** (times / seconds) - 1)
    glide = sum(np.sin(k * phase) / k for k in range(1, 10)) * 0.1  # 100 to 200 Hz, an octave
    found = of_pitch(np.asarray(glide))
    assert found["pitch_range_st"] == pytest.approx(0.8 * 12, abs=0.3)  # 10th to 90th percentile
    assert found["pitch_median_hz"] == pytest.approx(100 * np.sqrt(2), rel=0.01)


def test_noise_and_pauses_are_not_voiced() -> None:
    assert (of_pitch(noise(2.0, 0.1))["voiced_fraction"] or 0) < 0.1
    half = np.concatenate([buzz(120, 1.0), quiet(1.0)])
    assert of_pitch(half)["voiced_fraction"] == pytest.approx(0.5, abs=0.03)


@every_person
def test_a_person_is_recorded_without_faults(name: str) -> None:
    wave, rate = human(name)
    found = level(wave, rate) | of_noise(wave, rate)
    assert -32 < (found["loudness_lufs"] or 0) < -20
    assert found["flat_peaks_fraction"] == 0.0
    assert (found["dc_offset"] or 0) < 0.001
    assert 25 < (found["snr_db"] or 0) < 45
    assert -65 < (found["noise_floor_dbfs"] or 0) < -50
    assert (found["hum_db"] or -100) < -35


@every_person
def test_a_person_has_the_pitch_of_a_person(name: str) -> None:
    wave, rate = human(name)  # all of these readers are women
    found = of_pitch(wave, rate)
    assert 160 < (found["pitch_median_hz"] or 0) < 250
    assert 0.3 < (found["voiced_fraction"] or 0) < 0.8


@pytest.mark.parametrize("name", [name for name in NAMES if "libri" in name])  # 10 s and more
def test_a_persons_pitch_follows_the_tape(name: str) -> None:
    wave, rate = human(name)
    before = of_pitch(wave, rate)["pitch_median_hz"] or 0
    after = of_pitch(with_speed(wave, 1.25, rate), rate)["pitch_median_hz"] or 0
    assert after / before == pytest.approx(1.25, rel=0.03)


@every_person
def test_a_person_on_a_narrow_line_has_its_band(name: str) -> None:
    wave, rate = human(name)
    assert (bandwidth(wave, rate) or 0) > 7000
    narrow = resample(resample(wave.astype(np.float32), rate, 8000), 8000, rate)
    assert bandwidth(narrow.astype(np.float64), rate) == pytest.approx(4000, abs=251)


@every_person
@pytest.mark.parametrize("snr_db", [5.0, 15.0])
def test_noise_on_a_person_is_estimated(name: str, snr_db: float) -> None:
    wave, rate = human(name)
    size = np.sqrt(np.mean(wave**2) / 10 ** (snr_db / 10))
    found = of_noise(wave + noise(len(wave) / rate, size, rate=rate)[: len(wave)], rate)
    assert found["snr_db"] == pytest.approx(snr_db, abs=4)


@every_person
def test_a_person_clipped_has_flat_peaks(name: str) -> None:
    wave, rate = human(name)
    limit = np.percentile(np.abs(wave), 98)
    cut = np.clip(wave, -limit, limit)
    assert (level(cut, rate)["flat_peaks_fraction"] or 0) > 0.008


def test_a_frame_has_the_same_pitch_whatever_stands_around_it() -> None:
    wave = np.concatenate([buzz(140, 0.5), noise(0.5, 0.05), buzz(210, 0.5)])
    alone = frame_pitch_hz(wave[: RATE_HZ // 2], RATE_HZ)
    assert (frame_pitch_hz(wave, RATE_HZ)[: len(alone)] == alone).all()


@pytest.mark.parametrize("rate", [8001, 16000, 22_051])
def test_a_clip_of_about_one_block_has_a_loudness_or_none(rate: int) -> None:
    """0.4 s are no whole number of samples at most rates."""
    wave = 0.1 * np.random.default_rng(0).standard_normal(math.ceil(0.4 * rate))
    assert loudness_lufs(wave[: math.ceil(0.4 * rate) - 1], rate) is None
    assert (loudness_lufs(wave, rate) or 0) < -10
