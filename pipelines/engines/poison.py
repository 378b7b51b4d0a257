"""Finds the row that kills its worker, without blaming a row for what came from outside.

A task that killed its worker twice is replayed row by row. A row at which the worker then dies is
the killer: at once if the process ended itself or was stuck, and after some more deaths at the
very same row if the signal may have come from outside (kill -9, the kernel's out-of-memory killer).
"""

import signal
from collections import Counter
from dataclasses import dataclass, field

DEATHS_BEFORE_SOLO = 2
OWN_SIGNALS = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
OUTSIDE_DEATHS = 3  # in solo, at one row
HOPELESS = 12  # deaths of one task with no row to blame
OPENINGS = 3  # so often may one task wait in vain for something to open
TIMEOUT = "timeout"
WORKER_DIED = "worker_died"


@dataclass
class Suspicion:
    """What is known of one task's deaths."""

    deaths: int = 0
    solo: bool = False
    blameless: int = 0
    openings: int = 0  # that took too long
    poison: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    _at_row: Counter[tuple[str, str]] = field(default_factory=Counter)

    def died(self, step: str, key: str, exit_code: int | None, timeout_s: float | None) -> None:
        """Take note of a death while ``step`` worked on the row ``key`` (empty: several rows)."""
        self.deaths += 1
        if self.solo and key:
            row = (step, key)
            self._at_row[row] += 1
            own = timeout_s is not None or ended_itself(exit_code)
            if own or self._at_row[row] >= OUTSIDE_DEATHS:
                self.poison[row] = _verdict(step, exit_code, timeout_s)
        else:
            self.blameless += 1
        self.solo = self.solo or self.deaths >= DEATHS_BEFORE_SOLO

    @property
    def hopeless(self) -> bool:
        """Whether the task dies for no row's fault, or more often than its rows explain."""
        explained = (OUTSIDE_DEATHS + 1) * len(self.poison)
        return self.blameless >= HOPELESS or self.deaths >= 3 * HOPELESS + explained


def _verdict(step: str, exit_code: int | None, timeout_s: float | None) -> tuple[str, str]:
    if timeout_s is not None:
        return TIMEOUT, f"{step} did not return within {timeout_s:g} s (engine.row_timeout_s)"
    return WORKER_DIED, f"{step} ended its process: {describe(exit_code)}"


def ended_itself(exit_code: int | None) -> bool:
    """Whether a process ended by its own doing, and not by a signal that anybody can send."""
    return exit_code is not None and (exit_code >= 0 or -exit_code in OWN_SIGNALS)


def describe(exit_code: int | None) -> str:
    """An exit code in words."""
    if exit_code is None:
        return "no exit code"
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"
