"""What a running build can tell of itself: counts by step, the stage in hand, rates, an ETA."""

import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pipelines.engines.engine import Listener

STARTING = "starting"


@dataclass
class StepCount:
    """Rows and seconds of one step in this run. ``busy_s`` is summed over workers.

    ``done`` are rows told while they are computed, ``rows`` and the rest those of finished tasks.
    """

    rows: int = 0
    computed: int = 0
    failed: int = 0
    retried: int = 0
    done: int = 0
    busy_s: float = 0.0

    @property
    def reused(self) -> int:
        """Rows of finished tasks that the memo held."""
        return max(0, self.rows - self.computed)


@dataclass
class _Stage:
    name: str = STARTING
    total: int = 0
    done: int = 0
    began_s: float = field(default_factory=time.monotonic)


class Telemetry:
    """A Listener that counts what it hears and passes it on. It is read from other threads."""

    def __init__(self, inner: Listener, engine: str, workers: int) -> None:
        self._inner = inner
        self._about = {"engine": engine, "workers": workers}
        self._lock = threading.Lock()
        self._stage = _Stage()
        self._began_s = time.monotonic()
        self._steps: dict[str, StepCount] = {}
        self._notes = 0

    def stage(self, name: str, total: int) -> None:
        with self._lock:
            self._stage = _Stage(name, total)
        self._inner.stage(name, total)

    def finished(self) -> None:
        with self._lock:
            self._stage.done += 1
        self._inner.finished()

    def rows(self, step: str, count: int) -> None:
        with self._lock:
            self._steps.setdefault(step, StepCount()).done += count
        self._inner.rows(step, count)

    def note(self, text: str) -> None:
        with self._lock:
            self._notes += 1
        self._inner.note(text)

    def counted(self, steps: Mapping[str, Mapping[str, Any]]) -> None:
        """What one receipt says of its steps."""
        with self._lock:
            for name, stats in steps.items():
                step = self._steps.setdefault(name, StepCount())
                for key in ("rows", "computed", "failed", "retried", "busy_s"):
                    setattr(step, key, getattr(step, key) + stats[key])

    def steps(self) -> dict[str, StepCount]:
        """A copy of the counts."""
        with self._lock:
            return {name: StepCount(**asdict(step)) for name, step in self._steps.items()}

    def status(self) -> dict[str, Any]:
        """All of it as plain JSON values. Times in seconds; ``eta_s`` is of the stage in hand."""
        now_s = time.monotonic()
        steps = self.steps()
        with self._lock:
            stage, notes = self._stage, self._notes
            in_stage_s = max(now_s - stage.began_s, 1e-3)
            left = stage.total - stage.done
            eta_s = in_stage_s / stage.done * left if stage.done else None
        elapsed_s = max(now_s - self._began_s, 1e-3)
        return {
            **self._about,
            "elapsed_s": round(elapsed_s, 1),
            "stage": stage.name,
            "tasks": {"done": stage.done, "total": stage.total},
            "stage_s": round(in_stage_s, 1),
            "eta_s": None if eta_s is None else round(eta_s, 1),
            "notes": notes,
            "steps": {
                name: {
                    "rows": step.rows,
                    "computed": step.computed,
                    "reused": step.reused,
                    "failed": step.failed,
                    "retried": step.retried,
                    "busy_s": round(step.busy_s, 3),
                    "rows_per_s": round(max(step.done, step.computed) / elapsed_s, 3),
                }
                for name, step in steps.items()
            },
        }
