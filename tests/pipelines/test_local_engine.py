"""The local engine where something goes wrong with a task, and not with a row."""

import os
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from pipelines.engines import worker
from pipelines.engines.local import LocalEngine
from pipelines.task import Job, MergeParts, State
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
    return LocalEngine(job, 1, 60.0, Quiet())


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
