"""What else a turn's record holds: attempts, augmentation, word times, shown without knowing it."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jobs.report.words import clipped, number

# What the page shows in its own way.
KNOWN: Final = frozenset(
    "turn role text input spoken_text voice speaker_id duration_s provenance measures "
    "measures_not_taken units id flac codes durations num_units num_frames record".split()
)
MAX_ROWS, MAX_COLUMNS, MAX_CELL = 60, 12, 200


@dataclass(frozen=True)
class Extra:
    """A named table. ``columns`` is empty for names and values."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    hidden: int = 0  # rows that are not shown


def extras(record: Mapping[str, Any], known: Collection[str] = KNOWN) -> list[Extra]:
    """Every value of a record that is not ``known``: a list of objects as a table, for example."""
    found = []
    for name, value in sorted(record.items()):
        if name in known or value in (None, "", [], {}):
            continue
        if isinstance(value, Mapping):
            rows = [[clipped(str(key), 60), cell(item)] for key, item in value.items()]
            found.append(Extra(name, (), rows[:MAX_ROWS], max(0, len(rows) - MAX_ROWS)))
        elif isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
            columns = list(dict.fromkeys(key for item in value for key in item))[:MAX_COLUMNS]
            rows = [[cell(item.get(key)) for key in columns] for item in value[:MAX_ROWS]]
            shown = [clipped(str(key), 60) for key in columns]
            found.append(Extra(name, shown, rows, max(0, len(value) - MAX_ROWS)))
        else:
            found.append(Extra(name, (), [[name, cell(value)]]))
    return found


def cell(value: object) -> str:
    """One value in few words."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        flat = isinstance(value, str)
        text = value if flat else json.dumps(value, ensure_ascii=False, default=str)
        return clipped(str(text), MAX_CELL)
    return number(value)
