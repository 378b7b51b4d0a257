"""What an engine is: it carries tasks to workers, restarts what dies, and returns receipts."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from pipelines.task import Receipt, Task


class Listener(Protocol):
    """Who is told what happens, for progress and logs."""

    def stage(self, name: str, total: int) -> None:
        """A new stage with so many tasks."""

    def finished(self) -> None:
        """One task of the stage is done."""

    def rows(self, step: str, count: int) -> None:
        """So many rows went through a memo step."""

    def note(self, text: str) -> None:
        """Something that a person should know."""


class Engine(Protocol):
    """Runs tasks in any order; each receipt comes once. Closing ends the workers."""

    def run(self, tasks: Iterable[Task]) -> Iterator[Receipt]:
        """Receipts as they come. Raises the first systemic error of a worker."""

    def close(self) -> None:
        """End the workers at once; nothing is lost by it but the work in flight."""
