"""A speech backend that fails costs its own rows, with the right error, and nothing else."""

import shutil
from pathlib import Path

import pytest

from pipelines.engines.poison import TIMEOUT, WORKER_DIED
from schemas.canonical import canonical_json
from schemas.snapshot import read_snapshot
from schemas.store import FileStore
from tests.jobs.faults import (
    DEADLY,
    EMPTY,
    EXITS,
    HANGS,
    NAN,
    RAISES,
    REFUSES,
    RETURNED,
    SEGFAULTS,
    SILENCE,
    STEREO,
    FaultySpeech,
)
from tests.jobs.small import Quiet, build_with, ended, row, rows, voxmill, write_job

EXPECTED = {
    SILENCE: ("SynthesisError", "returned silence: 16000 samples, peak 0"),
    NAN: ("SynthesisError", "returned float32 samples of shape (16000,); wanted int16 [N]"),
    EMPTY: ("SynthesisError", "returned no samples"),
    STEREO: ("SynthesisError", "shape (16000, 2); wanted int16 [N]"),
    RAISES: ("ZeroDivisionError", "the vocoder divided by zero"),
    REFUSES: ("SynthesisError", "this text cannot be spoken"),
    HANGS: (TIMEOUT, "did not return within 2 s (engine.row_timeout_s)"),
    SEGFAULTS: (WORKER_DIED, "SIGSEGV"),
    EXITS: (WORKER_DIED, "exit code 1"),
}


def bad_rows(words: tuple[str, ...]) -> list[dict[str, str]]:
    """Good rows, and per magic word one row whose answer holds it."""
    return [
        *rows(5),
        *(row(word, "What is it?", f"It is the {word} that we say.") for word in words),
    ]


def check_rows(output: Path, words: tuple[str, ...]) -> None:
    """Every magic row failed as expected; every other row was accepted."""
    found = ended(output)
    assert len(found) == 5 + len(words)
    for name, place in found.items():
        if name in words:
            assert (place.state, place.why) == ("failed", EXPECTED[name][0])
            assert EXPECTED[name][1] in place.message
        else:
            assert place.state == "accepted"


@pytest.fixture(scope="module")
def returned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """A corpus with every fault that spares the process: its job, itself, its identity."""
    folder = tmp_path_factory.mktemp("returned")
    job = write_job(folder, bad_rows(RETURNED))
    result = build_with(job, folder / "out", FaultySpeech())
    return job, folder / "out", result.manifest["identity"]


