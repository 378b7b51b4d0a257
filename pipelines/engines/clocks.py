"""How long a worker has been at what it does, as its messages tell: rows, and what it opens."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pipelines.watch import WORKER

ENTER: Final = "enter"  # (step, row key)
LEFT: Final = "left"  # nothing: no step is in hand any more
OPEN: Final = "open"  # (what)
OPENED: Final = "opened"  # (what)


@dataclass(frozen=True)
class Timeouts:
    """Seconds that a row may take in one step, and that a step, a model or a worker may open."""

    row_s: float = 120.0
    open_s: float = 1200.0


@dataclass(frozen=True)
class Stuck:
    """What takes longer than it may. ``what`` is a step, or what does not open."""

    what: str
    timeout_s: float
    opening: bool


@dataclass
class Clocks:
    """What one worker has in hand. A task of many partitions has several rows in hand, by thread.

    While something opens, only that is timed: rows that wait for it begin anew when it has opened.
    """

    timeouts: Timeouts
    now: Callable[[], float] = time.monotonic
    step: str = ""  # the last one entered
    _rows: dict[int, tuple[str, str, float]] = field(default_factory=dict)
    _opening: dict[str, float] = field(default_factory=dict)

    def task(self, *, started: bool) -> None:
        """A task was given; to a worker that has not ``started``, its start is an opening."""
        self.step = ""
        self._rows, self._opening = {}, {}
        if not started:
            self._opening[WORKER] = self.now()

    def idle(self) -> None:
        """The task is over."""
        self._rows, self._opening = {}, {}

    def enter(self, thread: int, step: str, key: str) -> None:
        """A step was entered with the row ``key``, or with several (empty)."""
        self.step = step
        self._rows[thread] = (step, key, self.now())

    def leave(self, thread: int) -> None:
        """What was entered is through."""
        self._rows.pop(thread, None)

    def open(self, what: str) -> None:
        """Something begins to open."""
        self._opening.setdefault(what, self.now())

    def opened(self, what: str) -> None:
        """It has opened, or raised: whoever waits for it gets its time anew."""
        self._opening.pop(what, None)
        now = self.now()
        self._rows = {thread: (step, key, now) for thread, (step, key, _) in self._rows.items()}

    @property
    def key(self) -> str:
        """The one row in hand; empty for several, and for none: while something opens, too."""
        keys = [key for _, key, _ in self._rows.values()]
        return keys[0] if len(keys) == 1 and not self._opening else ""

    @property
    def where(self) -> str:
        """What the worker was at, for a sentence."""
        if self._opening:
            return f" while it opened {' and '.join(self._opening)}"
        return f" in {self.step}" if self.step else ""

    def stuck(self) -> Stuck | None:
        """What has taken longer than it may."""
        now = self.now()
        if self._opening:
            what, since = min(self._opening.items(), key=lambda item: item[1])
            late = now - since > self.timeouts.open_s
            return Stuck(what, self.timeouts.open_s, True) if late else None
        for step, _, since in self._rows.values():
            if now - since > self.timeouts.row_s:
                self.step = step
                return Stuck(step, self.timeouts.row_s, False)
        return None

    def hear(self, message: tuple[Any, ...]) -> bool:
        """Take a message that is about time alone. False if it is another, or more than that."""
        kind, *told = message
        match kind:
            case "enter":
                self.enter(*told)
            case "left":
                self.leave(*told)
            case "open":
                self.open(*told)
            case "opened":
                self.opened(*told)
            case _:
                return False
        return True


def this_thread() -> int:
    """How a message names the thread that it is about."""
    return threading.get_ident()
