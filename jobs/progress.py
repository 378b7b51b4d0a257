"""Progress on stderr: bars with rates and an ETA on a terminal, plain lines when piped."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PLAIN_EVERY_S = 10.0


class ProgressView:
    """A Listener that shows the stage in hand and the rows that went through each step."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet)
        self._fancy = self._console.is_terminal and not quiet
        self._quiet = quiet
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rates]}"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=self._console,
            refresh_per_second=4,
        )
        self._bar: TaskID | None = None
        self._name, self._total, self._done = "", 0, 0
        self._rows: dict[str, int] = {}
        self._began = self._told = time.monotonic()

    def __enter__(self) -> "ProgressView":
        if self._fancy:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._fancy:
            self._bars.stop()

    def stage(self, name: str, total: int) -> None:
        self._name, self._total, self._done, self._rows = name, total, 0, {}
        self._began = self._told = time.monotonic()
        if self._fancy:
            self._bar = self._bars.add_task(name, total=total, rates="")
        elif total:
            self._line(f"{name}: {total} to do")

    def finished(self) -> None:
        self._done += 1
        if self._fancy and self._bar is not None:
            self._bars.update(self._bar, completed=self._done, rates=self._rates())
        elif self._done == self._total or time.monotonic() - self._told > PLAIN_EVERY_S:
            self._tell()

    def rows(self, step: str, count: int) -> None:
        self._rows[step] = self._rows.get(step, 0) + count
        if self._fancy and self._bar is not None:
            self._bars.update(self._bar, rates=self._rates())
        elif time.monotonic() - self._told > PLAIN_EVERY_S:
            self._tell()

    def note(self, text: str) -> None:
        self._console.print(f"  note: {text}", highlight=False, markup=False)

    def _tell(self) -> None:
        self._told = time.monotonic()
        elapsed = self._told - self._began
        eta = elapsed / self._done * (self._total - self._done) if self._done else None
        left = "" if eta is None or self._done == self._total else f", ETA {eta:.0f} s"
        self._line(
            f"{self._name}: {self._done}/{self._total} in {elapsed:.1f} s{left} {self._rates()}"
        )

    def _rates(self) -> str:
        elapsed = max(time.monotonic() - self._began, 1e-3)
        shown = (f"{step} {count} ({count / elapsed:.1f}/s)" for step, count in self._rows.items())
        return "  ".join(shown)

    def _line(self, text: str) -> None:
        if not self._quiet:
            sys.stderr.write(text.rstrip() + "\n")
            sys.stderr.flush()
