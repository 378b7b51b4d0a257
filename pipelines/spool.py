"""Sorts a source by content hash in bounded memory: an external bucket sort on local disk."""

import marshal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Protocol

from schemas.columns import RowFailure
from schemas.conversation import Conversation, row_id

BUCKETS = 64  # of 256 first bytes; a million rows of 1 kB take 16 MB per bucket


class SourceRow(Protocol):
    """What a source yields: a conversation, or the error of a row that is none."""

    @property
    def conversation(self) -> Conversation | None:
        """The row, or None if it is malformed."""

    @property
    def source(self) -> str:
        """Name of the source, which a row may give itself."""

    @property
    def digest(self) -> str:
        """Hash of the content, in hex."""

    @property
    def origin(self) -> str:
        """File and line."""

    @property
    def error(self) -> RowFailure | None:
        """Why there is no conversation."""


def spool(rows: Iterable[SourceRow], folder: Path) -> int:
    """Write every row to its bucket in ``folder``; how many there were."""
    count = 0
    with ExitStack() as stack:
        files: list[BinaryIO] = [
            stack.enter_context(open(folder / f"{bucket:02d}", "wb")) for bucket in range(BUCKETS)
        ]
        for row in rows:
            bucket = int(row.digest[:2], 16) * BUCKETS // 256
            entry = (row.digest, row.origin, row.source, row.conversation, row.error)
            marshal.dump(entry, files[bucket])  # type: ignore[arg-type]
            count += 1
    return count


def sorted_rows(folder: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """Every spooled row as (row id, columns of the CONVERSATION table), in the order of ids."""
    for bucket in range(BUCKETS):
        entries = list(_entries(folder / f"{bucket:02d}"))
        entries.sort(key=lambda entry: (entry[0], entry[2], entry[1]))
        before, occurrence = "", 0
        for digest, origin, source, conversation, error in entries:
            occurrence = occurrence + 1 if digest == before else 0
            before = digest
            key = row_id(digest, occurrence)
            yield key, _columns(key, origin, source, conversation, error)


def _entries(
    path: Path,
) -> Iterator[tuple[str, str, str, Conversation | None, RowFailure | None]]:
    size = path.stat().st_size
    with open(path, "rb") as file:
        while file.tell() < size:
            yield marshal.load(file)  # our own file of a moment ago, never anybody else's


def _columns(
    key: str,
    origin: str,
    source: str,
    conversation: Conversation | None,
    error: RowFailure | None,
) -> dict[str, object]:
    shown: Conversation = conversation or {
        "source_id": "",
        "license": "",
        "lang": "",
        "turns": [],
        "image": None,
    }
    return {**shown, "id": key, "source": source, "origin": origin, "source_error": error}
