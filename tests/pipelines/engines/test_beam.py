"""The Beam engine: the bytes of every other engine, and what kills Beam pipelines."""

import dataclasses
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines.engines import beam, beam_work
from pipelines.engines.beam import BeamEngine, hints
from pipelines.engines.beam_harness import harnesses
from pipelines.engines.beam_options import options_from
from pipelines.engines.clocks import Timeouts
from pipelines.engines.pieces import Pool, pieces_of
from pipelines.engines.poison import WORKER_DIED
from pipelines.task import Job
from schemas.errors import BackendError
from schemas.file_store import FileStore
from schemas.store import StoreAddress
from tests.chat_server import ChatServer, serving
from tests.jobs.chatting import chat_job
from tests.jobs.faults import HANGS, SEGFAULTS, FaultySpeech
from tests.jobs.small import (
    Quiet,
    build_here,
    build_with,
    ended,
    manifest_of,
    row,
    rows,
    voxmill,
    write_job,
)
from tests.pipelines.engines.builds import Corpus, build_in, hosted, shards, until
from transforms.step import Resources

pytestmark = [
    pytest.mark.slow,
    # Beam's threads raise when a worker is killed, sometimes as late as in the next test
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]
ON_BEAM = ("--engine", "beam", "--workers", "2")
PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")


