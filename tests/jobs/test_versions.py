"""Files of other releases: a job for a newer one, a work store in another format."""

import json
from pathlib import Path

import pytest

from pipelines.work_format import MARKER
from tests.jobs.small import Done, rows, voxmill, write_job


def built(folder: Path, *options: str) -> Done:
    job = write_job(folder, rows(2)) if not (folder / "job.yaml").exists() else folder / "job.yaml"
    return voxmill("build", job, "--output", folder / "out", "--workers", "0", "--quiet", *options)


@pytest.mark.parametrize(("told", "code"), [("1", 0), ("2", 2), ("0", 2), ("new", 2)])
def test_a_job_for_a_newer_format_says_so_before_anything_else(
    tmp_path: Path, told: str, code: int
) -> None:
    extra = ["--set", f"version={told}", *(["--set", "zzz.leap=7"] if told == "2" else [])]
    job = write_job(tmp_path, rows(2))
    done = voxmill("plan", job, "--output", tmp_path / "out", *extra)
    assert done.code == code
    if told == "2":
        assert "written for version 2 of the job format" in done.err
        assert "install a newer Voxmill" in done.err
        assert "zzz" not in done.err.partition("written for")[2]
    elif code:
        assert "setting 'version'" in done.err


def test_an_unknown_setting_that_is_near_to_none_may_be_of_a_newer_release(tmp_path: Path) -> None:
    job = write_job(tmp_path, rows(2))
    far = voxmill("plan", job, "--output", tmp_path / "out", "--set", "zzz.leap=7")
    near = voxmill("plan", job, "--output", tmp_path / "out", "--set", "unitz.clusters=7")
    assert far.code == near.code == 2
    assert "newer Voxmill" in far.err
    assert "newer Voxmill" not in near.err
    assert "did you mean 'units'" in near.err


def test_a_work_store_of_another_format_is_left_alone_and_the_cure_works(tmp_path: Path) -> None:
    assert built(tmp_path).code == 0
    marker = tmp_path / "out" / "work" / MARKER
    told = json.loads(marker.read_bytes())
    assert told["schema"] == 1
    marker.write_text(json.dumps({**told, "schema": 7, "written_by": "9.0"}))
    before = {path: path.read_bytes() for path in marker.parent.rglob("*") if path.is_file()}
    change = ["--set", "seed=5"]
    job = tmp_path / "job.yaml"
    for done in (
        built(tmp_path, *change),
        voxmill("plan", job, "--output", tmp_path / "out", *change),
    ):
        assert done.code == 2
        assert "schema 7, written by Voxmill 9.0" in done.err
        assert "--set output.work=URI" in done.err
    assert before == {p: p.read_bytes() for p in marker.parent.rglob("*") if p.is_file()}
    assert built(tmp_path, *change, "--set", f"output.work={tmp_path / 'work2'}").code == 0


def test_a_damaged_marker_is_said_and_one_from_before_markers_is_taken(tmp_path: Path) -> None:
    assert built(tmp_path).code == 0
    marker = tmp_path / "out" / "work" / MARKER
    marker.write_text("{")
    done = built(tmp_path, "--set", "seed=5")
    assert done.code == 2
    assert "delete the file" in done.err
    marker.unlink()
    assert built(tmp_path, "--set", "seed=5").code == 0
    assert marker.exists()
