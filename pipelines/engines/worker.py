"""A worker process of the local engine: takes tasks from a pipe until the pipe closes."""

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa
from threadpoolctl import threadpool_limits

from pipelines.evaluate import Poison, Watch
from pipelines.task import Job, Worker
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
        worker: Worker | None = None
        while True:
            task, solo, poison = pipe.recv()
            try:
                worker = worker or Worker(job)
                receipt = worker.run(task, _watch(pipe, solo, poison))
            except VoxmillError as error:
                pipe.send(("error", type(error).__name__, str(error)))
            except BrokenPipeError:
                raise  # the driver is gone
            except OSError as error:
                pipe.send(("error", "StoreError", explain_local(error)))
            except Exception as error:  # noqa: BLE001 - the driver raises it, traceback included
                pipe.send(("crash", type(error).__name__, traceback.format_exc()))
            else:
                pipe.send(("done", receipt))
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


def _watch(pipe: "Connection[Any, Any]", solo: bool, poison: Poison) -> Watch:
    return Watch(
        entering=lambda step, key: pipe.send(("enter", step, key)),
        done=lambda step, rows: pipe.send(("rows", step, rows)),
        solo=solo,
        poison=poison,
    )


def _die_with_driver(lifeline: "Connection[Any, Any]") -> None:
    """The driver holds the other end and never writes: reading ends when the driver does."""
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv()
    end_group(os.getpid())
    os._exit(1)
