"""Tells rows that fail from a backend that is broken: error rates by step, as receipts come."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.errors import SystemicError

TOP_CAUSES: Final = 3
KEPT_CAUSES: Final = 50  # of one step: an error that quotes its row is another each time
SHOWN_CHARS: Final = 160


@dataclass(frozen=True)
class Care:
    """How a build deals with errors; none of it changes what a row that succeeds becomes.

    A row that fails retryably is tried ``row_attempts`` times in all. A step of whose rows more
    than ``max_error_fraction`` failed stops the build, once ``min_rows`` of them have failed.
    """

    row_attempts: int = 2
    max_error_fraction: float = 0.5
    min_rows: int = 20


@dataclass
class StepHealth:
    """What came of the rows that one step computed in this run."""

    computed: int = 0
    failed: int = 0
    retried: int = 0
    causes: Counter[str] = field(default_factory=Counter)


@dataclass
class Health:
    """The error rates of a run. ``take`` raises SystemicError when one is over its limit."""

    care: Care
    steps: dict[str, StepHealth] = field(default_factory=dict)

    def take(self, steps: Mapping[str, Mapping[str, Any]]) -> None:
        """Add what a receipt says of its steps."""
        for name, stats in steps.items():
            step = self.steps.setdefault(name, StepHealth())
            step.computed += stats["computed"]
            step.failed += stats["failed"]
            step.retried += stats["retried"]
            for cause, count in stats["causes"].items():
                if cause in step.causes or len(step.causes) < KEPT_CAUSES:
                    step.causes[cause] += count
        for name in steps:  # all are counted: what failed in any of them is forgotten after a stop
            step = self.steps[name]
            rate = step.failed / max(step.computed, 1)
            if step.failed >= self.care.min_rows and rate > self.care.max_error_fraction:
                raise SystemicError(self._message(name, step))

    def _message(self, name: str, step: StepHealth) -> str:
        top = "".join(
            f"\n  {count} x {cause}" for cause, count in step.causes.most_common(TOP_CAUSES)
        )
        return (
            f"{name}: {step.failed} of {step.computed} rows failed, more than "
            f"limits.max_step_error_fraction ({self.care.max_error_fraction:g}) allows, so the "
            f"build stops; the most frequent errors are:{top}\n"
            "What succeeded is kept. Mend the cause (`voxmill doctor JOB` tries every backend), "
            "then run the same command: it tries these rows again"
        )


def cause_of(error_class: str, message: str) -> str:
    """An error in a line that can be counted."""
    return f"{error_class}: {' '.join(message.split())}"[:SHOWN_CHARS]
