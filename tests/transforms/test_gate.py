"""Gates: bounds, scopes, outliers from what is usual for a voice; and what no gate may be."""

import json
import random
from typing import Any

import pyarrow as pa
import pytest

from schemas.errors import SettingsError
from schemas.utterance import not_sampled, taken
from tests.builders import run_step, utterances
from transforms.checks import Checks, check_gates
from transforms.gate import Gate
from transforms.norms import MIN_VALUES, FitNorms, Norms
from transforms.select import GATHER, Select, SelectTypical, norms_for, selecting

FIT = FitNorms(seed=3, wanted=(("pitch_median_hz", "voice"),))


def said(value: float | None, voice: str = "a", **changes: Any) -> dict[str, Any]:
    """An utterance with a pitch; None: not sampled."""
    name = "pitch_median_hz"
    measures = [not_sampled(name) if value is None else taken(name, value)]
    return {"role": "user", "lang": "en", "voice": voice, "measures": measures, **changes}


def rows(values: list[float], voice: str = "a", split: str = "train") -> list[dict[str, Any]]:
    return [
        {**said(value, voice), "id": f"{place:024x}-0", "turn": 0, "split": split}
        for place, value in enumerate(values)
    ]


def fitted(*groups: list[dict[str, Any]]) -> dict[str, list[float]]:
    batch = utterances(FIT.reads, *(row for group in groups for row in group))
    found = json.loads(FIT.finalize(FIT.merge([FIT.partial(batch, 1)])))["norms"]
    assert isinstance(found, dict)
    return found


def norms(*groups: list[dict[str, Any]]) -> Norms:
    return Norms(json.dumps({"norms": fitted(*groups)}).encode())


USUAL = [190.0, 195.0, 198.0, 200.0, 202.0, 205.0, 210.0] * 4


def test_the_median_and_its_deviation_are_kept_for_each_voice() -> None:
    found = fitted(rows(USUAL), rows([100.0] * 20, voice="b"))
    assert found["pitch_median_hz/en/a"] == [200.0, pytest.approx(1.4826 * 5), 28]
    assert found["pitch_median_hz/en/b"] == [100.0, 1.0, 20]  # no spread: one percent


def test_half_of_the_values_may_be_wrong() -> None:
    wrong = [900.0] * 13
    (found,) = fitted(rows([*USUAL, *wrong])).values()
    assert 190 <= found[0] <= 215


def test_a_voice_that_was_hardly_heard_has_no_norm_and_passes() -> None:
    assert fitted(rows(USUAL[: MIN_VALUES - 1])) == {}
    gate = Gate(measure="pitch_median_hz", outlier_mad=1)
    assert gate.judge(said(9999.0), norms(rows([200.0] * 3))) is None


def test_the_train_split_counts_and_a_voice_of_eval_alone_counts_itself() -> None:
    both = fitted(rows(USUAL), rows([500.0] * 40, split="eval"))
    assert both["pitch_median_hz/en/a"][0] == 200.0
    alone = fitted(rows([500.0] * 40, split="eval"))
    assert alone["pitch_median_hz/en/a"][0] == 500.0


def test_the_artifact_does_not_depend_on_order_or_cuts() -> None:
    chance = random.Random(4)
    all_rows = rows([chance.gauss(200, 9) for _ in range(3000)])
    whole = FIT.finalize(FIT.merge([FIT.partial(utterances(FIT.reads, *all_rows), 1)]))
    chance.shuffle(all_rows)
    cuts = [all_rows[:7], all_rows[7:1900], all_rows[1900:]]
    parts = [FIT.partial(utterances(FIT.reads, *cut), 3) for cut in cuts]
    assert FIT.finalize(FIT.merge([FIT.merge(parts[::-1][:2]), parts[0]])) == whole


@pytest.mark.parametrize(
    ("value", "side", "rejected"),
    [
        (250.0, "both", True),
        (150.0, "both", True),
        (250.0, "low", False),
        (150.0, "high", False),
        (230.0, "both", False),
    ],
)
def test_an_outlier_is_far_from_its_voices_median(value: float, side: Any, rejected: bool) -> None:
    gate = Gate(measure="pitch_median_hz", outlier_mad=6, side=side)
    found = gate.judge(said(value), norms(rows(USUAL)))
    assert (found is not None) == rejected
    if found:
        assert "the median of a, 200" in found


