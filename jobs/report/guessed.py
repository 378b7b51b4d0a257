"""What was estimated before the run, beside what it came to: estimate.json, in words."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jobs.report.words import clipped
from schemas.store import Store

ESTIMATE: Final = "estimate.json"
MAX_BYTES: Final = 1_000_000
MAX_ROWS: Final = 100
MAX_WORDS: Final = 300
SHORT_HOURS: Final = 0.5  # what takes less is told in seconds


@dataclass(frozen=True)
class Guess:
    """A figure: what was estimated, what it was, and by how much the guess was off, in words."""

    name: str
    unit: str
    guess: str
    truth: str
    off: str
    basis: str  # what the estimate rests on


@dataclass(frozen=True)
class Guesses:
    """All figures. ``complete`` is false where the run reused work: its truth is of a part."""

    rows: Sequence[Guess]
    not_known: Sequence[str]
    complete: bool


def read_guesses(store: Store) -> Guesses | None:
    """What is stored; None if nothing is that can be read."""
    size = store.size(ESTIMATE)
    if size is None or size > MAX_BYTES:
        return None
    try:
        value = json.loads(store.get(ESTIMATE))
    except ValueError:
        return None
    return guesses_of(value) if isinstance(value, Mapping) else None


def guesses_of(value: Mapping[str, Any]) -> Guesses:
    """The figures of a document; what is not understood is left out."""
    figures, unknown = value.get("figures"), value.get("not_known")
    items = figures if isinstance(figures, list) else []
    lines = unknown if isinstance(unknown, list) else []
    return Guesses(
        rows=[_guess(item) for item in items[:MAX_ROWS] if isinstance(item, Mapping)],
        not_known=[clipped(str(line), MAX_WORDS) for line in lines[:MAX_ROWS]],
        complete=value.get("complete") is not False,
    )


def _guess(item: Mapping[str, Any]) -> Guess:
    guess, truth = (_number(item.get(name)) for name in ("estimate", "truth"))
    off = ""
    if guess is not None and truth:
        off = f"{100 * (guess - truth) / abs(truth):+.0f}%".replace("+0%", "0%").replace(
            "-0%", "0%"
        )
    name, unit, basis = (
        clipped(str(item.get(k) or ""), MAX_WORDS) for k in ("name", "unit", "basis")
    )
    largest = max(guess or 0.0, truth or 0.0)
    if (unit == "h" or unit.endswith(" h")) and 0 < largest < SHORT_HOURS:
        guess, truth = (None if value is None else 3600 * value for value in (guess, truth))
        unit = unit.removesuffix("h") + "s"
    return Guess(name.replace("_", " "), unit, _shown(guess), _shown(truth), off, basis)


def _number(value: object) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None  # type: ignore[arg-type]  # a number if known


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
