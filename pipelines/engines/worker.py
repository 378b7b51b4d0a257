"""A worker process of the local engine: takes tasks from a pipe until the pipe closes."""

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa
from threadpoolctl import threadpool_limits

from pipelines.engines.clocks import ENTER, LEFT, OPEN, OPENED, this_thread
from pipelines.task import Job
from pipelines.watch import WORKER, Poison, Watch
from pipelines.worker import Worker
from schemas.errors import VoxmillError
from schemas.store import explain_local


def main(pipe: "Connection[Any, Any]", lifeline: "Connection[Any, Any]", job: Job) -> None:
    """Serve tasks. Ctrl-C is the driver's business; a dead driver ends this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _lead()
    threading.Thread(target=_die_with_driver, args=(lifeline,), daemon=True).start()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    with threadpool_limits(limits=1), contextlib.suppress(EOFError, BrokenPipeError):
        line = _Line(pipe)
        worker: Worker | None = None
        while True:
            task, solo, poison = pipe.recv()
            try:
                if worker is None:
                    with line.opening(WORKER):
                        worker = Worker(job, line.opening)
                receipt = worker.run(task, line.watch(solo, poison))
            except VoxmillError as error:
                line.tell("error", type(error).__name__, str(error))
            except BrokenPipeError:
                raise  # the driver is gone
            except OSError as error:
                line.tell("error", "StoreError", explain_local(error))
            except Exception as error:  # noqa: BLE001 - the driver raises it, traceback included
                line.tell("crash", type(error).__name__, traceback.format_exc())
            else:
                line.tell("done", receipt)
            pa.default_memory_pool().release_unused()


def _lead() -> None:
    """Let steps start processes (vLLM does), in a group that ends with this one (ADR 0086)."""
    multiprocessing.current_process().daemon = False  # multiprocessing lets a daemon start none
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # a group of its own may be kept from writing


def end_group(pid: int) -> None:
    """Kill a worker's group, by the worker's id: what its steps started, and itself."""
    with contextlib.suppress(OSError):  # it never led one, or nobody is left
        os.killpg(pid, signal.SIGKILL)


class _Line:
    """What the driver is told. The pipe takes one message at a time, and threads tell too."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def tell(self, *message: object) -> None:
        with self._lock:
            self._pipe.send(message)

    @contextlib.contextmanager
    def opening(self, what: str) -> Iterator[None]:
        """Say that something opens, and that it has, or that it raised."""
        self.tell(OPEN, what)
        try:
            yield
        finally:
            self.tell(OPENED, what)

    def watch(self, solo: bool, poison: Poison) -> Watch:
        return Watch(
            entering=lambda step, key: self.tell(ENTER, this_thread(), step, key),
            done=lambda step, rows: self.tell("rows", this_thread(), step, rows),
            left=lambda: self.tell(LEFT, this_thread()),
            solo=solo,
            poison=poison,
        )


def _die_with_driver(lifeline: "Connection[Any, Any]") -> None:
    """The driver holds the other end and never writes: reading ends when the driver does."""
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv()
    end_group(os.getpid())
    os._exit(1)
