"""Selection: gates on the pair, the longest passing prefix, and every reason kept."""

from typing import Any

import pyarrow as pa
import pytest

from schemas.columns import reason
from schemas.conversation import turn
from schemas.utterance import NOT_SAMPLED, TAKEN, UNAVAILABLE
from tests.builders import run_step
from transforms.select import Gate, Select

LOUD = Gate(measure="loudness_lufs", min=-30.0, max=-10.0)
SHORT = Gate(measure="duration_s", max=10.0)


def spoken(turn: int, **measures: float | None) -> dict[str, Any]:
    """An utterance; a measure of None was not taken."""
    return {
        "turn": turn,
        "role": "assistant" if turn % 2 else "user",
        "lang": "en",
        **dict.fromkeys(("text", "spoken_text", "voice", "speaker_id", "flac_sha256"), "x"),
        "sample_rate_hz": 16000,
        "num_samples": 16000,
        "audio_provenance": "synthesized",
        "num_frames": 49,
        "num_units": 20,
        "measures": [
            {"name": name, "value": value, "status": UNAVAILABLE if value is None else TAKEN}
            for name, value in measures.items()
        ],
    }


def dialogue(*loudness: float | None) -> list[dict[str, Any]]:
    return [
        spoken(turn, loudness_lufs=value, duration_s=2.0) for turn, value in enumerate(loudness)
    ]


def verdict(
    utterances: list[dict[str, Any]], *gates: Gate, min_pairs: int = 1, turn_problems: Any = ()
) -> dict[str, Any]:
    step = Select(gates=gates, min_pairs=min_pairs)
    said = max((item["turn"] for item in [*utterances, *turn_problems]), default=-1) + 1
    row = {
        "turns": [turn("assistant" if number % 2 else "user", "x") for number in range(said)],
        "turn_problems": list(turn_problems),
        "utterances": utterances,
    }
    batch = pa.RecordBatch.from_pylist([row], schema=step.reads)
    (found,) = run_step(step, batch)
    result: dict[str, Any] = found
    return result


def codes(reasons: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(item["code"], item["turn"]) for item in reasons]


def test_without_gates_everything_is_kept() -> None:
    found = verdict(dialogue(-99.0, -99.0, 0.0, 0.0))
    assert found == {"kept_turns": [0, 1, 2, 3], "dropped": [], "select_reasons": []}


@pytest.mark.parametrize(
    ("loudness", "kept"),
    [
        ((-20, -20, -20, -20, -20, -20), [0, 1, 2, 3, 4, 5]),
        ((-20, -20, -20, -20, -20, -99), [0, 1, 2, 3]),
        ((-20, -20, -99, -20, -20, -20), [0, 1]),
        ((-20, -20, -20, -99, -20, -20), [0, 1]),
    ],
)
def test_the_longest_passing_prefix_of_pairs_is_kept(
    loudness: tuple[float, ...], kept: list[int]
) -> None:
    found = verdict(dialogue(*loudness), LOUD)
    assert found["kept_turns"] == kept
    assert found["select_reasons"] == []


@pytest.mark.parametrize(("min_pairs", "kept"), [(1, [0, 1]), (2, []), (3, [])])
def test_a_prefix_under_min_pairs_rejects_the_row(min_pairs: int, kept: list[int]) -> None:
    found = verdict(dialogue(-20, -20, -99, -20), LOUD, min_pairs=min_pairs)
    assert found["kept_turns"] == kept
    assert codes(found["select_reasons"]) == ([] if kept else [("loudness_lufs", 2)])
    assert codes(found["dropped"]) == (
        [("loudness_lufs", 2), ("pair_dropped", 3)] if min_pairs == 1 else []
    )


def test_a_row_with_too_few_pairs_says_so_when_no_gate_spoke() -> None:
    found = verdict(dialogue(-20, -20), LOUD, min_pairs=2)
    assert codes(found["select_reasons"]) == [("too_few_pairs", -1)]
    assert codes(verdict([], LOUD)["select_reasons"]) == [("too_few_pairs", -1)]


def test_the_reasons_of_both_sides_and_all_gates_are_kept() -> None:
    pair = [spoken(0, loudness_lufs=-50.0, duration_s=11.0), spoken(1, loudness_lufs=-5.0)]
    found = verdict(pair, LOUD, SHORT)
    assert codes(found["select_reasons"]) == [
        ("loudness_lufs", 0),
        ("duration_s", 0),
        ("loudness_lufs", 1),
    ]
    assert [item["detail"] for item in found["select_reasons"]] == [
        "-50 is under -30",
        "11 is over 10",
        "-5 is over -10",
    ]


@pytest.mark.parametrize("value", [-30.0, -10.0])
def test_bounds_are_inclusive(value: float) -> None:
    assert verdict(dialogue(value, value), LOUD)["kept_turns"] == [0, 1]


@pytest.mark.parametrize(
    ("gate", "kept"),
    [
        (Gate(measure="loudness_lufs", min=-30, roles=("user",)), []),
        (Gate(measure="loudness_lufs", min=-30, roles=("assistant",)), [0, 1]),
        (Gate(measure="loudness_lufs", min=-30, langs=("en", "zh")), []),
        (Gate(measure="loudness_lufs", min=-30, langs=("zh",)), [0, 1]),
        (Gate(measure="loudness_lufs", min=-30, roles=("user",), langs=("zh",)), [0, 1]),
        (Gate(measure="mos", min=3), [0, 1]),
    ],
    ids=["its role", "other role", "its language", "other language", "half", "other measure"],
)
def test_a_gate_judges_only_its_scope(gate: Gate, kept: list[int]) -> None:
    assert verdict(dialogue(-50.0, -20.0), gate)["kept_turns"] == kept


@pytest.mark.parametrize("status", [UNAVAILABLE, NOT_SAMPLED])
def test_a_measure_that_was_not_taken_passes(status: str) -> None:
    pair = dialogue(-20.0, None)
    pair[1]["measures"][0]["status"] = status
    assert verdict(pair, LOUD)["kept_turns"] == [0, 1]


def test_the_text_steps_reasons_travel_with_an_accepted_row() -> None:
    bad = reason("respond", "math", "left out", 3)
    found = verdict(dialogue(-20, -20), LOUD, turn_problems=[bad])
    assert codes(found["dropped"]) == [("math", 3), ("pair_dropped", 2)]
    assert found["kept_turns"] == [0, 1]


def test_every_turn_that_an_accepted_row_loses_is_listed() -> None:
    """Promise 2: nothing is silently dropped; the index counts dropped turns by this list."""
    found = verdict(dialogue(-20, -20, -20, -99, -20, -20), LOUD)
    assert found["kept_turns"] == [0, 1]
    assert {item["turn"] for item in found["dropped"]} == {2, 3, 4, 5}
