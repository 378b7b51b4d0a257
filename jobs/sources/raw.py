"""A raw row, a row that could not be parsed, and what all formats share in parsing JSON."""

import json
from dataclasses import dataclass
from typing import Final

from schemas.errors import SourceError
from schemas.redaction import redacted

MAX_DEPTH: Final = 100  # of nested brackets in one row; Python's own limit varies with the stack
_MAX_INT_DIGITS: Final = 4300  # beyond, int() raises ValueError


@dataclass(frozen=True, slots=True)
class RawRow:
    """One parsed row. ``origin`` is "file.jsonl:17" or "file.parquet:row 17", counted from 1.

    ``key`` is the id that a sample of a Voxmill corpus keeps.
    """

    value: object
    origin: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that could not be parsed: its bytes, and why."""

    raw: bytes
    origin: str
    message: str


def source_error(who: str, arrived: str, wanted: str, cure: str) -> SourceError:
    """The one form of this package's errors."""
    return SourceError(redacted(f"source {who}: {arrived}; wanted {wanted}; {cure}"))


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_INT_DIGITS else float(digits)


DECODER: Final = json.JSONDecoder(parse_int=_parse_int)
TOO_DEEP: Final = f"nested deeper than {MAX_DEPTH} levels; wanted a flat row; simplify the row"


def is_too_deep(value: object, num_brackets: int) -> bool:
    """Whether ``value`` nests deeper than MAX_DEPTH; cheap where ``num_brackets`` excludes it."""
    if num_brackets <= MAX_DEPTH:
        return False
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _nested(item)]
        if not level:
            return False
    return True


def _nested(value: object) -> list[object]:
    """The lists and objects that stand directly in ``value``."""
    items = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(items, list):
        return []
    return [child for child in items if isinstance(child, (dict, list))]


def parse_line(raw: bytes, origin: str) -> RawRow | BadRow:
    """One line of JSON Lines, without its line end."""
    try:
        text = raw.decode("utf-8")
        value = DECODER.decode(text)
    except UnicodeDecodeError as error:
        message = f"not UTF-8 at byte {error.start + 1}; wanted UTF-8; save the line as UTF-8"
    except json.JSONDecodeError as error:
        message = (
            f"not JSON at column {error.colno}: {error.msg}; "
            "wanted one JSON object per line; correct the line"
        )
    except RecursionError:
        message = TOO_DEEP
    else:
        if not is_too_deep(value, text.count("[") + text.count("{")):
            return RawRow(value, origin)
        message = TOO_DEEP
    return BadRow(raw, origin, message)
