"""Measures of units and of pairs on human speech: what is known of a change is what they tell."""

import itertools

import numpy as np
import pytest
import soxr

from schemas.utterance import Measure, taken
from tests.transforms.measures.signals import NAMES, RATE_HZ, Wave, human, pcm, quiet
from transforms.backends.mfcc import mfcc
from transforms.measures.level import level_measures
from transforms.measures.pair import pair_measures
from transforms.measures.units import unit_measures

SAID = "He kept the lantern beside the harbor wall."


def at_16k(name: str) -> Wave:
    wave, rate = human(name)
    return np.asarray(soxr.resample(wave, rate, RATE_HZ), np.float64)


def values(found: list[Measure]) -> dict[str, float | None]:
    return {item["name"]: item["value"] for item in found}


def units_of(wave: Wave, like: Wave) -> dict[str, float | None]:
    """By the nearest of 50 frames of ``like``: a codebook that knows this speaker."""
    frames, known = mfcc(pcm(wave)), mfcc(pcm(like))
    centroids = known[:: max(1, len(known) // 50)][:50]
    nearest = ((frames[:, None, :] - centroids[None]) ** 2).sum(axis=2).argmin(axis=1)
    runs = [(int(code), len(list(group))) for code, group in itertools.groupby(nearest)]
    codes, lengths = zip(*runs, strict=True)
    return values(unit_measures(codes, lengths, len(frames), len(wave) / RATE_HZ))


@pytest.mark.parametrize("name", NAMES)
def test_a_persons_units_change_often_and_are_many(name: str) -> None:
    wave = at_16k(name)
    found = units_of(wave, wave)
    assert 10 < (found["units_per_s"] or 0) <= 50  # at most one a frame of 20 ms
    assert 3.5 < (found["unit_entropy_bits"] or 0) <= np.log2(50)
    assert 0.04 < (found["longest_unit_run_s"] or 0) < 1.5


@pytest.mark.parametrize("name", NAMES)
def test_a_hole_in_a_persons_speech_is_one_long_unit(name: str) -> None:
    wave = at_16k(name)
    half = len(wave) // 2
    holed = units_of(np.concatenate([wave[:half], quiet(2.0), wave[half:]]), wave)
    assert 1.9 < (holed["longest_unit_run_s"] or 0) < 4.0
    assert (holed["units_per_s"] or 0) < (units_of(wave, wave)["units_per_s"] or 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_person_answered_at_half_the_level_is_six_units_lower(name: str) -> None:
    wave, rate = human(name)
    sides = []
    for side, seconds in ((wave, len(wave) / rate), (wave * 0.5, len(wave) / rate)):
        measures = [taken("duration_s", seconds), *level_measures(pcm(side), side, rate)]
        sides.append({"spoken_text": SAID, "measures": measures})
    found = values(pair_measures(*sides))
    assert found["pair_loudness_lu"] == pytest.approx(-6.02, abs=0.05)
    assert found["pair_duration_ratio"] == 1.0
    assert found["pair_shared_words"] == 1.0
