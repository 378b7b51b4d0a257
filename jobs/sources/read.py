"""Reads a source: every row comes out, as a conversation or as a failure."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from jobs.sources import alpaca_eval
from jobs.sources.adapters import (
    LAYOUTS,
    Adapter,
    Defaults,
    fitting_adapter,
)
from jobs.sources.fields import own_word, shown
from jobs.sources.open import AUDIO_LAYOUTS, open_source
from jobs.sources.raw import BadRow, RawRow, source_error
from jobs.sources.settings import SourceSettings
from schemas.columns import RowFailure, failure
from schemas.conversation import HASH_DIGITS, Conversation, content_hash
from schemas.errors import MalformedRow, SourceError

__all__ = ["SourceRow", "SourceSettings", "read_source"]

HEAD_ROWS: Final = 20


@dataclass(frozen=True)
class SourceRow:
    """One row of the source: a conversation, or the error with which it failed.

    ``digest`` is 24 hex digits that depend on the row's content alone; ``origin`` is its file and
    line; ``source`` the row's own word for where it comes from, else the source's name.
    """

    conversation: Conversation | None
    digest: str
    origin: str
    error: RowFailure | None
    source: str
    key: str = ""


def read_source(settings: SourceSettings, limit: int | None = None) -> Iterator[SourceRow]:
    """The rows in the order of the files, at most ``limit`` of them, good and bad counted.

    Lazy. Raises SettingsError for an unknown adapter; SourceError for a source that cannot be
    read, has no rows, or whose first 20 rows (all of them, if fewer) are every one malformed.
    """
    raw_rows, adapt = open_source(settings)
    head: list[tuple[RawRow | BadRow, SourceRow]] = []
    for raw in islice(raw_rows, HEAD_ROWS):
        head.append((raw, _read_row(raw, adapt, settings)))
        if head[-1][1].error is None:
            break
    else:
        raise _unusable(settings, head)
    rest = (_read_row(raw, adapt, settings) for raw in raw_rows)
    yield from islice(chain((row for _, row in head), rest), limit)


def _read_row(raw: RawRow | BadRow, adapt: Adapter, settings: SourceSettings) -> SourceRow:
    if isinstance(raw, BadRow):
        digest = _bad_digest(b"line", raw.raw)
        return _failed(digest, raw.origin, raw.message, settings)
    try:
        row = adapt(raw.value, Defaults(license=settings.license, lang=settings.lang))
        name = settings.name
        if "record" in row:
            name = str(json.loads(row["record"]).get("source", name))
        elif isinstance(raw.value, dict):
            name = own_word(raw.value, "source", name)
    except MalformedRow as error:
        # Parquet may hold bytes and times, which JSON does not know: their repr stands for them
        canonical = json.dumps(raw.value, sort_keys=True, ensure_ascii=True, default=_stand_in)
        digest = _bad_digest(b"value", canonical.encode("ascii"))
        return _failed(digest, raw.origin, str(error), settings)
    return SourceRow(row, content_hash(row), raw.origin, None, name, raw.key)


def _failed(digest: str, origin: str, message: str, settings: SourceSettings) -> SourceRow:
    error = failure("source", MalformedRow.__name__, message, retryable=False)
    return SourceRow(None, digest, origin, error, settings.name)


def _stand_in(value: object) -> str:
    """What stands for a value that JSON does not know; audio may be long."""
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else repr(value)


def _bad_digest(kind: bytes, data: bytes) -> str:
    """A digest apart from those of good rows, whose hashed text begins with a brace."""
    return hashlib.sha256(b"malformed " + kind + b"\0" + data).hexdigest()[:HASH_DIGITS]


def _unusable(
    settings: SourceSettings, head: list[tuple[RawRow | BadRow, SourceRow]]
) -> SourceError:
    who = str(settings.path)
    if not head:
        return source_error(who, "no rows", "at least one row", "check the path and the file")
    first = head[0][1]
    why = first.error["message"] if first.error else ""
    parsed = next((raw.value for raw, _ in head if isinstance(raw, RawRow)), None)
    if all(isinstance(raw, BadRow) for raw, _ in head) and settings.adapter in LAYOUTS:
        return source_error(
            who,
            f"none of the first {len(head)} rows is readable ({first.origin}: {why})",
            "JSON objects in UTF-8, one per line",
            "check that this is the file that you meant; a JSON array must be named .json",
        )
    layouts = {**AUDIO_LAYOUTS, alpaca_eval.WHO: alpaca_eval.LAYOUT}
    if settings.adapter in layouts:
        return source_error(
            who,
            f"all of the first {len(head)} rows are malformed ({first.origin}: {why})",
            f"rows of {layouts[settings.adapter]}",
            "correct the rows, or the settings of source; see docs/sources.md",
        )
    fit = fitting_adapter(parsed)
    keys = f"the first row is {shown(parsed)}"
    if fit == settings.adapter:
        return source_error(
            who,
            f"all of the first {len(head)} rows are malformed ({first.origin}: {why})",
            f"rows of {LAYOUTS[settings.adapter]}",
            "correct the rows",
        )
    known = "; ".join(f"{name} reads {layout}" for name, layout in LAYOUTS.items())
    cure = f"use adapter '{fit}'" if fit else f"no adapter fits, rename the fields: {known}"
    return source_error(
        who,
        f"wrong adapter '{settings.adapter}': {keys}",
        f"rows of {LAYOUTS[settings.adapter]}",
        cure,
    )
