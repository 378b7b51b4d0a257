"""Units: nearest centroids, collapsed runs that can be undone, a contract that is checked."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.canonical import sha256_hex
from schemas.errors import RowError
from tests.builders import run_step, utterances
from tests.sound import pcm16, sine, tone_flac
from transforms import units
from transforms.audio import encode_flac
from transforms.backends.mfcc import mfcc
from transforms.units import MfccUnits, collapse, nearest

STEP = MfccUnits(roles=("assistant",), num_clusters=5)
NOISE = np.random.default_rng(2)


def artifact(centroids: npt.NDArray[np.float32]) -> dict[str, bytes]:
    sink = io.BytesIO()
    np.save(sink, centroids)
    return {"kmeans": sink.getvalue()}


def varied() -> npt.NDArray[np.int16]:
    """Sounds that have several units."""
    pieces = [sine(hertz, 0.2, peak=0.6) for hertz in (150, 900, 3000, 150, 6000)]
    return pcm16(np.concatenate(pieces))


CENTROIDS = mfcc(varied())[[3, 12, 23, 40, 47]]


def units_of(flac: bytes, role: str = "assistant", **changes: Any) -> dict[str, Any]:
    batch = utterances(STEP.reads, {"role": role, "flac": flac, **changes})
    (row,) = run_step(STEP, batch, artifact(CENTROIDS))
    found: dict[str, Any] = row
    return found


@given(st.lists(st.integers(0, 3), max_size=60))
def test_repeating_codes_by_durations_gives_the_raw_units(raw: list[int]) -> None:
    codes, durations = collapse(np.array(raw, np.int32))
    assert np.repeat(codes, durations).tolist() == raw
    assert (codes[1:] != codes[:-1]).all()
    assert (durations >= 1).all()
    assert (codes.dtype, durations.dtype) == (np.int32, np.int32)


@given(st.integers(0, 30), st.integers(1, 9), st.integers(0, 2**31))
def test_nearest_is_what_brute_force_finds(frames: int, clusters: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    frames_TD = chance.normal(0, 20, (frames, 39)).astype(np.float32)
    centroids_KD = chance.normal(0, 20, (clusters, 39)).astype(np.float32)
    wide = frames_TD.astype(np.float64)[:, None] - centroids_KD.astype(np.float64)[None]
    expected = [int(np.argmin([np.sqrt((row**2).sum()) for row in rows])) for rows in wide]
    assert nearest(frames_TD, centroids_KD).tolist() == expected


def test_of_equal_centroids_the_lowest_is_nearest() -> None:
    centroid = NOISE.normal(size=(1, 39)).astype(np.float32)
    far = centroid + 9
    frames = np.repeat(centroid, 3, axis=0)
    assert nearest(frames, np.concatenate([far, centroid, centroid])).tolist() == [1, 1, 1]


def test_the_units_are_those_of_the_audio_that_ships() -> None:
    row = units_of(encode_flac(varied(), 16000))
    raw = nearest(mfcc(varied()), CENTROIDS)
    assert np.repeat(row["codes"], row["durations"]).tolist() == raw.tolist()
    assert row["num_frames"] == len(raw) == 49
    assert row["num_units"] == len(row["codes"]) > 3
    assert len(set(row["codes"])) == 5


def test_they_keep_the_contract_of_their_unit_set() -> None:
    contract = STEP.unit_set("c")
    row = units_of(encode_flac(varied(), 16000))
    assert contract.violations(row["codes"], row["durations"], len(varied())) == []
    assert (contract.name, contract.codebook_size, contract.roles) == ("mfcc5", 5, ("assistant",))
    assert contract.centroids_sha256 == "c"


def test_other_roles_have_no_units() -> None:
    row = units_of(tone_flac(), role="user")
    assert row == {"codes": None, "durations": None, "num_frames": 0, "num_units": 0}


def test_audio_under_one_frame_has_empty_units_and_not_none() -> None:
    row = units_of(encode_flac(pcm16(sine(440.0, 0.02)), 16000))
    assert row == {"codes": [], "durations": [], "num_frames": 0, "num_units": 0}


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda raw: (raw, np.ones(len(raw), np.int32)), "two neighboring units are equal"),
        (lambda raw: (raw[:1], np.array([7], np.int32)), "durations sum to 7 frames, wanted 49"),
        (lambda raw: (raw[:1] + 5, np.array([49], np.int32)), "wanted 0..4"),
    ],
)
def test_units_that_break_the_contract_fail_their_row(
    monkeypatch: pytest.MonkeyPatch, broken: Any, said: str
) -> None:
    monkeypatch.setattr(units, "collapse", broken)
    with pytest.raises(RowError, match=f"units break the contract of mfcc5: .*{said}"):
        units_of(encode_flac(varied(), 16000))


def test_more_centroids_than_the_contract_allows_fail_the_row() -> None:
    batch = utterances(STEP.reads, {"role": "assistant", "flac": encode_flac(varied(), 16000)})
    seven = np.concatenate([CENTROIDS[:2] + 500, CENTROIDS])
    with pytest.raises(RowError, match=r"unit ids span .*\.\.6, wanted 0\.\.4"):
        run_step(STEP, batch, artifact(seven))


def test_without_centroids_a_row_fails_and_says_why() -> None:
    batch = utterances(STEP.reads, {"role": "assistant"})
    with pytest.raises(RowError, match=r"no centroids: no train row was spoken.*--refit"):
        run_step(STEP, batch, artifact(np.zeros((0, 39), np.float32)))


def test_audio_at_another_rate_than_the_contracts_gets_no_units() -> None:
    with pytest.raises(RowError, match="8000"):
        units_of(tone_flac(rate_hz=8000), sample_rate_hz=8000)


def test_the_contract_names_the_artifact_that_was_used() -> None:
    data = artifact(CENTROIDS)["kmeans"]
    assert STEP.unit_set(sha256_hex(data)).centroids_sha256 == sha256_hex(data)