def test_the_tolerance_is_accepted_whatever_is_usual() -> None:
    gate = Gate(measure="pitch_median_hz", outlier_mad=1, tolerance=30)
    usual = norms(rows([200.0] * 20))
    assert gate.judge(said(229.0), usual) is None
    assert gate.judge(said(231.0), usual) is not None


def test_audio_without_a_voice_is_compared_within_its_language() -> None:
    usual = norms(rows(USUAL, voice=""))
    gate = Gate(measure="pitch_median_hz", outlier_mad=6)
    assert "median of the language" in (gate.judge(said(400.0, voice=""), usual) or "")


def test_a_gate_looks_at_its_roles_languages_and_voices_alone() -> None:
    gate = Gate(measure="pitch_median_hz", max=100, voices=("b",), langs=("en",), roles=("user",))
    assert gate.judge(said(150.0, voice="b")) is not None
    for other in ({"voice": "a"}, {"voice": "b", "lang": "zh"}, {"voice": "b", "role": "x"}):
        assert gate.judge(said(150.0) | other) is None


def test_what_was_not_sampled_passes() -> None:
    gate = Gate(measure="pitch_median_hz", min=10_000, outlier_mad=0.1)
    assert gate.judge(said(None), norms(rows(USUAL))) is None


def test_the_rule_is_told_in_words() -> None:
    assert Gate(measure="x", min=1, max=2).bounds() == "1 to 2"
    both = Gate(measure="x", max=2, outlier_mad=6, side="high", per="lang")
    assert both.bounds() == "at most 2, at most 6 deviations over the language's median"


def test_norms_are_fitted_only_where_a_gate_asks() -> None:
    plain = (Gate(measure="duration_s", min=1),)
    asks = (*plain, Gate(measure="snr_db", outlier_mad=6), Gate(measure="snr_db", outlier_mad=9))
    assert norms_for(plain, 1) == ()
    assert norms_for(asks, 1) == (FitNorms(seed=1, wanted=(("snr_db", "voice"),)),)
    assert type(selecting(plain, 1)) is Select
    assert type(selecting(asks, 1)) is SelectTypical
    assert SelectTypical.uses == (FitNorms.name,)


def test_a_rejected_row_lists_every_reason_of_every_pair() -> None:
    gates = (Gate(measure="pitch_median_hz", max=100), Gate(measure="duration_s", max=1))
    made = []
    for turn, (pitch, seconds) in enumerate([(50, 0.5), (150, 2), (50, 2), (150, 0.5)]):
        found = [taken("duration_s", seconds), taken("pitch_median_hz", pitch)]
        role = "assistant" if turn % 2 else "user"
        plain: dict[str, Any] = dict.fromkeys(GATHER.reads.names, "x")
        plain |= {"sample_rate_hz": 1, "num_samples": 1, "attempts": [], "num_frames": 0}
        made.append({**plain, "num_units": 0, "turn": turn, "role": role, "measures": found})
    row = {
        "turns": [
            {"role": item["role"], "text": "x", "input": "", "audio": None, "provenance": ""}
            for item in made
        ],
        "turn_problems": [],
        GATHER.column: made,
    }
    step = Select(gates=gates, min_pairs=1)
    (verdict,) = run_step(step, pa.RecordBatch.from_pylist([row], schema=step.reads))
    assert [(item["code"], item["turn"]) for item in verdict["select_reasons"]] == [
        ("pitch_median_hz", 1),
        ("duration_s", 1),
        ("duration_s", 2),
        ("pitch_median_hz", 3),
    ]


@pytest.mark.parametrize(
    ("gate", "told"),
    [
        (Gate(measure="loudness_luf", min=1), "did you mean 'loudness_lufs'"),
        (Gate(measure="duration_s"), "needs a min, a max or outlier_mad"),
        (Gate(measure="duration_s", min=2, max=1), "which no value passes"),
        (Gate(measure="units_per_s", min=2), "units are extracted for the roles"),
        (Gate(measure="pair_shared_words", outlier_mad=3), "a pair has two voices"),
        (Gate(measure="pair_shared_words", min=0.1, roles=("user",)), "stand with its answer"),
        (Gate(measure="speech_fraction", min=0.1), "checks.vad is false"),
        (Gate(measure="asr_wer", outlier_mad=6), "checks.asr_fraction is 0"),
        (Gate(measure="duration_s", min=1, voices=("nobody",)), "the bank has ['a']"),
    ],
)
def test_a_gate_that_could_judge_no_row_is_an_error_with_its_cure(gate: Gate, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        check_gates((gate,), Checks(), voices={"a"})
    assert told in str(caught.value)
