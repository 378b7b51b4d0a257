"""Beam's worker processes on this machine, which its runner starts and does not watch.

One that is killed before its first word to the runner is waited for by the runner for ever; the
mode ``multi_processing`` replaces none in any case.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

MODULE = "apache_beam.runners.worker.sdk_worker_main"
THREAD = "run_worker"  # Beam's name of the thread that waits for one; it raises how that ended
GRACE_S = 5.0  # for the runner to find out by itself


class HarnessWatch:
    """Whether a worker process that this process started ended badly."""

    def __init__(self) -> None:
        self._ended: float | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hear what Beam's threads raise, which nobody else does."""
        before = threading.excepthook

        def hear(told: threading.ExceptHookArgs) -> None:
            if told.thread is not None and told.thread.name == THREAD:
                self._ended = self._ended or time.monotonic()
            else:
                before(told)

        threading.excepthook = hear
        try:
            yield
        finally:
            threading.excepthook = before

    def lost(self) -> bool:
        """Whether one ended some time ago."""
        return self._ended is not None and time.monotonic() - self._ended > GRACE_S

    def end(self) -> None:
        """Kill those that are left: nobody gives them work any more."""
        left = harnesses()
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=GRACE_S)


def harnesses() -> list[psutil.Process]:
    """The worker processes below this one; not the shells that Beam starts them with."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            words = process.cmdline()
        except psutil.Error:
            continue  # it ended meanwhile
        if MODULE in words:  # a shell has the whole command in one word
            found.append(process)
    return found
