"""What does not open in time is tried again and costs no row; steps without a memo are watched."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.engines import local
from pipelines.engines.clocks import Clocks, Stuck, Timeouts
from pipelines.engines.poison import TIMEOUT
from pipelines.watch import WORKER
from schemas.errors import OpeningError
from tests.jobs.faults import HANGS, FaultySpeech, HangingGate
from tests.jobs.small import Quiet, build_with, ended, row, rows, write_job
from transforms.backends.chat.desk import MemoryDesk
from transforms.backends.chat.office import Office
from transforms.backends.chat.protocol import Ask, Reply

OPEN_S = 15.0  # a worker process starts within that, on a busy machine too


class Time:
    """A clock that is set by hand."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def clocks() -> tuple[Clocks, Time]:
    now = Time()
    return Clocks(Timeouts(row_s=10.0, open_s=100.0), now), now


def test_while_something_opens_no_row_is_timed_and_none_is_named() -> None:
    watched, now = clocks()
    watched.task(started=True)
    assert watched.hear(("enter", 1, "rewrite", "row-1"))
    assert watched.key == "row-1"
    watched.hear(("open", "the model m"))
    assert (watched.key, watched.where) == ("", " while it opened the model m")
    now.now_s = 99.0
    assert watched.stuck() is None
    now.now_s = 101.0
    assert watched.stuck() == Stuck("the model m", 100.0, True)
    watched.hear(("opened", "the model m"))
    assert watched.stuck() is None  # the row begins anew
    now.now_s = 112.0
    assert watched.stuck() == Stuck("rewrite", 10.0, False)
    assert watched.key == "row-1"


def test_a_worker_that_does_not_start_is_stuck_and_an_idle_one_never() -> None:
    watched, now = clocks()
    watched.task(started=False)
    now.now_s = 101.0
    assert watched.stuck() == Stuck(WORKER, 100.0, True)
    watched.idle()
    now.now_s = 1e6
    assert watched.stuck() is None


def test_rows_of_several_threads_are_timed_each_and_none_is_named() -> None:
    watched, now = clocks()
    watched.task(started=True)
    watched.hear(("enter", 1, "gate", "row-1"))
    now.now_s = 8.0
    watched.hear(("enter", 2, "judge", "row-2"))
    assert watched.key == ""
    now.now_s = 11.0
    assert watched.stuck() == Stuck("gate", 10.0, False)
    watched.hear(("left", 1))
    assert watched.stuck() is None
    assert watched.key == "row-2"
    assert not watched.hear(("rows", 2, "judge", 1))


def test_a_model_that_is_asked_says_that_it_opens() -> None:
    heard: list[str] = []

    @contextmanager
    def opening(what: str) -> Iterator[None]:
        heard.append(f"open {what}")
        yield
        heard.append("opened")

    async def complete(ask: Ask) -> Reply:
        heard.append("asked")
        return Reply(
            text="a",
            finish_reason="stop",
            refusal="",
            model="m",
            prompt_tokens=1,
            completion_tokens=1,
            attempts=1,
        )

    class Backend:
        sampling = SimpleNamespace(model="m")

        def identity(self) -> dict[str, object]:
            return {}

        @asynccontextmanager
        async def open(self) -> AsyncIterator[Any]:
            await asyncio.sleep(0)
            yield SimpleNamespace(complete=complete)

    office = Office(opening)
    try:
        ask: Any = office.asker(Backend(), MemoryDesk())  # type: ignore[arg-type]
        office.gather([ask(Ask(messages=(), answer_key="a", seed=0))])
    finally:
        office.close()
    assert heard == ["open the model m", "opened", "asked"]


@pytest.mark.slow
def test_a_backend_that_loads_for_ever_is_tried_in_another_worker_and_no_row_fails(
    tmp_path: Path,
) -> None:
    job, listener = write_job(tmp_path, rows(3)), Quiet()
    speech = FaultySpeech(hangs_once=str(tmp_path / "began"))
    told: Any = {"workers": 1, "open_timeout_s": OPEN_S, "listener": listener}
    build_with(job, tmp_path / "out", speech, **told)
    assert {place.state for place in ended(tmp_path / "out").values()} == {"accepted"}
    (note,) = [note for note in listener.notes if "a worker ended" in note]
    assert "while it opened synthesize (stuck for 15 s); its task is done again" in note


@pytest.mark.slow
def test_a_backend_that_never_loads_ends_the_build_with_step_seconds_and_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "OPENINGS", 2)
    job, listener = write_job(tmp_path, rows(3)), Quiet()
    speech = FaultySpeech(slow_open_s=3600.0)
    told: Any = {"workers": 1, "open_timeout_s": OPEN_S, "listener": listener}
    wanted = r"synthesize: did not open within 15 s \(engine.open_timeout_s\), in 2 processes"
    with pytest.raises(OpeningError, match=wanted):
        build_with(job, tmp_path / "out", speech, **told)
    assert sum("while it opened synthesize" in note for note in listener.notes) == 2
    assert not (tmp_path / "out" / "latest.json").exists()


@pytest.mark.slow
def test_a_row_that_hangs_in_a_step_without_a_memo_fails_alone_and_the_shards_know_it(
    tmp_path: Path,
) -> None:
    job, listener = write_job(tmp_path, [*rows(3), row(HANGS)]), Quiet()
    speech = FaultySpeech(faults=())
    told: Any = {"workers": 1, "row_timeout_s": 3.0, "listener": listener}
    build_with(job, tmp_path / "out", speech, last=HangingGate(), **told)
    found = ended(tmp_path / "out")
    assert (found[HANGS].state, found[HANGS].why) == ("failed", TIMEOUT)
    assert "gate did not return within 3 s (engine.row_timeout_s)" in found[HANGS].message
    assert sum(place.state == "accepted" for place in found.values()) == 3
    assert sum("a worker ended in gate" in note for note in listener.notes) == 3
