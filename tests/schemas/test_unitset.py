"""The unit set's contract: frame counts, and every way of breaking it is found."""

import json
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


CEIL = replace(RAW, grid="ceil", model_rate_hz=24000, hop_samples=1920, window_samples=0)
MEL = replace(RAW, grid="mel", hop_samples=640, window_samples=160)


@given(st.integers(0, 10**6))
def test_a_codecs_frames_cover_the_audio_at_the_models_rate(num_samples: int) -> None:
    frames = CEIL.frames(num_samples)
    needed = -(-num_samples * 3 // 2)  # 24 kHz for 16
    assert 1920 * (frames - 1) < needed <= 1920 * frames or frames == needed == 0
    assert CEIL.frame_rate_hz == 12.5


@given(st.integers(0, 10**6))
def test_spectrum_frames_are_grouped_and_the_last_group_may_be_short(num_samples: int) -> None:
    mel = num_samples // 160
    assert MEL.frames(num_samples) == len(range(0, mel, 4))


@pytest.mark.parametrize(
    ("num_samples", "frames"), [(3999, 12), (4000, 12), (4399, 12), (4400, 13), (8400, 25)]
)
def test_each_chunk_has_its_own_frames(num_samples: int, frames: int) -> None:
    assert replace(UNITS, chunk_samples=4000).frames(num_samples) == frames


BOOKS = replace(RAW, num_codebooks=2)


def test_codes_of_several_codebooks_are_one_run_after_the_other() -> None:
    assert BOOKS.violations([2] * 6 + [7] * 6, None, SAMPLES) == []
    assert BOOKS.violations([2] * 11, None, SAMPLES) == [
        "11 ids are not 2 codebooks of one length",
        "5 units, wanted 6 for 2000 samples",
    ]
    assert BOOKS.violations([2] * 6, None, SAMPLES) == ["3 units, wanted 6 for 2000 samples"]


@pytest.mark.parametrize(("length", "good"), [(3, False), (4, True), (8, True), (9, False)])
def test_tokens_that_came_before_the_audio_may_miss_its_frames_a_little(
    length: int, good: bool
) -> None:
    loose = replace(RAW, slack_frames=2)
    assert (loose.violations([1] * length, None, SAMPLES) == []) == good


@pytest.mark.parametrize(
    ("runs", "good"), [([49], False), ([20, 29], True), ([1] * 49, False), ([2] * 24 + [1], True)]
)
def test_units_per_second_stay_in_their_bounds(runs: list[int], good: bool) -> None:
    bounded = replace(UNITS, units_per_s=(2.0, 30.0))
    codes = [n % 2 for n in range(len(runs))]
    found = bounded.violations(codes, runs, 16000)
    assert (found == []) == good
    assert good or "units per second of 1.0 s, wanted 2 to 30; is the audio silent" in found[0]
    assert bounded.violations([0], [48], 15999 - 320) == [], "under a second nothing is judged"


def test_what_says_nothing_stands_in_no_manifest() -> None:
    assert sorted(UNITS.to_json()) == sorted(
        """name sample_rate_hz window_samples hop_samples num_codebooks codebook_size collapse roles
        model model_sha256 centroids_sha256 provenance""".split()
    )


def test_a_unit_set_with_everything_survives_its_manifest() -> None:
    full = replace(
        CEIL, chunk_samples=7, slack_frames=2, layer=11, normalization="none", units_per_s=(5, 50)
    )
    assert UnitSet.from_json(json.loads(json.dumps(full.to_json()))) == full


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (UNITS, "(n - 400) // 320 + 1"),
        (CEIL, "ceil(n / 1920), n at 24000 Hz"),
        (MEL, "ceil((n // 160) / 4)"),
        (replace(UNITS, chunk_samples=1_600_000), ", in each chunk of 1,600,000 samples"),
    ],
)
def test_the_formula_is_said_in_words(changed: UnitSet, words: str) -> None:
    assert words in changed.frames_words()
