"""Beam's worker processes on this machine, which its runner starts and does not watch.

One that is killed before its first word to the runner is waited for by the runner for ever; the
mode ``multi_processing`` replaces none in any case.
"""

import time

import psutil

MODULE = "apache_beam.runners.worker.sdk_worker_main"
GRACE_S = 10.0  # between the end of a worker and that of its pipeline, where all is well


class HarnessWatch:
    """Watches the worker processes that this process started, of one pipeline."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._gone_since: float | None = None

    def lost(self) -> bool:
        """Whether one ended some time ago. To be asked while the pipeline is not over."""
        alive = {process.pid for process in harnesses()}
        if self._seen - alive and self._gone_since is None:
            self._gone_since = time.monotonic()
        self._seen |= alive
        return self._gone_since is not None and time.monotonic() - self._gone_since > GRACE_S

    def end(self) -> None:
        """Kill those that are left: nobody gives them work any more."""
        for process in harnesses():
            if process.pid in self._seen:
                process.kill()


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
