"""The unit set's contract: frame counts, and every way of breaking it is found."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SchemaError
from schemas.unitset import UnitSet

UNITS = UnitSet(
    name="mfcc8",
    sample_rate_hz=16000,
    window_samples=400,
    hop_samples=320,
    num_codebooks=1,
    codebook_size=8,
    collapse="run_length",
    roles=("assistant",),
    model="mfcc",
    model_sha256="m",
    centroids_sha256="c",
)
RAW = replace(UNITS, collapse="none")
SAMPLES = 400 + 5 * 320  # 6 frames


@pytest.mark.parametrize(
    ("num_samples", "frames"),
    [(0, 0), (399, 0), (400, 1), (719, 1), (720, 2), (16000, 49), (160000, 499)],
)
def test_frames_stand_on_huberts_grid(num_samples: int, frames: int) -> None:
    assert UNITS.frames(num_samples) == frames


@given(st.integers(0, 10**6))
def test_the_last_frame_fits_and_another_would_not(num_samples: int) -> None:
    frames = UNITS.frames(num_samples)
    needed = 400 + 320 * (frames - 1) if frames else 0
    assert needed <= num_samples < 400 + 320 * frames


def test_the_frame_rate_is_samples_over_hop() -> None:
    assert UNITS.frame_rate_hz == 50.0


@pytest.mark.parametrize(
    ("codes", "durations"),
    [([1, 2, 1], [1, 2, 3]), ([0], [6]), ([7, 0, 7, 0, 7, 0], [1] * 6)],
)
def test_units_that_keep_the_contract_have_no_violation(
    codes: list[int], durations: list[int]
) -> None:
    assert UNITS.violations(codes, durations, SAMPLES) == []


def test_audio_under_one_window_has_no_units() -> None:
    assert UNITS.violations([], [], 399) == []
    assert RAW.violations([], None, 399) == []
    assert UNITS.violations([3], [1], 399) != []


@pytest.mark.parametrize(
    ("codes", "durations", "said"),
    [
        ([1, 8], [3, 3], "unit ids span 1..8, wanted 0..7"),
        ([-1, 2], [3, 3], "unit ids span -1..2, wanted 0..7"),
        ([1, 2], [3, 2], "durations sum to 5 frames, wanted 6 for 2000 samples"),
        ([1, 2], [3, 4], "durations sum to 7 frames, wanted 6 for 2000 samples"),
        ([1, 2], [6], "2 units need as many durations"),
        ([1, 2], None, "2 units need as many durations"),
        ([1, 2], [6, 0], "a duration of 0 frames, wanted at least 1"),
        ([1, 2, 3], [8, -1, -1], "a duration of -1 frames, wanted at least 1"),
        ([2, 2], [3, 3], "two neighboring units are equal though runs are collapsed"),
        ([], [], "durations sum to 0 frames, wanted 6 for 2000 samples"),
    ],
)
def test_each_violation_is_found_and_said(
    codes: list[int], durations: list[int] | None, said: str
) -> None:
    assert UNITS.violations(codes, durations, SAMPLES) == [said]


def test_all_violations_are_said_at_once() -> None:
    assert len(UNITS.violations([9, 9], [1, 1], SAMPLES)) == 3


def test_units_that_are_not_collapsed_are_one_per_frame() -> None:
    assert RAW.violations([2, 2, 2, 1, 1, 0], None, SAMPLES) == []
    assert RAW.violations([2, 1, 0], None, SAMPLES) == ["3 units, wanted 6 for 2000 samples"]


def test_a_unit_set_survives_its_manifest() -> None:
    assert UnitSet.from_json(UNITS.to_json()) == UNITS
    assert isinstance(UNITS.to_json()["roles"], list)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"roles": ["user"]},
        {**UNITS.to_json(), "roles": "user"},
        {**UNITS.to_json(), "flavor": "sweet"},
        {key: value for key, value in UNITS.to_json().items() if key != "hop_samples"},
    ],
)
def test_what_is_no_unit_set_is_a_schema_error(value: dict[str, object]) -> None:
    with pytest.raises(SchemaError, match="unit set cannot be read"):
        UnitSet.from_json(value)
