"""Checksums of large files, remembered by place, size and time, so that planning stays quick."""

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from transforms.backends.units.weights import file_sha256

MAX_ENTRIES: Final = 500
LARGE: Final = 1 << 20  # a smaller file is read faster than the memory of it


def remembered_sha256(path: Path) -> str:
    """The sha256 of a file. It is read again when its size, time or number changed.

    Workers check what they load by reading it, so a wrong memory stops a build and spoils none.
    """
    try:
        status = path.stat()
    except OSError:
        return file_sha256(path)
    if status.st_size < LARGE:
        return file_sha256(path)
    key = str(path.absolute())
    mark = [status.st_size, status.st_mtime_ns, status.st_ino]
    known = _read()
    entry = known.get(key)
    if isinstance(entry, list) and entry[:-1] == mark:
        return str(entry[-1])
    found = file_sha256(path)
    _write({**dict(list(known.items())[-MAX_ENTRIES:]), key: [*mark, found]})
    return found


def _place() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "voxmill" / "checksums.json"


def _read() -> dict[str, object]:
    try:
        value = json.loads(_place().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _write(value: dict[str, object]) -> None:
    """Whole or not at all; where it cannot be written, files are read each time."""
    with suppress(OSError):
        place = _place()
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=place.parent, delete=False, encoding="utf-8"
        ) as file:
            json.dump(value, file)
        os.replace(file.name, place)
