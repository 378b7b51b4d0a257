"""Augmentation: drawn from (seed, id, turn), recorded, on the asked roles alone."""

import json
from typing import Any

import numpy as np
import pytest

from schemas.errors import SettingsError
from tests.builders import run_step, utterances
from tests.sound import RATE_HZ, pcm16, sine
from transforms.audio import decode_flac, encode_flac, to_float
from transforms.augment import Augment, Effects, speed_of
from transforms.effects import limited, on_telephone, with_noise, with_room, with_speed

LOUD = pcm16(sine(400, 1.0, peak=0.3))
WORDS = [{"word": "hello", "start_s": 0.2, "end_s": 0.8}]


def augmented(effects: Effects, *rows: dict[str, Any], seed: int = 5) -> list[Any]:
    step = Augment(seed=seed, effects=effects)
    shown = [{"flac": encode_flac(LOUD, RATE_HZ), "words": WORDS, **row} for row in rows or ({},)]
    return run_step(step, utterances(step.reads, *shown))


def keys(count: int) -> list[dict[str, Any]]:
    return [{"id": f"{number:024d}-0"} for number in range(count)]


def chance() -> np.random.Generator:
    return np.random.default_rng(0)


def test_answers_stay_clean_unless_asked_for() -> None:
    (answer,) = augmented(Effects(noise=1.0), {"role": "assistant"})
    assert answer["augmentation"] == ""
    assert answer["flac"] == encode_flac(LOUD, RATE_HZ)
    (question,) = augmented(Effects(noise=1.0), {"role": "user"})
    assert json.loads(question["augmentation"])[0]["effect"] == "noise"
    assert question["flac"] != answer["flac"]


def test_nothing_to_do_changes_no_byte() -> None:
    assert not Effects().any
    (row,) = augmented(Effects())
    assert (row["augmentation"], row["flac"]) == ("", encode_flac(LOUD, RATE_HZ))


def test_each_effect_is_applied_as_often_as_asked_and_recorded_with_its_values() -> None:
    effects = Effects(noise=0.3, gain=0.7, snr_db=(12.0, 14.0))
    found = [json.loads(row["augmentation"] or "[]") for row in augmented(effects, *keys(200))]
    named = [{item["effect"]: item for item in plan} for plan in found]
    assert 40 <= sum("noise" in plan for plan in named) <= 80
    assert 120 <= sum("gain" in plan for plan in named) <= 160
    ratios = [plan["noise"]["snr_db"] for plan in named if "noise" in plan]
    assert all(12.0 <= ratio <= 14.0 for ratio in ratios)
    assert len(set(ratios)) > 20
    assert {plan["noise"]["kind"] for plan in named if "noise" in plan} == {"pink", "white"}


def test_another_seed_draws_otherwise() -> None:
    effects = Effects(noise=0.5, gain=0.5)
    one, other = (augmented(effects, *keys(20), seed=seed) for seed in (1, 2))
    assert [row["flac_sha256"] for row in one] != [row["flac_sha256"] for row in other]


@pytest.mark.parametrize("kind", ["white", "pink"])
@pytest.mark.parametrize("snr_db", [0.0, 10.0, 25.0])
def test_noise_stands_at_the_ratio_that_was_asked_for(kind: str, snr_db: float) -> None:
    wave = sine(400, 2.0, peak=0.1)
    noise = with_noise(wave, kind, snr_db, chance()) - wave
    found = 10 * np.log10(np.mean(wave**2) / np.mean(noise**2))
    assert found == pytest.approx(snr_db, abs=1e-6)
    spectrum = np.abs(np.fft.rfft(noise)) ** 2
    low, high = spectrum[100:2000].mean(), spectrum[12000:15000].mean()
    assert (low > 5 * high) == (kind == "pink")


def test_a_room_decays_by_60_db_in_its_reverberation_time() -> None:
    click = np.zeros(RATE_HZ)
    click[0] = 1.0
    wet = with_room(click, 0.4, 5.0, RATE_HZ, chance())
    assert len(wet) == len(click)
    assert wet[0] == pytest.approx(1.0)
    assert 10 * np.log10(1.0 / np.sum(wet[1:] ** 2)) == pytest.approx(5.0, abs=0.1)
    energy = np.cumsum(wet[:0:-1] ** 2)[::-1]  # Schroeder's backward integration
    db = 10 * np.log10(energy[: int(0.3 * RATE_HZ)] / energy[0])
    slope = np.polyfit(np.arange(800, 4000) / RATE_HZ, db[800:4000], 1)[0]
    assert -60 / slope == pytest.approx(0.4, rel=0.15)


def test_a_telephone_passes_the_band_and_nothing_else() -> None:
    for hertz, passes in ((100, False), (1000, True), (3000, True), (6000, False)):
        wave = sine(hertz, 1.0, peak=0.3)
        left = np.std(on_telephone(wave, RATE_HZ)[4000:]) / np.std(wave)
        assert (left > 0.8) if passes else (left < 0.05), hertz


def test_speed_shortens_the_clip_and_moves_its_words() -> None:
    (row,) = augmented(Effects(speed=1.0, speed_factor=(1.25, 1.25)))
    assert speed_of(row["augmentation"]) == 1.25
    assert row["num_samples"] == pytest.approx(RATE_HZ / 1.25, abs=2)
    assert row["words"] == [{"word": "hello", "start_s": 0.16, "end_s": 0.64}]
    samples, _ = decode_flac(row["flac"])
    spectrum = np.abs(np.fft.rfft(to_float(samples)))
    assert np.argmax(spectrum) * RATE_HZ / len(samples) == pytest.approx(500, abs=2)
    assert len(with_speed(np.zeros(1000), 0.5, RATE_HZ)) == 2000


def test_what_would_clip_is_turned_down_and_the_record_says_so() -> None:
    (row,) = augmented(Effects(gain=1.0, gain_db=(20.0, 20.0)))
    assert [item["effect"] for item in json.loads(row["augmentation"])] == ["gain", "limit"]
    samples, _ = decode_flac(row["flac"])
    assert np.abs(samples.astype(np.int32)).max() < 32767
    same, db = limited(np.array([0.5, -0.5]))
    assert (same.tolist(), db) == ([0.5, -0.5], 0.0)


@pytest.mark.parametrize("samples", [1, 2, 100])
def test_a_clip_of_few_samples_survives_every_effect(samples: int) -> None:
    every = Effects(speed=1, room=1, noise=1, telephone=1, gain=1)
    (row,) = augmented(every, {"flac": encode_flac(np.ones(samples, np.int16), RATE_HZ)})
    assert row["num_samples"] == len(decode_flac(row["flac"])[0]) > 0


def test_a_range_upside_down_and_an_unknown_noise_are_refused() -> None:
    with pytest.raises(SettingsError, match="snr_db"):
        Effects(snr_db=(20.0, 10.0))
    with pytest.raises(SettingsError, match="noise_kinds"):
        Effects(noise_kinds=("pinkish",))
