"""Sorts a source by content hash in bounded memory: an external bucket sort on local disk.

Audio is kept in a file of its own beside the buckets, so that memory holds one row's audio at a
time; the folder needs as much room as the source has audio.
"""

import marshal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeAlias

from schemas.columns import RowFailure
from schemas.conversation import Conversation, row_id
from schemas.errors import SourceError

BITS = 7  # of an id, which name its bucket of 128; a bucket that is too large has its own
BUCKETS = 1 << BITS
LEVELS = 4
LARGE_BYTES = 96 * 2**20  # of a bucket, which is read as a whole: 13 million rows of 0.9 kB
AUDIO = "audio"
Entry: TypeAlias = tuple[str, str, str, str, bytes]  # own key, digest, origin, source, what it says


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
    def key(self) -> str:
        """The id that the row keeps, from the corpus that it comes from; empty for a new one."""

    @property
    def origin(self) -> str:
        """File and line."""

    @property
    def error(self) -> RowFailure | None:
        """Why there is no conversation."""


class Spooled:
    """One row: its id, the hash of its content, and its columns but for the audio."""

    def __init__(self, key: str, content: str, columns: Mapping[str, Any]) -> None:
        self.key, self.content, self._columns = key, content, columns

    def columns(self, folder: Path) -> dict[str, Any]:
        """The columns of the CONVERSATION table, audio read back from ``folder``."""
        places = [turn["audio"] for turn in self._columns["turns"]]
        if all(place is None for place in places):  # opening a file costs more than such a row
            return dict(self._columns)
        turns = []
        with open(folder / AUDIO, "rb") as file:
            for turn in self._columns["turns"]:
                audio = turn["audio"]
                if audio is not None:
                    file.seek(audio[0])
                    audio = file.read(audio[1])
                turns.append({**turn, "audio": audio})
        return {**self._columns, "turns": turns}


def spool(rows: Iterable[SourceRow], folder: Path) -> int:
    """Write every row to its bucket in ``folder``; how many there were."""
    count = 0
    with _buckets(folder) as files, open(folder / AUDIO, "wb") as audio:
        for row in rows:
            conversation = None if row.conversation is None else _put(row.conversation, audio)
            said = marshal.dumps((conversation, dict(row.error) if row.error else None))
            entry = (row.key, row.digest, row.origin, row.source, said)
            marshal.dump(entry, files[bucket_of(row.key or row.digest)])
            count += 1
    return count


def sorted_rows(folder: Path) -> Iterator[Spooled]:
    """Every spooled row in the order of ids. Raises SourceError for a key given twice."""
    for bucket in range(BUCKETS):
        yield from _sorted(folder / f"{bucket:02d}", 1)


def _sorted(path: Path, level: int) -> Iterator[Spooled]:
    """The rows of a bucket in order; of a large one, bucket by bucket."""
    if level < LEVELS and path.is_file() and path.stat().st_size > LARGE_BYTES:
        _split(path, level)
    if path.is_dir():
        for bucket in range(BUCKETS):
            yield from _sorted(path / f"{bucket:02d}", level + 1)
        return
    entries = list(_entries(path))
    entries.sort(key=lambda entry: (entry[0] or entry[1], entry[3], entry[2]))
    given = {entry[0] for entry in entries}
    before, occurrence = "", 0
    for own, digest, origin, source, said in entries:
        name = own or digest
        occurrence = occurrence + 1 if name == before else 0
        before = name
        key = own or row_id(digest, occurrence)
        if occurrence if own else key in given:
            raise SourceError(
                f"source {origin}: a second sample with the key {key}; wanted each key once; "
                "read one snapshot at a time"
            )
        conversation, error = marshal.loads(said)
        yield Spooled(
            key, digest if own else "", _columns(key, origin, source, conversation, error)
        )


def _split(path: Path, level: int) -> None:
    """Put a folder of buckets in the place of a bucket."""
    whole = path.rename(path.with_suffix(".whole"))
    path.mkdir()
    with _buckets(path) as files:
        for entry in _entries(whole):
            marshal.dump(entry, files[bucket_of(entry[0] or entry[1], level)])
    whole.unlink()


@contextmanager
def _buckets(folder: Path) -> Iterator[list[BinaryIO]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(open(folder / f"{bucket:02d}", "wb")) for bucket in range(BUCKETS)
        ]


def bucket_of(key: str, level: int = 0) -> int:
    """Seven bits of an id, the first ones at level 0: buckets in order hold ids in order."""
    first = int(key[: BITS * LEVELS // 4], 16)
    return first >> BITS * (LEVELS - 1 - level) & BUCKETS - 1


def _put(conversation: Conversation, file: BinaryIO) -> dict[str, Any]:
    """The row with (offset, length) in the place of each turn's audio, which goes to ``file``."""
    turns = []
    for turn in conversation["turns"]:
        audio = turn["audio"]
        place = None if audio is None else (file.tell(), len(audio))
        file.write(audio or b"")
        turns.append({**turn, "audio": place})
    return {**conversation, "turns": turns}


def _entries(path: Path) -> Iterator[Entry]:
    size = path.stat().st_size
    with open(path, "rb") as file:
        while file.tell() < size:
            yield marshal.load(file)  # our own file of a moment ago, never anybody else's


def _columns(
    key: str,
    origin: str,
    source: str,
    conversation: dict[str, Any] | None,
    error: RowFailure | None,
) -> dict[str, Any]:
    nothing: dict[str, Any] = {
        "source_id": "",
        "license": "",
        "lang": "",
        "turns": [],
        "image": None,
    }
    shown = nothing if conversation is None else conversation
    return {**shown, "id": key, "source": source, "origin": origin, "source_error": error}
