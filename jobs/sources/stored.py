"""Files of a source behind the store: a folder or a bucket, one file or a brace pattern of them."""

import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jobs.sources.raw import source_error
from schemas.errors import SettingsError, SourceError, StoreError
from schemas.redaction import redacted
from schemas.store import Store, StoreAddress, StoreOptions, open_store

_BLOCK_BYTES: Final = 4 << 20
_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_SPAN: Final = re.compile(r"(\d+)\.\.(\d+)")
_MOST_FILES: Final = 1_000_000
NO_OPTIONS: Final = StoreOptions()


@dataclass(frozen=True)
class StoredFile:
    """One file of a source. ``name`` is what origins call it: relative to the source."""

    store: Store
    path: str
    name: str
    size: int

    def open(self) -> io.BufferedReader:
        """Its bytes, seekable, read in blocks: a bucket is asked for one block at a time."""
        return io.BufferedReader(_Ranges(self.store, self.path, self.size), _BLOCK_BYTES)


class _Ranges(io.RawIOBase):
    """An object of a store as a file that reads ranges."""

    def __init__(self, store: Store, path: str, size: int) -> None:
        self._store, self._path, self._size, self._at = store, path, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        length = min(len(buffer), max(0, self._size - self._at))
        if length:
            buffer[:length] = self._store.get_range(self._path, self._at, length)
            self._at += length
        return length


def stored_files(
    location: str | Path, extensions: Sequence[str], options: StoreOptions = NO_OPTIONS
) -> Iterator[StoredFile]:
    """The files that a path or an address means, sorted by name.

    It is a file, a folder (with all that is below it), or a pattern with braces such as
    ``tars/train-{000000..000011}.tar``. Raises SourceError for what is not there.
    """
    text = str(location)
    found: list[StoredFile] = []
    for place in expand_braces(text):
        if place.lower().endswith(tuple(extensions)):
            folder, _, name = place.rpartition("/")
            root = "/" if place.startswith("/") else "."
            store = _opened(StoreAddress(folder or root, options), place)
            size = _size(store, name, place)
            if size is None:
                raise source_error(place, "no such file", "a file", "check the path")
            found.append(StoredFile(store, name, name, size))
        else:
            found += _folder(StoreAddress(place, options), extensions)
    return iter(sorted(found, key=lambda file: (file.name, file.store.uri)))


def expand_braces(text: str) -> list[str]:
    """Every name that a pattern stands for: {000..011} counts, {a,b} lists."""
    parts = _BRACES.split(text)  # text, inside of braces, text, ...
    choices = [[part] if n % 2 == 0 else _choices(part, text) for n, part in enumerate(parts)]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > _MOST_FILES:
        raise source_error(
            text, f"a pattern of {count} names", f"at most {_MOST_FILES}", "split it"
        )
    return ["".join(pieces) for pieces in itertools.product(*choices)]


def _choices(inside: str, text: str) -> list[str]:
    span = _SPAN.fullmatch(inside)
    if span is None:
        return inside.split(",")
    first, last = int(span[1]), int(span[2])
    if last < first or last - first > _MOST_FILES:
        cure = "write the lower number first"
        raise source_error(text, f"the span {{{inside}}}", "such as {000000..000011}", cure)
    return [f"{number:0{len(span[1])}d}" for number in range(first, last + 1)]


def _folder(address: StoreAddress, extensions: Sequence[str]) -> list[StoredFile]:
    place = address.uri
    store = _opened(address, place)
    names = [name for name in store.list("") if name.lower().endswith(tuple(extensions))]
    shown = [name for name in names if not any(p.startswith(".") for p in name.split("/"))]
    if not shown:
        wanted = "a file or folder of " + " ".join(extensions)
        raise source_error(place, "no file of a known kind there", wanted, "check the path")
    return [StoredFile(store, name, name, store.size(name) or 0) for name in shown]


def _opened(address: StoreAddress, place: str) -> Store:
    try:
        return open_store(address, to_read=True)
    except SettingsError as error:
        told = str(error).partition(": ")[2]
        raise SourceError(f"source {redacted(place)}: {told}") from error


def _size(store: Store, name: str, place: str) -> int | None:
    try:
        return store.size(name)
    except StoreError as error:
        raise source_error(place, f"it cannot be read ({error})", "a file", "check it") from error
