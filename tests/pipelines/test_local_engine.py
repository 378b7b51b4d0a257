"""The local engine where something goes wrong with a task, and not with a row."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines.engines import worker
from pipelines.engines.clocks import Timeouts
from pipelines.engines.local import LocalEngine
from pipelines.task import Job, MergeParts, State
from pipelines.worker import Worker
from schemas.errors import StoreError
from schemas.store import StoreAddress
from tests.builders import pipeline
from tests.jobs.small import Quiet

STATE = State(artifacts={}, fingerprints={})


def engine(folder: Path) -> LocalEngine:
    job = Job(
        pipeline=pipeline(),
        output=StoreAddress(str(folder)),
        work=StoreAddress(str(folder / "work")),
        build_id="0" * 24,
        scratch="builds/scratch",
        generation=0,
        environment={},
    )
    return LocalEngine(job, 1, Timeouts(row_s=60.0), Quiet())


def ended_within(seconds: float, work: Callable[[], Any]) -> list[Any]:
    """What the work gives, if it ends in time."""
    found: list[Any] = []
    later = threading.Thread(target=lambda: found.extend(work()), daemon=True)
    later.start()
    later.join(seconds)
    return found


def leaving_a_child(
    pipe: "Connection[Any, Any]", lifeline: "Connection[Any, Any]", job: Job
) -> None:
    """A worker whose library forks, and which is killed at its first task."""
    marker = Path(job.output.uri) / "died"
    if not marker.exists():
        marker.touch()
        pipe.recv()
        if os.fork():
            os._exit(1)
        time.sleep(60.0)  # the child holds the worker's end of the pipe
        os._exit(0)
    worker.main(pipe, lifeline, job)


def starting_a_child(
    pipe: "Connection[Any, Any]", lifeline: "Connection[Any, Any]", job: Job
) -> None:
    """A worker one of whose steps starts a process, as vLLM does. It writes the child's id."""

    def start() -> Worker:
        child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(300.0,))
        child.start()
        (Path(job.output.uri) / "child").write_text(str(child.pid))
        return Worker(job)

    vars(worker)["Worker"] = lambda given, opening: start()
    worker.main(pipe, lifeline, job)


def driving(folder: Path) -> None:
    """A driver that does a task and never closes its engine."""
    local = engine(folder)
    list(local.run([merging()]))
    time.sleep(300.0)


def is_over(pid: int) -> bool:
    """Whether a process is gone, within a while."""
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def merging(*parts: str) -> MergeParts:
    return MergeParts(state=STATE, fit="duplicates", parts=parts, into="builds/scratch/merged.pack")


def test_a_worker_that_told_of_an_error_takes_the_next_task(tmp_path: Path) -> None:
    """As the hosts of other engines are given one: the driver need not have heard yet."""
    local = engine(tmp_path)
    try:
        with pytest.raises(StoreError, match="nowhere"):
            list(local.run([merging("nowhere")]))
        done = ended_within(120.0, lambda: list(local.run([merging()])))
        assert done == [{"part": "builds/scratch/merged.pack"}]
    finally:
        local.close()


def test_a_child_of_a_dead_worker_does_not_keep_it_from_being_buried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.engines.local.worker.main", leaving_a_child)
    local = engine(tmp_path)
    try:
        done = ended_within(120.0, lambda: list(local.run([merging()])))
        assert done == [{"part": "builds/scratch/merged.pack"}]
    finally:
        local.close()


def test_what_a_step_starts_ends_with_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.engines.local.worker.main", starting_a_child)
    local = engine(tmp_path)
    try:
        assert list(local.run([merging()])) == [{"part": "builds/scratch/merged.pack"}]
        child = int((tmp_path / "child").read_text())
        assert psutil.pid_exists(child)
    finally:
        local.close()
    assert is_over(child)


def test_what_a_step_starts_ends_when_the_driver_is_killed(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; import tests.pipelines.test_local_engine as t; "
        "t.worker.main = t.starting_a_child; "
        f"t.driving(Path({str(tmp_path)!r}))"
    )
    driver = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 120.0
    while not (tmp_path / "work" / "builds" / "scratch" / "merged.pack").exists():
        assert time.monotonic() < deadline
        assert driver.poll() is None
        time.sleep(0.05)
    child = int((tmp_path / "child").read_text())
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert is_over(child)
