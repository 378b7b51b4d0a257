"""The local engine: worker processes on this machine. The reference for all others."""

import logging
import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from pipelines.engines import worker
from pipelines.engines.clocks import Clocks, Stuck, Timeouts
from pipelines.engines.engine import Listener
from pipelines.engines.poison import OPENINGS, Suspicion, describe, ended_itself
from pipelines.task import Job, Receipt, Task
from pipelines.watch import Watch
from pipelines.worker import Worker
from schemas import errors
from schemas.errors import BackendError, OpeningError, VoxmillError

logger = logging.getLogger(__name__)
POLL_S = 0.5
STILLBORN = 3  # times the workers: so many in a row may die before they do anything
KILLED_YOUNG = 30  # so many in a row, if they were killed from outside


@dataclass
class Slot:
    """One worker process and what it is doing."""

    process: BaseProcess
    pipe: "Connection[Any, Any]"
    lifeline: "Connection[Any, Any]"
    clocks: Clocks
    task: "_Tracked | None" = None
    started: bool = False  # it has said something
    greeted: bool = False  # it has done something
    drained: bool = False  # its pipe has been read to the end

    def kill(self) -> None:
        """End the process and those that its steps started."""
        self.process.kill()
        if self.process.pid is not None:
            worker.end_group(self.process.pid)


@dataclass
class _Tracked:
    task: Task
    suspicion: Suspicion = field(default_factory=Suspicion)


