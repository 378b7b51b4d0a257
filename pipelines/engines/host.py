"""What a worker of another engine works with: one task after another in a process of its own.

Ray and Beam start a dead worker again, but know nothing of rows. So each of their workers hosts a
local engine of one process, and with it all that the local engine gives: a row that kills its
process or never returns is found and fails, and the others go on. The process ends with its host.
"""

import socket
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

from pipelines.engines.clocks import Timeouts
from pipelines.engines.engine import Listener
from pipelines.engines.local import LocalEngine, Slot, raise_told
from pipelines.engines.pieces import joined
from pipelines.task import Job, Receipt, Task
from schemas.errors import BackendError, StoreError, VoxmillError
from schemas.store import StoreAddress, open_store

_main_lock = threading.Lock()


@dataclass(frozen=True)
class Answer:
    """What came of a task, as it travels back to the driver. An error is a value here.

    ``rows`` are the rows that went through each step, ``error`` is (kind, class name, text).
    """

    receipt: Receipt | None = None
    rows: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: tuple[str, str, str] | None = None


class _Notebook:
    """A Listener that keeps what it hears until the answer goes."""

    def __init__(self) -> None:
        self.rows_by_step: dict[str, int] = {}
        self.notes: list[str] = []

    def stage(self, name: str, total: int) -> None:
        """A host has no stages."""

    def finished(self) -> None:
        """The answer says it."""

    def rows(self, step: str, count: int) -> None:
        self.rows_by_step[step] = self.rows_by_step.get(step, 0) + count

    def note(self, text: str) -> None:
        self.notes.append(f"{socket.gethostname()}: {text}")


class _Hosted(LocalEngine):
    """The local engine inside a process that another engine started."""

    stopped = False

    def stop(self) -> None:
        """For another thread: kill the process and start no other, so that ``run`` ends."""
        self.stopped = True
        for slot in self._slots:
            slot.kill()

    def _spawn(self) -> Slot:
        if self.stopped:
            raise BackendError("stopped: the build that wanted this is over")
        with _without_main():
            return super()._spawn()


class Host:
    """Does the tasks that it is given, one at a time, in a process that it starts when needed."""

    def __init__(self, job: Job, timeouts: Timeouts) -> None:
        self._job = job
        self._notebook = _Notebook()
        self._engine = _Hosted(job, 1, timeouts, self._notebook)
        self._seen = False

    def run(self, task: Task) -> Answer:
        """Do a task. Never raises: what a worker or its store raised is in the answer."""
        book = self._notebook
        book.rows_by_step, book.notes = {}, []
        receipt: Receipt | None = None
        error = None
        try:
            if not self._seen:
                look_for_beacon(self._job)
                self._seen = True
            (receipt,) = self._engine.run([task])
        except VoxmillError as raised:
            error = ("error", type(raised).__name__, str(raised))
        except Exception as raised:  # noqa: BLE001 - the driver raises it, traceback included
            error = ("crash", type(raised).__name__, traceback.format_exc())
        return Answer(receipt, dict(book.rows_by_step), tuple(book.notes), error)

    def rows_so_far(self) -> dict[str, int]:
        """The rows by step of the task in hand; for another thread, while ``run`` works."""
        return dict(self._notebook.rows_by_step)

    def stop(self) -> None:
        """For another thread: end the task in hand with an error, and all that come after it."""
        self._engine.stop()

    def close(self) -> None:
        """Kill the process: what it finished is in the store."""
        self._engine.close()


def together(before: Answer, answer: Answer) -> Answer:
    """The answer of two pieces of one task."""
    rows = {step: count for step, count in (Counter(before.rows) + Counter(answer.rows)).items()}
    notes = (*before.notes, *answer.notes)
    if answer.receipt is None or before.receipt is None:
        return replace(answer, rows=rows, notes=notes)
    return replace(answer, receipt=joined(before.receipt, answer.receipt), rows=rows, notes=notes)


def anchored(job: Job) -> Job:
    """The job with absolute paths: workers of other engines start in folders of their own."""
    return replace(job, output=_anchored(job.output), work=_anchored(job.work))


def _anchored(address: StoreAddress) -> StoreAddress:
    if "://" in address.uri:
        return address
    return replace(address, uri=str(Path(address.uri).absolute()))


def settle(answer: Answer, listener: Listener) -> Receipt:
    """Tell the driver's listener of an answer and give the receipt; raises what the task raised."""
    for text in answer.notes:
        listener.note(text)
    for step, count in answer.rows.items():
        listener.rows(step, count)
    if answer.error is not None:
        raise_told(*answer.error)
    assert answer.receipt is not None
    return answer.receipt


def light_beacon(job: Job) -> None:
    """Put what each host looks for. The driver calls this before it sends tasks elsewhere."""
    open_store(job.work).put(_beacon(job), b"the driver's\n")


def put_out_beacon(job: Job) -> None:
    """Tell workers that another engine does not stop that nobody waits for them any more."""
    open_store(job.work).delete(_beacon(job))


def burns(job: Job) -> bool:
    """Whether the driver still waits for its workers, as far as the work store tells."""
    return open_store(job.work).size(_beacon(job)) is not None


def look_for_beacon(job: Job) -> None:
    """Raise StoreError unless this machine sees the driver's stores, and not its own of that name.

    A path of the local disk is another folder on each machine of a cluster.
    """
    work = open_store(job.work)
    seen = work.size(_beacon(job)) is not None
    if seen and next(iter(open_store(job.output).list("running")), None) is not None:
        return
    where = job.output.uri if seen else work.uri
    raise StoreError(
        f"{where}: the machine {socket.gethostname()} does not see there what the build's driver "
        "wrote; workers on several machines need a store that all of them reach: give --output "
        "s3://..., or a path on a file system that every machine mounts at the same place"
    )


def _beacon(job: Job) -> str:
    return f"{job.scratch}/beacon"


@contextmanager
def _without_main() -> Iterator[None]:
    """Start a process that does not import this one's main module, which is the other engine's."""
    with _main_lock:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
