"""Watching a build: Prometheus, the sign of life with counts, run.json; none of it can harm it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from jobs.metrics import serving
from jobs.running import running_builds, running_lines
from pipelines.lease import FOLDER, holding, leases
from pipelines.telemetry import Telemetry
from schemas.errors import SettingsError, StoreError
from schemas.snapshot import snapshot_path
from schemas.store import FileStore
from tests.jobs.small import Quiet, rows, voxmill, write_job
from tests.pipelines.corpora import ROOT
from tests.schemas.test_snapshot import manifest

STEP = {"rows": 8, "computed": 5, "failed": 1, "retried": 2, "busy_s": 0.25, "causes": {"x": 1}}


def telemetry() -> Telemetry:
    told = Telemetry(Quiet(), "local", 2)
    told.stage("rows to verdicts", 4)
    told.rows("synthesize", 5)
    told.counted({"synthesize": STEP})
    told.finished()
    return told


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def scraped(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in found}


def test_prometheus_is_told_the_counts_of_the_run() -> None:
    port = free_port()
    with serving(telemetry(), port):
        found = scraped(port)
    assert found['voxmill_rows_computed_total{step="synthesize"}'] == 5
    assert found['voxmill_rows_reused_total{step="synthesize"}'] == 3
    assert found['voxmill_errors_total{step="synthesize"}'] == 1
    assert found['voxmill_retries_total{step="synthesize"}'] == 2
    assert found['voxmill_step_seconds_total{step="synthesize"}'] == 0.25
    assert found['voxmill_tasks{stage="rows to verdicts",state="done"}'] == 1
    assert found["voxmill_eta_seconds"] >= 0
    with pytest.raises(OSError, match="refused"):
        scraped(port)


def test_a_port_in_use_and_a_missing_package_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        with (
            pytest.raises(SettingsError, match=f"{port}.*choose another"),
            serving(telemetry(), port),
        ):
            pass
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(SettingsError, match=r"voxmill\[metrics\]"), serving(telemetry(), 1):
        pass


def test_a_running_build_shows_its_counts_and_a_dead_one_its_age(tmp_path: Path) -> None:
    store, told = FileStore(tmp_path), telemetry()
    plan = {"name": "inputs/plan.json", "sha256": "0"}
    scratch = f"builds/{'a' * 24}-{'b' * 8}"
    with holding(store, "a" * 24, scratch, plan, {}, beat_s=0.02, status=told.status):  # type: ignore[arg-type]
        deadline = time.monotonic() + 20
        while not leases(store)[0].status and time.monotonic() < deadline:
            time.sleep(0.02)
        (build,) = running_builds(store)
        text = "\n".join(running_lines([build]))
        assert build["state"] == "running"
        assert "rows to verdicts: 1 of 4" in text
        assert "5 computed, 3 reused, 1 failed" in text
        (path,) = (tmp_path / FOLDER).iterdir()
        kept = path.read_bytes()
    assert running_builds(store) == []
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(kept)  # as kill -9 leaves it
    old = time.time() - 400
    os.utime(path, (old, old))
    (build,) = running_builds(store)
    assert build["state"] == "dead"
    assert "seems dead" in "\n".join(running_lines([build]))
    store.put(snapshot_path(1), b"{torn")
    store.put(snapshot_path(2), json.dumps(manifest(version=2, build_id="b" * 24)).encode())
    assert running_builds(store)[0]["state"] == "dead", (
        "another build's snapshot, and one that is damaged"
    )
    store.put(snapshot_path(3), json.dumps(manifest(version=3, build_id="a" * 24)).encode())
    (build,) = running_builds(store)
    (line,) = running_lines([build])
    assert "its snapshot stands; `voxmill clean`" in line


def test_a_status_that_cannot_be_written_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = FileStore(tmp_path)
    plan = {"name": "p", "sha256": "0"}
    with holding(store, "a" * 24, f"builds/{'a' * 24}-1", plan, {}, beat_s=0.01):  # type: ignore[arg-type]

        def full(*arguments: object) -> None:
            raise StoreError("the store is full")

        with monkeypatch.context() as patch:
            patch.setattr(store, "put", full)
            deadline = time.monotonic() + 20
            while "full" not in caplog.text and time.monotonic() < deadline:
                time.sleep(0.01)
    assert "the store is full" in caplog.text


@pytest.mark.slow
def test_inspect_shows_a_build_that_runs_and_one_that_was_killed(tmp_path: Path) -> None:
    job, output, port = write_job(tmp_path, rows(60)), tmp_path / "out", free_port()
    arguments = ["build", str(job), "--output", str(output), "--workers", "1", "--quiet"]
    running = subprocess.Popen(
        [sys.executable, "-m", "jobs.cli", *arguments, "--metrics-port", str(port)], cwd=ROOT
    )
    try:
        deadline = time.monotonic() + 60
        while not list(output.glob("work/memo/synthesize-*/*/*.pack")):
            assert time.monotonic() < deadline
            assert running.poll() is None
            time.sleep(0.02)
        assert scraped(port)['voxmill_rows_total{step="rewrite"}'] >= 0
        done = voxmill("inspect", str(output))
        assert done.code == 0, done.err
        assert "no snapshot yet" in done.out
        assert ": running, seen" in done.out
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    assert voxmill("build", *arguments[1:]).code == 0
    record = json.loads((output / "run.json").read_text())
    steps = record["steps"]["synthesize"]
    assert steps["computed"] + steps["reused"] >= 120
    assert record["started"] <= record["ended"]
    assert record["host"]["cpus"] == os.cpu_count()
    assert record["settings"]["name"] == "small"
