"""What else a turn's record holds: attempts, augmentation, word times, shown without knowing it."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jobs.report.words import clipped, number

# What the page shows in its own way.
KNOWN: Final = frozenset(
    "turn role text input spoken_text voice speaker_id duration_s provenance measures "
    "measures_not_taken units id flac codes durations num_units num_frames heard_text "
    "record".split()
)
FIRST: Final = ("number", "kept", "score", "rate", "seed", "error")  # columns of an attempt
MAX_ROWS, MAX_COLUMNS, MAX_CELL = 60, 20, 200


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
    for name, given in sorted(record.items()):
        value = _read(given)
        if name in known or value in (None, "", [], {}):
            continue
        if isinstance(value, Mapping):
            rows = [[clipped(str(key), 60), cell(item)] for key, item in value.items()]
            found.append(Extra(name, (), rows[:MAX_ROWS], max(0, len(rows) - MAX_ROWS)))
        elif isinstance(value, list) and all(isinstance(item, Mapping) for item in value):
            flat = [_flat(item) for item in value]
            columns = list(dict.fromkeys(key for item in flat for key in item))[:MAX_COLUMNS]
            rows = [[cell(item.get(key)) for key in columns] for item in flat[:MAX_ROWS]]
            shown = [clipped(str(key), 60) for key in columns]
            found.append(Extra(name, shown, rows, max(0, len(value) - MAX_ROWS)))
        elif isinstance(value, list) and all(isinstance(item, list) for item in value):
            rows = [[cell(part) for part in item[:MAX_COLUMNS]] for item in value[:MAX_ROWS]]
            found.append(Extra(name, (), rows, max(0, len(value) - MAX_ROWS)))
        else:
            found.append(Extra(name, (), [[name, cell(value)]]))
    return found


def _read(value: object) -> Any:  # noqa: ANN401 - JSON values
    """A column that holds JSON as text, as the value that it holds."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _flat(item: Mapping[str, Any]) -> dict[str, Any]:
    """An object with the measures in it beside its other values."""
    flat = {key: item[key] for key in FIRST if item.get(key) not in (None, "")}
    for key, value in sorted(item.items(), key=lambda pair: pair[0] == "measures"):
        if key == "measures" and isinstance(value, Mapping):
            flat |= value
        elif key == "measures" and isinstance(value, list):
            flat |= {part["name"]: part["value"] for part in value}
        elif value not in (None, ""):
            flat[key] = value
    return flat


def cell(value: object) -> str:
    """One value in few words."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, float):
        flat = isinstance(value, str)
        text = value if flat else json.dumps(value, ensure_ascii=False, default=str)
        return clipped(str(text), MAX_CELL)
    return number(value)
