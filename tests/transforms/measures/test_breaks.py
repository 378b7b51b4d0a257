"""Breaks: sound that is missing, sound that is there twice; on signals and on people."""

import numpy as np
import pytest

from tests.transforms.measures.signals import NAMES, RATE_HZ, Wave, buzz, human, noise, pcm, quiet
from transforms.measures.breaks import BREAK_MEASURES, break_measures

every_person = pytest.mark.parametrize("name", NAMES)
GAP = RATE_HZ // 12


def breaks(wave: Wave, rate: int = RATE_HZ) -> dict[str, float]:
    return {item["name"]: item["value"] or 0.0 for item in break_measures(pcm(wave), rate)}


def with_gaps(wave: Wave, *starts: int) -> Wave:
    broken = wave.copy()
    for start in starts:
        broken[start : start + GAP] = 0
    return broken


def said_twice(wave: Wave, start: int, length: int) -> Wave:
    return np.concatenate([wave[: start + length], wave[start:]])


def test_the_family_is_that_of_the_catalogue() -> None:
    assert sorted(breaks(noise(1.0, 0.1))) == sorted(BREAK_MEASURES)


@pytest.mark.parametrize("samples", [1, 2, 20, 33, 100, 800])
def test_the_shortest_clips_and_silence_have_no_breaks(samples: int) -> None:
    for wave in (noise(samples / RATE_HZ, 0.1), quiet(samples / RATE_HZ)):
        assert breaks(wave) == {"dropouts": 0.0, "repeated_audio_s": 0.0}


def test_each_hard_gap_is_counted() -> None:
    assert breaks(with_gaps(noise(2.0, 0.1), 5000, 12000, 20000))["dropouts"] == 3


def test_a_pause_between_sounds_that_fade_is_no_gap() -> None:
    fading = noise(0.5, 0.1) * np.hanning(RATE_HZ // 2)
    hard = noise(0.5, 0.1)  # may follow a pause: a plosive does
    assert breaks(np.concatenate([quiet(0.2), fading, quiet(0.3), hard]))["dropouts"] == 0


def test_short_runs_of_one_value_are_no_gap() -> None:
    wave = noise(1.0, 0.1)
    wave[8000 : 8000 + RATE_HZ // 200] = 0
    assert breaks(wave)["dropouts"] == 0


@pytest.mark.parametrize("length", [640, 1600, 12800])
def test_a_stretch_that_comes_again_has_its_length(length: int) -> None:
    found = breaks(said_twice(noise(2.0, 0.1), 9000, length))["repeated_audio_s"]
    if length / RATE_HZ < 0.05:  # nearer than a period of a voice may be
        assert found == 0.0
    else:
        assert found == pytest.approx(length / RATE_HZ, abs=0.001)


def test_noise_and_a_gliding_voice_do_not_repeat() -> None:
    glide = np.sin(2 * np.pi * np.cumsum(np.linspace(100, 200, 2 * RATE_HZ)) / RATE_HZ) * 0.3
    assert breaks(noise(3.0, 0.1))["repeated_audio_s"] == 0.0
    assert breaks(glide)["repeated_audio_s"] == 0.0


def test_the_periods_of_a_tone_are_no_repetition() -> None:
    assert breaks(buzz(125, 2.0))["repeated_audio_s"] == 0.0


@every_person
def test_a_persons_breaks_are_those_that_were_made(name: str) -> None:
    wave, rate = human(name)
    assert breaks(wave, rate) == {"dropouts": 0.0, "repeated_audio_s": 0.0}
    loud = int(np.argmax(np.convolve(wave**2, np.ones(rate // 5), "valid")))
    broken = wave.copy()
    broken[loud + rate // 20 : loud + rate // 10] = 0
    assert breaks(broken, rate)["dropouts"] == 1
    twice = said_twice(wave, len(wave) // 3, int(0.8 * rate))
    assert breaks(twice, rate)["repeated_audio_s"] == pytest.approx(0.8, abs=0.01)
