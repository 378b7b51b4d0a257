"""What other engines' workers work with: a process of its own per host, and answers as values."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.engines.clocks import Timeouts
from pipelines.engines.engine import Engine, Listener
from pipelines.engines.host import Host, light_beacon, settle
from pipelines.engines.poison import WORKER_DIED
from pipelines.task import Job, Receipt, Task
from schemas.errors import StoreError
from schemas.store import StoreAddress
from tests.jobs.faults import EXITS, FaultySpeech
from tests.jobs.small import Quiet, build_with, ended, row, rows, write_job


class OneHost(Engine):
    """The least engine of its own kind: every task to one host."""

    def __init__(self, job: Job, listener: Listener) -> None:
        self._host, self._listener = Host(job, Timeouts(row_s=20.0)), listener

    def run(self, tasks: Iterable[Task]) -> Iterator[Receipt]:
        for task in tasks:
            yield settle(self._host.run(task), self._listener)

    def close(self) -> None:
        self._host.close()


def _job(folder: Path) -> Path:
    return write_job(folder, [*rows(2), row("bad", "What?", f"It is the {EXITS} that we say.")])


def test_a_row_that_ends_its_process_fails_in_a_host_and_the_driver_hears_of_it(
    tmp_path: Path,
) -> None:
    heard = Quiet()

    def start(job: Job) -> Engine:
        light_beacon(job)
        return OneHost(job, heard)

    result = build_with(_job(tmp_path), tmp_path / "out", FaultySpeech(), start=start)
    assert ended(tmp_path / "out")["bad"].why == WORKER_DIED
    assert result.manifest["counts"]["accepted"] == 2
    assert any("a worker ended in synthesize (exit code 1)" in note for note in heard.notes)


def test_a_host_that_sees_another_folder_of_that_name_refuses_to_work(tmp_path: Path) -> None:
    """As on a cluster whose machines share no file system."""

    def start(job: Job) -> Engine:
        light_beacon(job)
        elsewhere = StoreAddress(str(tmp_path / "another machine"))
        return OneHost(replace(job, work=elsewhere.below("work"), output=elsewhere), Quiet())

    with pytest.raises(StoreError, match="does not see there what the build's driver wrote"):
        build_with(_job(tmp_path), tmp_path / "out", FaultySpeech(), start=start)