def test_beam_in_memory_changes_no_byte_though_every_bundle_comes_twice(
    reference: Corpus, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner repeats bundles, and partials are merged two by two: a tree of another shape."""
    merged: list[int] = []
    real = beam_work.MergeFit._merged

    def spied(self: beam_work.MergeFit, paths: list[str]) -> str:
        merged.append(len(paths))
        return real(self, paths)

    monkeypatch.setattr(beam_work, "FAN_IN", 2)
    monkeypatch.setattr(beam_work.MergeFit, "_merged", spied)
    twice = "--direct_runner_bundle_repeat=1"
    built = build_in(output, *ON_BEAM, "--", "--direct_running_mode=in_memory", twice)
    assert built.published == reference.published
    assert built.line["computed_rows"] == reference.line["computed_rows"]
    assert built.line["reused_rows"] == reference.line["reused_rows"]
    assert len(merged) >= 5
    assert set(merged) == {2}
    assert not list((output / "work" / "builds").rglob("*"))


def test_beam_in_processes_changes_no_byte(reference: Corpus, output: Path) -> None:
    built = build_in(output, *ON_BEAM, "--", *PROCESSES)
    assert built.published == reference.published
    assert built.line["computed_rows"] == reference.line["computed_rows"]


def test_beam_builds_into_a_bucket_by_pieces_what_is_built_into_a_folder(
    reference: Corpus, s3: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where steps need different machines several DoFns do a task, a reshuffle between them."""
    chains: set[int] = set()

    def cut(pipeline: Any, task: Any, pools: Any, passed: str | None = None) -> Any:
        chain = pieces_of(pipeline, task, {"synthesize": Pool(cpus=2)}, passed)
        chains.add(len(chain))
        return chain

    monkeypatch.setattr(beam, "pieces_of", cut)
    built = build_in(s3, *ON_BEAM)
    assert built.published == reference.published
    assert built.line["computed_rows"] == reference.line["computed_rows"]
    assert built.line["reused_rows"] == reference.line["reused_rows"]
    assert max(chains) >= 3


def test_a_killed_beam_worker_ends_the_build_and_the_next_one_goes_on(tmp_path: Path) -> None:
    """The DirectRunner does not survive it; what was finished is in the store all the same."""
    job = write_job(tmp_path, rows(24))
    undisturbed = tmp_path / "undisturbed"
    build_with(job, undisturbed, FaultySpeech())
    output, killed = tmp_path / "out", list[int]()

    def kill() -> None:
        until(lambda: any(output.glob("work/memo/rewrite-*/*/*.pack")) and harnesses())
        worker = harnesses()[0]
        worker.send_signal(signal.SIGKILL)
        killed.append(worker.pid)

    def start(work: Job) -> BeamEngine:
        return BeamEngine(
            work, options_from(PROCESSES, 2, None, "out"), Timeouts(row_s=60.0), Quiet()
        )

    watch = threading.Thread(target=kill)
    watch.start()
    with pytest.raises(
        BackendError, match=r"tasks undone.*may have been killed.*run the same command again"
    ):
        build_with(job, output, FaultySpeech(), start=start)
    watch.join()
    assert len(killed) == 1
    until(lambda: not harnesses())
    assert not (output / "latest.json").exists()
    result = build_with(job, output, FaultySpeech())
    assert result.reused["rewrite"] >= 8
    assert manifest_of(output)["identity"] == manifest_of(undisturbed)["identity"]
    assert shards(FileStore(output)) == shards(FileStore(undisturbed))


def test_a_beam_worker_that_dies_before_its_first_word_ends_the_build(tmp_path: Path) -> None:
    """The runner would wait for it for ever."""
    killed: list[int] = []

    def kill() -> None:
        until(harnesses)
        worker = harnesses()[0]
        worker.send_signal(signal.SIGKILL)
        killed.append(worker.pid)

    def start(work: Job) -> BeamEngine:
        return BeamEngine(
            work, options_from(PROCESSES, 2, None, "out"), Timeouts(row_s=60.0), Quiet()
        )

    watch = threading.Thread(target=kill)
    watch.start()
    job = write_job(tmp_path, rows(6))
    with pytest.raises(BackendError, match="a worker process of Beam's ended before its work"):
        build_with(job, tmp_path / "out", FaultySpeech(), start=start)
    watch.join()
    assert len(killed) == 1
    until(lambda: not harnesses())


def test_a_row_that_kills_its_process_fails_alone_and_beam_counts_the_rows(tmp_path: Path) -> None:
    bad = row("bad", "What is it?", f"It is the {SEGFAULTS} that we say.")
    job = write_job(tmp_path, [*rows(5), bad])
    listener = Quiet()
    engines: list[BeamEngine] = []
    build_with(
        job,
        tmp_path / "out",
        FaultySpeech(),
        listener=listener,
        start=_on_beam(listener, engines),
    )
    found = ended(tmp_path / "out")
    assert (found["bad"].state, found["bad"].why) == ("failed", WORKER_DIED)
    assert sum(item.state == "accepted" for item in found.values()) == 5
    assert any("a worker ended in synthesize" in note for note in listener.notes)
    counted = engines[0].metrics
    assert counted["synthesize.rows"] >= 12
    assert counted["rewrite.rows"] % 6 == 0
    assert counted["tasks"] >= 6
    assert counted["errors"] == 0
    until(lambda: not hosted(psutil.Process()), "a worker outlives its build")


def test_closing_stops_what_no_runner_would_stop(tmp_path: Path) -> None:
    """A worker that is stuck in a row ends because the driver's beacon is out."""
    bad = row("bad", "What is it?", f"It is the {HANGS} that we say.")
    job = write_job(tmp_path, [bad])
    engines: list[BeamEngine] = []
    spoken = tmp_path / "spoken"

    def start(work: Job) -> BeamEngine:
        engine = BeamEngine(work, _options(1), Timeouts(row_s=3600.0), Quiet())
        engines.append(engine)
        threading.Thread(target=close, args=(engine,)).start()
        return engine

    def close(engine: BeamEngine) -> None:
        until(lambda: HANGS in (spoken.read_text() if spoken.exists() else ""))
        engine.close()

    with pytest.raises(BackendError, match="1 of 1 tasks left no receipt"):
        build_with(job, tmp_path / "out", FaultySpeech(log=str(spoken)), start=start)
    until(lambda: not hosted(psutil.Process()), "a worker outlives its build")


def test_a_runner_that_loses_tasks_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(self: beam_work.ReadTasks, entry: tuple[str, str]) -> Iterator[Any]:
        yield from list(real(self, entry))[1:]

    real = beam_work.ReadTasks.process
    monkeypatch.setattr(beam_work.ReadTasks, "process", lost)
    job = write_job(tmp_path, rows(3))
    listener = Quiet()
    with pytest.raises(BackendError, match=r"says that all is done \(DONE\), and 1 of 1 tasks"):
        build_with(job, tmp_path / "out", FaultySpeech(), start=_on_beam(listener, []))


def test_packs_of_tasks_are_unpickled_only_with_their_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may write to the work store must not thereby run code on the workers."""
    real = beam_work.burns
    opened: list[bool] = []

    def packs(self: BeamEngine, post: Any, todo: Any) -> Any:
        entries = written(self, post, todo)
        for name, _ in entries:
            self._work.put(name, self._work.get(name) + b" ")
        return entries

    written = BeamEngine._packs
    monkeypatch.setattr(BeamEngine, "_packs", packs)
    monkeypatch.setattr(beam_work, "burns", lambda job: opened.append(True) or real(job))
    job = write_job(tmp_path, rows(3))
    with pytest.raises(BackendError, match="DamageError"):
        build_with(job, tmp_path / "out", FaultySpeech(), start=_on_beam(Quiet(), []))
    assert opened == []


def test_models_are_asked_through_beam(tmp_path: Path) -> None:
    with serving(ChatServer()) as server:
        job = chat_job(tmp_path / "job", server)
        told = ("--limit", "6", "--json")
        done = voxmill("build", job, "--output", tmp_path / "beam", *told, *ON_BEAM)
        assert done.code == 0, done.err
        asked = server.seen["requests"]
        here = build_here(job, tmp_path / "here", "--limit", "6")
        assert server.seen["requests"] == 2 * asked
    assert done.last_json["identity"] == here.last_json["identity"]
    assert "\nask: " in done.err


def test_needs_of_steps_become_resource_hints() -> None:
    needs = Resources(cpus=0.5, gpus=1, memory_mb=3000)
    assert hints(needs, None) == {"min_ram": "3000MB", "cpu_count": "1"}
    kind = "type:nvidia-l4;count:1;install-nvidia-driver"
    assert hints(needs, kind)["accelerator"] == kind
    assert "accelerator" not in hints(dataclasses.replace(needs, gpus=0), kind)


def _options(workers: int) -> Any:
    return options_from((), workers, None, "out")


def _on_beam(listener: Quiet, engines: list[BeamEngine]) -> Callable[[Job], BeamEngine]:
    def start(job: Job) -> BeamEngine:
        engines.append(BeamEngine(job, _options(2), Timeouts(row_s=20.0), listener))
        return engines[-1]

    return start
