"""Finds the files of a source and streams their raw rows."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jobs.sources.formats import read_json, read_lines, read_parquet
from jobs.sources.raw import BadRow, RawRow, source_error
from jobs.sources.stored import NO_OPTIONS, stored_files
from schemas.store import StoreOptions

_READERS: Final = {
    ".json": read_json,
    ".jsonl": read_lines,
    ".ndjson": read_lines,
    ".parquet": read_parquet,
    ".json.gz": read_json,
    ".jsonl.gz": read_lines,
    ".ndjson.gz": read_lines,
    ".json.zst": read_json,
    ".jsonl.zst": read_lines,
    ".ndjson.zst": read_lines,
}
EXTENSIONS: Final = tuple(_READERS)


def extension(name: str) -> str:
    """The known extension of a file name, in lower case; "" if it has none."""
    lowered = name.lower()
    return next((known for known in EXTENSIONS if lowered.endswith(known)), "")


def find_files(path: Path) -> list[tuple[Path, str]]:
    """The files of a source with their names in origins, sorted by that name.

    A folder is walked recursively and through symbolic links, each folder once; hidden files and
    files of other extensions are passed over. Raises SourceError for a path that is not there, a
    folder without any known file, and a file of 0 bytes.
    """
    who = _printable(str(path))
    if not path.exists():
        raise source_error(
            who,
            "no such file or folder",
            "a local file or folder",
            "copy the bucket to a local folder first" if ":/" in who else "check the path",
        )
    if path.is_dir():
        names = sorted(_walk(path, who))
        if not names:
            raise source_error(
                who, "no file of a known kind in this folder", _any_extension(), "check the path"
            )
        found = [(path / name, _printable(name)) for name in names]
    else:
        if not extension(path.name):
            raise source_error(
                who, "unknown file extension", _any_extension(), "rename or convert the file"
            )
        found = [(path, _printable(path.name))]
    for file, name in found:
        if file.exists() and file.stat().st_size == 0:
            raise source_error(name, "the file is empty (0 bytes)", "rows", "remove or fill it")
    return found


def read_raw(path: Path | str, options: StoreOptions = NO_OPTIONS) -> Iterator[RawRow | BadRow]:
    """The raw rows of a file or folder, in the order of the files and of the rows in them.

    A text is an address in a bucket, or a pattern with braces (see stored_files).

    Lazy: SourceError comes when the iteration reaches the cause.
    """
    if isinstance(path, str):
        for stored in stored_files(path, EXTENSIONS, options):
            yield from _READERS[extension(stored.name)](stored, stored.name)
        return
    for file, name in find_files(path):
        yield from _READERS[extension(file.name)](file, name)


def _walk(root: Path, who: str) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        folder = _printable(str(error.filename or who))
        raise source_error(
            folder,
            f"the folder cannot be read ({error.strerror or error})",
            "a readable folder",
            "grant permission to read and enter it",
        ) from error

    visited = {os.path.realpath(root)}
    for folder, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        kept = []
        for name in sorted(folders):
            real = os.path.realpath(os.path.join(folder, name))
            if not name.startswith(".") and real not in visited:  # links may run in circles
                visited.add(real)
                kept.append(name)
        folders[:] = kept
        for name in files:
            if not name.startswith(".") and extension(name):
                yield Path(folder, name).relative_to(root).as_posix()


def _any_extension() -> str:
    return "one of " + " ".join(EXTENSIONS)


def _printable(name: str) -> str:
    """A file name that can be stored as UTF-8: Linux allows any bytes in names."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