class LocalEngine:
    """Tasks over ``workers`` processes, each of which is watched: `Timeouts`."""

    def __init__(self, job: Job, workers: int, timeouts: Timeouts, listener: Listener) -> None:
        self._job = job
        self._workers = workers
        self._timeouts = timeouts
        self._listener = listener
        self._context = multiprocessing.get_context("spawn")
        self._slots: list[Slot] = []
        self._stillborn = 0

    def run(self, tasks: Iterable[Task]) -> Iterator[Receipt]:
        waiting = deque(_Tracked(task) for task in tasks)
        running = 0
        while waiting or running:
            while len(self._slots) < min(self._workers, len(waiting) + running):
                self._slots.append(self._spawn())
            for slot in self._slots:
                if slot.task is None and waiting:
                    self._give(slot, waiting.popleft())
                    running += 1
            for slot in self._ready():
                for receipt in self._listen(slot):
                    running -= 1
                    self._listener.finished()
                    yield receipt
            for tracked in self._bury():
                waiting.appendleft(tracked)
                running -= 1

    def close(self) -> None:
        """Kill the workers: whatever they finished is in the store."""
        for slot in self._slots:
            slot.kill()
        for slot in self._slots:
            slot.process.join()
            slot.pipe.close()
            slot.lifeline.close()
        self._slots = []

    def _spawn(self) -> Slot:
        ours, theirs = self._context.Pipe()
        their_line, our_line = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=worker.main, args=(theirs, their_line, self._job), daemon=True
        )
        process.start()
        theirs.close()
        their_line.close()
        return Slot(process, ours, our_line, Clocks(self._timeouts))

    def _give(self, slot: Slot, tracked: _Tracked) -> None:
        slot.task = tracked
        slot.clocks.task(started=slot.started)
        message = (tracked.task, tracked.suspicion.solo, dict(tracked.suspicion.poison))
        try:
            slot.pipe.send(message)
        except (BrokenPipeError, ConnectionResetError):
            logger.debug("a worker was dead when a task came; it is buried next")

    def _ready(self) -> list[Slot]:
        by_pipe: dict[object, Slot] = {slot.pipe: slot for slot in self._slots}
        sentinels = {slot.process.sentinel: slot for slot in self._slots}
        ready = wait([*by_pipe, *sentinels], timeout=POLL_S)  # type: ignore[list-item]
        return [by_pipe[item] for item in ready if item in by_pipe]

    def _listen(self, slot: Slot) -> Iterator[Receipt]:
        try:
            while slot.pipe.poll():
                message = slot.pipe.recv()
                slot.started = True
                if slot.clocks.hear(message):
                    continue
                slot.greeted = True
                self._stillborn = 0
                if message[0] == "rows":
                    _, thread, step, count = message
                    slot.clocks.leave(thread)  # its result is kept: not to blame
                    self._listener.rows(step, count)
                    continue
                slot.task = None  # it is free for what may come after an error too
                slot.clocks.idle()
                if message[0] != "done":
                    raise_told(*message)
                yield message[1]
        except (EOFError, OSError):  # it may have died in the midst of a message
            slot.drained = True

    def _bury(self) -> Iterator[_Tracked]:
        """Replace the dead and the stuck; their tasks are to be done again."""
        for number, slot in enumerate(self._slots):
            stuck = slot.clocks.stuck()
            if stuck is not None:
                slot.kill()
                slot.process.join()
            if slot.process.is_alive() or not (slot.drained or _is_empty(slot)):
                continue  # what a dead worker sent before it died still counts
            slot.kill()  # what its steps had started
            slot.process.join()
            yield from self._post_mortem(slot, stuck)
            slot.pipe.close()
            slot.lifeline.close()
            self._slots[number] = self._spawn()

    def _post_mortem(self, slot: Slot, stuck: Stuck | None) -> Iterator[_Tracked]:
        code = slot.process.exitcode
        if not slot.greeted and stuck is None:
            self._stillborn += 1
            limit = STILLBORN if ended_itself(code) else KILLED_YOUNG
            if self._stillborn >= limit * self._workers:
                raise BackendError(
                    f"workers die before they do anything ({describe(code)}); run with "
                    "--workers 0 to see why in this process"
                )
        if slot.task is None:
            return
        tracked, slot.task = slot.task, None
        where = slot.clocks.where
        cause = f"stuck for {stuck.timeout_s:g} s" if stuck else describe(code)
        self._listener.note(f"a worker ended{where} ({cause}); its task is done again")
        if stuck is not None and stuck.opening:
            self._not_opened(tracked.suspicion, stuck)
        else:
            row_s = stuck.timeout_s if stuck else None
            tracked.suspicion.died(slot.clocks.step, slot.clocks.key, code, row_s)
        if tracked.suspicion.hopeless:
            raise BackendError(
                f"a task killed its worker {tracked.suspicion.deaths} times{where} "
                f"({cause}) and no row is to blame; is there enough memory? Try fewer "
                "--workers, or --workers 0 to see it in this process"
            )
        yield tracked

    def _not_opened(self, suspicion: Suspicion, stuck: Stuck) -> None:
        """No row is to blame. Raises OpeningError where it was tried often enough."""
        suspicion.openings += 1
        if suspicion.openings >= OPENINGS:
            raise OpeningError(
                f"{stuck.what}: did not open within {stuck.timeout_s:g} s "
                f"(engine.open_timeout_s), in {suspicion.openings} processes one after the other; "
                "see whether the disk or mount with its model answers and the machine has memory "
                "for it, or raise the setting if it takes longer by right"
            )


def _is_empty(slot: Slot) -> bool:
    """Whether a dead worker's pipe holds nothing, and a child that it forked holds the pipe."""
    return not slot.pipe.poll()


class InlineEngine:
    """The same tasks in this process, one by one: for debuggers. It survives no crash."""

    def __init__(self, job: Job, listener: Listener) -> None:
        self._worker = Worker(job)
        self._listener = listener

    def run(self, tasks: Iterable[Task]) -> Iterator[Receipt]:
        for task in tasks:
            receipt = self._worker.run(task, Watch(done=self._listener.rows))
            self._listener.finished()
            yield receipt

    def close(self) -> None:
        self._worker.close()


def raise_told(kind: str, name: str, text: str) -> None:
    """Raise what another process told of: one of our errors as itself, others as they were told."""
    known = getattr(errors, name, VoxmillError) if kind == "error" else None
    if known is not None:
        raise known(text)
    raise RuntimeError(f"a worker raised {name}:\n{text}")
