"""How a worker is watched at its work, and what it counts."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields
from typing import Final, TypeAlias

Poison: TypeAlias = Mapping[tuple[str, str], tuple[str, str]]
# What is told that something opens: a step, a model, a worker. Leaving the block says it has.
Opening: TypeAlias = Callable[[str], AbstractContextManager[None]]
WORKER: Final = "a worker process"  # opened, as a step is


def unwatched(what: str) -> AbstractContextManager[None]:
    """An `Opening` that tells nobody."""
    return nullcontext()


@dataclass
class StepStats:
    """What one evaluation did in one step."""

    rows: int = 0
    computed: int = 0
    missing: int = 0  # rows that a look without computing found no result for
    busy_s: float = 0.0
    failed: int = 0  # of those computed
    retried: int = 0  # attempts after a row's first
    causes: Counter[str] = field(default_factory=Counter)  # of failures, see cause_of

    def add(self, other: "StepStats") -> None:
        """Count what another evaluation did too."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


@dataclass(frozen=True)
class Watch:
    """How an evaluation is watched: told each (step, row key) entered, and each end of that.

    ``done`` says that a memo step has results of so many rows, ``left`` that another node is
    through. Both may be told by several threads.

    ``ahead``: requests about speech are sent, and what makes or hears speech does nothing: its rows
    go on only where the memo has them.

    ``solo`` cuts batches to one row and keeps each row's result at once: the way in which the row
    that kills its process is found. ``poison`` names the rows found so, and how they end.
    """

    entering: Callable[[str, str], None] = lambda step, key: None
    done: Callable[[str, int], None] = lambda step, rows: None
    left: Callable[[], None] = lambda: None
    solo: bool = False
    poison: Poison = field(default_factory=dict)
    ahead: bool = False
