"""An increment, a retokenize and a check that die anywhere end, run again, in the same corpus."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.jobs.small import (
    ROOT,
    build_here,
    files,
    manifest_of,
    rows,
    voxmill,
    write_job,
    write_rows,
)
from tests.killer import killed_build

pytestmark = pytest.mark.slow
POINTS = (
    ("before", "put", "inputs/", 1),
    ("before", "put_file", "shards/", 1),
    ("after", "put_new", "commits/", 2),
    ("after", "put_new", "snapshots/", 1),
)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of ten rows whose source now has three more and one less; and it as it should be."""
    folder = tmp_path_factory.mktemp("first")
    job = write_job(folder, rows(10), splits={"eval_fraction": 0.3})
    assert build_here(job, folder / "corpus").code == 0
    write_rows(folder / "rows.jsonl", rows(13)[1:])
    shutil.copytree(folder / "corpus", folder / "grown")
    assert build_here(job, folder / "grown").code == 0
    return folder


@pytest.mark.parametrize("point", POINTS, ids=lambda point: "-".join(map(str, point)))
def test_a_killed_increment_ends_as_an_undisturbed_one(
    first: Path, tmp_path: Path, point: Sequence[object]
) -> None:
    corpus = Path(shutil.copytree(first / "corpus", tmp_path / "corpus"))
    command = killed_build([*map(str, point)], first / "job.yaml", str(corpus))
    died = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert died.returncode == -9, died.stderr
    assert voxmill("verify", corpus, "--version", "1").code == 0
    done = build_here(first / "job.yaml", corpus)
    assert (done.code, done.last_json["carried_rows"]) in ((0, 9), (0, 0)), done.err
    assert manifest_of(corpus) == manifest_of(first / "grown")
    assert files(corpus, "shards").keys() >= files(first / "grown", "shards").keys()
    assert voxmill("verify", corpus).code == 0


def test_what_is_swept_after_an_increment_is_nothing_that_a_snapshot_needs(
    first: Path, tmp_path: Path
) -> None:
    corpus = Path(shutil.copytree(first / "grown", tmp_path / "corpus"))
    assert voxmill("clean", corpus, "--grace", "0s", "--none-running").code == 0
    for version in ("1", "2"):
        assert voxmill("verify", corpus, "--version", version).code == 0
    write_rows(tmp_path / "rows.jsonl", rows(15)[1:])
    done = build_here(first / "job.yaml", corpus, "--input", tmp_path / "rows.jsonl")
    assert (done.code, done.last_json["carried_rows"]) == (0, 12), done.err


@pytest.mark.parametrize(
    ("name", "adapter", "point"),
    [
        ("retokenize", "voxmill", ("after", "put", "memo/conform", 1)),
        ("retokenize", "voxmill", ("after", "put_new", "commits/", 1)),
        ("check", "voxmill", ("after", "put", "memo/measure", 1)),
    ],
)
def test_a_killed_pipeline_of_speech_goes_on_where_it_was(
    first: Path, tmp_path: Path, name: str, adapter: str, point: Sequence[object]
) -> None:
    job = ROOT / "examples" / f"{name}.yaml"
    few = ["units.clusters=6", "units.max_frames=1000"] if name == "retokenize" else []
    changes = [f"source.adapter={adapter}", *few]
    more = ["--input", str(first / "corpus"), *(w for c in changes for w in ("--set", c))]
    killed = [*killed_build([*map(str, point)], job, str(tmp_path / "out")), *more]
    died = subprocess.run(killed, cwd=ROOT, capture_output=True, text=True)
    assert died.returncode == -9, died.stderr
    done = build_here(job, tmp_path / "out", *more)
    assert done.code == 0, done.err
    whole = build_here(job, tmp_path / "whole", *more)
    conformed = (line.last_json["computed_rows"]["conform"] for line in (done, whole))
    assert next(conformed) < next(conformed)
    assert whole.last_json["identity"] == done.last_json["identity"]
    assert voxmill("verify", tmp_path / "out").code == 0
