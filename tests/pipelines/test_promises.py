"""The promises, on real builds of the shipped sample rows: what changes a corpus, and what not."""

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.pipelines import corpora
from tests.pipelines.corpora import FEW, NUM_ROWS, ROOT, shards

pytestmark = pytest.mark.slow


def command(output: Path, *options: str) -> list[str]:
    return corpora.command(output, *FEW, *options)


def build(output: Path, *options: str) -> dict[str, Any]:
    return corpora.build(output, *FEW, *options)


SAMPLE = ROOT / "examples" / "sample_instructions.jsonl"


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """An undisturbed build with one worker."""
    output = tmp_path_factory.mktemp("reference") / "corpus"
    return output, build(output, "--workers", "1")


@pytest.mark.parametrize("workers", ["0", "2", "3"])
def test_the_worker_count_changes_no_byte(
    workers: str, reference: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    output, line = reference
    other = build(tmp_path / "corpus", "--workers", workers)
    assert other["identity"] == line["identity"]
    assert shards(tmp_path / "corpus") == shards(output)


def test_row_order_and_file_names_change_no_byte(
    reference: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    output, line = reference
    rows = SAMPLE.read_text().splitlines()[:NUM_ROWS]
    random.Random(7).shuffle(rows)
    source = tmp_path / "source"
    source.mkdir()
    (source / "b.jsonl").write_text("\n".join(rows[:30]) + "\n")
    (source / "a.jsonl").write_text("\n".join(rows[30:]) + "\n")
    other = build(tmp_path / "corpus", "--input", str(source))
    assert other["identity"] == line["identity"]
    assert shards(tmp_path / "corpus") == shards(output)


def test_every_row_ends_in_exactly_one_state(reference: tuple[Path, dict[str, Any]]) -> None:
    output, line = reference
    assert line["rows"] == NUM_ROWS
    assert line["accepted"] + line["rejected"] + line["failed"] == line["rows"]
    assert line["accepted"] > 24
    assert line["rejected"] > 5
    manifest = json.loads((output / line["snapshot"]).read_text())
    plan = json.loads((output / manifest["plan"]["name"]).read_text())
    planned = [key for partition in plan["partitions"] for key in partition["ids"]]
    assert sorted(planned) == sorted(set(planned))
    assert sorted(planned) == sorted(_ended(output, manifest))


def test_a_second_run_does_nothing_and_names_the_same_snapshot(
    reference: tuple[Path, dict[str, Any]],
) -> None:
    output, line = reference
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*.tar")}
    again = build(output)
    assert again["snapshot"] == line["snapshot"]
    assert sum(again["computed_rows"].values()) == 0
    assert again["reused_rows"] == line["computed_rows"]
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*.tar")} == before


@pytest.mark.parametrize("moment", range(6))
def test_kill_9_of_everything_then_the_same_command(
    moment: int, reference: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """The driver and its workers die at six moments between start and the very end."""
    output, line = reference
    target = tmp_path / "corpus"
    running = subprocess.Popen(
        command(target, "--workers", "2"),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _wait_for(_MOMENTS[moment], target, running)
    family = [psutil.Process(running.pid)]
    family += family[0].children(recursive=True)
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    running.wait()
    psutil.wait_procs(family, timeout=10)
    assert not (target / "latest.json").exists()
    done = build(target, "--workers", "2")
    assert done["identity"] == line["identity"]
    assert shards(target) == shards(output)
    if moment >= 3:  # units are under way: nothing before them is done again
        assert done["computed_rows"]["synthesize"] == 0
        assert done["computed_rows"]["rewrite"] == 0


def test_workers_killed_all_the_time_change_no_byte_and_blame_no_row(
    reference: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    output, line = reference
    target = tmp_path / "corpus"
    running = subprocess.Popen(
        command(target, "--workers", "2"), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    chance, killed = random.Random(3), 0
    while running.poll() is None and killed < 6:
        time.sleep(0.5)
        workers = _workers(running.pid)
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(workers).pid, signal.SIGKILL)
                killed += 1
    text, _ = running.communicate()
    assert running.returncode == 0
    assert killed >= 3
    done = json.loads(text.splitlines()[-1])
    assert done["failed"] == 0
    assert done["identity"] == line["identity"]
    assert shards(target) == shards(output)


def test_orphaned_workers_end_by_themselves(tmp_path: Path) -> None:
    running = subprocess.Popen(
        command(tmp_path / "corpus", "--workers", "2"),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (workers := _workers(running.pid)):
        time.sleep(0.05)
    running.kill()
    running.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []


def _ended(output: Path, manifest: dict[str, Any]) -> list[str]:
    import pyarrow.parquet as pq

    names = [f"index/{shard['index']}" for shard in manifest["shards"]]
    keys = [key for name in names for key in pq.read_table(output / name)["key"].to_pylist()]
    for state in ("rejected", "failed"):
        keys += pq.read_table(output / manifest[state]["name"])["id"].to_pylist()
    return keys


def _workers(pid: int) -> list[psutil.Process]:
    try:
        children = psutil.Process(pid).children()
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []


_MOMENTS = (
    "work/memo/rewrite-*/*/*.pack",
    "work/memo/synthesize-*/*/*.pack",
    "work/builds/*/fit-kmeans/*.pack",
    "work/memo/units-*/*/*.pack",
    "shards/*.tar",
    "commits/*/*.json",
)


def _wait_for(pattern: str, folder: Path, running: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and running.poll() is None:
        if any(folder.glob(pattern)):
            return
        time.sleep(0.002)
    raise AssertionError(f"the build ended or hung before it wrote {pattern}")
