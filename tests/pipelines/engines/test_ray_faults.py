"""What a batch job on Ray meets: workers, machines and drivers that die, rows that kill."""

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines.engines import ray_engine
from pipelines.engines.clocks import Timeouts
from pipelines.engines.poison import WORKER_DIED
from schemas.errors import BackendError
from tests.jobs.faults import ORPHANS, SEGFAULTS, FaultySpeech
from tests.jobs.small import ROOT, Quiet, build_with, ended, row, rows, write_job
from tests.pipelines.engines.builds import (
    ON_CLUSTER,
    PATIENCE_S,
    Corpus,
    build_in,
    command,
    hosted,
    stations,
    until,
)
from tests.pipelines.engines.conftest import STORE

pytestmark = pytest.mark.slow
SPOKEN = "work/memo/synthesize-*/*/*.pack"


@contextmanager
def _once(pattern: str, folder: Path, act: Callable[[], None]) -> Iterator[list[str]]:
    """Do something as soon as a build has written such a file; what went wrong, told after it."""
    problems: list[str] = []

    def wait() -> None:
        try:
            until(lambda: any(folder.glob(pattern)), f"nothing wrote {pattern}")
            act()
        except (AssertionError, psutil.Error, OSError) as error:
            problems.append(repr(error))

    watch = threading.Thread(target=wait)
    watch.start()
    try:
        yield problems
    finally:
        watch.join()
    assert problems == []


def test_a_killed_actor_costs_its_task_in_flight_and_no_byte(
    cluster: Any, reference: Corpus, output: Path
) -> None:
    killed: list[int] = []

    def kill() -> None:
        victim = stations()[0]
        victim.send_signal(signal.SIGKILL)
        killed.append(victim.pid)

    with _once(SPOKEN, output, kill):
        built = build_in(output, *ON_CLUSTER)
    assert len(killed) == 1
    assert built.published == reference.published
    assert built.line["failed"] == 0
    assert "a Ray worker was lost in" in built.notes


def test_a_removed_node_costs_its_tasks_in_flight_and_no_byte(
    cluster: Any, reference: Corpus, output: Path
) -> None:
    """The pool spreads over three nodes; one goes, and its worker is not to come back."""
    third = cluster.add_node(num_cpus=1, object_store_memory=STORE)
    with _once(SPOKEN, output, lambda: cluster.remove_node(third, allow_graceful=False)):
        built = build_in(output, *ON_CLUSTER[:2], "--workers", "3")
    assert built.published == reference.published
    assert built.line["failed"] == 0


def _interrupted(cluster: Any, output: Path, number: signal.Signals) -> int:
    """A build by command that gets a signal while it speaks; its exit code, its workers gone."""
    told = (*ON_CLUSTER, "--address", cluster.address)
    driver = subprocess.Popen(
        command(output, *told), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until(lambda: any(output.glob(SPOKEN)), "the driver's build speaks nothing")
    workers = stations()
    workers += [child for worker in workers for child in hosted(worker)]
    assert len(workers) >= 2
    driver.send_signal(number)
    driver.wait(timeout=PATIENCE_S)
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE_S)
    assert alive == []
    assert not (output / "latest.json").exists()
    return driver.returncode


def test_a_killed_driver_takes_its_workers_with_it_and_the_same_command_goes_on(
    cluster: Any, reference: Corpus, output: Path
) -> None:
    assert _interrupted(cluster, output, signal.SIGKILL) == -signal.SIGKILL
    built = build_in(output, *ON_CLUSTER)
    assert built.published == reference.published
    assert built.line["computed_rows"]["rewrite"] < reference.line["computed_rows"]["rewrite"]


def test_a_driver_that_is_asked_to_end_does_so_in_our_words(cluster: Any, output: Path) -> None:
    """Ray's core would abort at SIGTERM, with a trace of its own."""
    assert _interrupted(cluster, output, signal.SIGTERM) == 130


def test_a_row_that_kills_its_process_fails_and_the_actor_lives(
    cluster: Any, tmp_path: Path
) -> None:
    bad = row("bad", "What is it?", f"It is the {SEGFAULTS} that we say.")
    job = write_job(tmp_path, [*rows(5), bad])
    listener = Quiet()
    build_with(job, tmp_path / "out", FaultySpeech(), listener=listener, start=_on_ray(listener))
    found = ended(tmp_path / "out")
    assert (found["bad"].state, found["bad"].why) == ("failed", WORKER_DIED)
    assert sum(item.state == "accepted" for item in found.values()) == 5
    assert any("a worker ended in synthesize" in note for note in listener.notes)
    assert not any("Ray worker was lost" in note for note in listener.notes)


def test_a_task_that_always_loses_its_actor_ends_the_build_and_says_so(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray itself would repeat it for ever."""
    monkeypatch.setattr(ray_engine, "LOST", 1)
    bad = row("bad", "What is it?", f"It is the {ORPHANS} that we say.")
    job = write_job(tmp_path, [bad])
    listener = Quiet()
    with pytest.raises(BackendError, match=r"lost its Ray worker 1 times.*enough memory"):
        build_with(
            job, tmp_path / "out", FaultySpeech(), listener=listener, start=_on_ray(listener)
        )
    until(lambda: not stations(), "a worker outlives its build")


def _on_ray(listener: Quiet) -> Any:
    from pipelines.engines.ray_cluster import RayOptions

    options = RayOptions(max_workers=2)  # of the cluster that this process is connected to
    return lambda job: ray_engine.RayEngine(job, options, Timeouts(row_s=20.0), listener)