@pytest.fixture(scope="module")
def deadly(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """A corpus with a row that hangs and two that kill their worker."""
    folder = tmp_path_factory.mktemp("deadly")
    job = write_job(folder, bad_rows(DEADLY))
    listener = Quiet()
    result = build_with(job, folder / "out", FaultySpeech(), workers=2, listener=listener)
    assert any("a worker ended in synthesize" in note for note in listener.notes)
    return job, folder / "out", result.manifest["identity"]


@pytest.mark.parametrize("word", RETURNED)
def test_a_fault_that_returns_fails_its_own_row(
    returned: tuple[Path, Path, str], word: str
) -> None:
    place = ended(returned[1])[word]
    assert (place.state, place.why) == ("failed", EXPECTED[word][0])
    assert EXPECTED[word][1] in place.message


def test_faults_that_return_cost_no_other_row(returned: tuple[Path, Path, str]) -> None:
    check_rows(returned[1], RETURNED)
    assert voxmill("verify", returned[1]).code == 0


def test_faults_that_kill_or_hang_cost_no_other_row(deadly: tuple[Path, Path, str]) -> None:
    check_rows(deadly[1], DEADLY)
    assert voxmill("verify", deadly[1]).code == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_faults_that_return_give_one_identity_anywhere(
    returned: tuple[Path, Path, str], tmp_path: Path, workers: int
) -> None:
    result = build_with(returned[0], tmp_path / "again", FaultySpeech(), workers=workers)
    assert result.manifest["identity"] == returned[2]


def test_deadly_faults_give_one_identity_for_another_number_of_workers(
    deadly: tuple[Path, Path, str], tmp_path: Path
) -> None:
    result = build_with(deadly[0], tmp_path / "again", FaultySpeech(), workers=1)
    assert result.manifest["identity"] == deadly[2]


def test_a_second_run_leaves_failed_rows_alone(
    deadly: tuple[Path, Path, str], tmp_path: Path
) -> None:
    log = tmp_path / "spoken.txt"
    result = build_with(deadly[0], deadly[1], FaultySpeech(log=str(log)))
    assert result.unchanged
    assert result.manifest["identity"] == deadly[2]
    assert not log.exists(), "a plain second run spoke again"


def test_other_settings_do_not_try_failed_rows_again(
    returned: tuple[Path, Path, str], tmp_path: Path
) -> None:
    log = tmp_path / "spoken.txt"
    job, output, _ = returned
    copied = copy(output, tmp_path)
    speech = FaultySpeech(log=str(log))
    result = build_with(job, copied, speech, changes=["units.clusters=5"])
    assert result.manifest["version"] == 2
    assert not log.exists()
    check_rows(copied, RETURNED)


@pytest.mark.parametrize("kind", ["returned", "deadly"])
def test_retry_failed_tries_them_and_only_them_again(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    job, output, identity = request.getfixturevalue(kind)
    words = RETURNED if kind == "returned" else DEADLY
    copied, log = copy(output, tmp_path), tmp_path / "spoken.txt"
    mended = FaultySpeech(faults=(), log=str(log))
    result = build_with(job, copied, mended, retry_failed=True)
    found = ended(copied)
    again = {name for name in words if name != REFUSES}  # that one is not retryable
    assert {name for name, place in found.items() if place.state == "accepted"} == (
        set(found) - {REFUSES}
    )
    spoken = log.read_text(encoding="utf-8").splitlines()
    assert len(set(spoken)) == len(again)  # each up to synthesize.attempts times
    assert all(any(word in text for word in again) for text in spoken)
    assert result.manifest["version"] == 2
    assert result.manifest["parent"] == {"version": 1, "identity": identity}
    assert voxmill("verify", copied).code == 0
    assert voxmill("verify", copied, "--version", "1").code == 0
    first = read_snapshot(FileStore(copied), 1)
    assert first["counts"]["failed"] == len(words)
    again_run = build_with(job, copied, mended)
    assert again_run.unchanged
    assert again_run.manifest["identity"] == result.manifest["identity"]


def test_retry_of_a_lasting_fault_fails_again_and_loses_nothing(
    returned: tuple[Path, Path, str], tmp_path: Path
) -> None:
    copied = copy(returned[1], tmp_path)
    result = build_with(returned[0], copied, FaultySpeech(), retry_failed=True)
    check_rows(copied, RETURNED)
    assert canonical_json(result.manifest["counts"]) == canonical_json(
        read_snapshot(FileStore(copied), 1)["counts"]
    )


def test_retry_with_nothing_retryable_is_no_new_snapshot(tmp_path: Path) -> None:
    job = write_job(tmp_path, [*rows(4), "this line is not JSON"])
    first = build_with(job, tmp_path / "out", FaultySpeech())
    again = build_with(job, tmp_path / "out", FaultySpeech(), retry_failed=True)
    assert first.manifest["counts"]["failed"] == 1
    assert again.manifest["version"] == 1


def test_a_backend_that_loads_slowly_is_not_blamed_on_rows(tmp_path: Path) -> None:
    """Loading a model is not a row's time: else a slow disk would fail rows (promise 1)."""
    job = write_job(tmp_path, rows(3))
    build_with(job, tmp_path / "out", FaultySpeech(slow_open_s=1.5), workers=1, row_timeout_s=1.0)
    assert {place.state for place in ended(tmp_path / "out").values()} == {"accepted"}


def copy(output: Path, folder: Path) -> Path:
    """A copy of a corpus, to be changed."""
    return Path(shutil.copytree(output, folder / "copied"))
