"""Files that stay open, a bounded number of them, for reads from any thread."""

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

_MOST: Final = 256


class OpenFile:
    """A descriptor that closes when nobody holds it: never from under a read in another thread."""

    __slots__ = ("fd", "used_s")

    def __init__(self, path: Path, flags: int) -> None:
        self.fd = -1
        self.fd = os.open(path, flags | os.O_CLOEXEC, 0o644)
        self.used_s = 0.0  # time.monotonic() of the use that was last noted

    def __del__(self) -> None:
        if self.fd >= 0:
            with suppress(OSError):
                os.close(self.fd)


class OpenFiles:
    """Files by name; those that were opened first go first, so that a look-up needs no lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[str, OpenFile] = {}

    def get(self, name: str) -> OpenFile | None:
        """The open file of that name, if it is kept."""
        return self._files.get(name)

    def keep(self, name: str, file: OpenFile) -> None:
        """Keep a file, in the place of another of that name."""
        with self._lock:
            self._files[name] = file
            if len(self._files) > _MOST:
                del self._files[next(iter(self._files))]

    def forget(self, name: str) -> None:
        """Drop a file."""
        with self._lock:
            self._files.pop(name, None)

    def keep_only(self, names: set[str]) -> None:
        """Drop the files that are not among ``names``."""
        with self._lock:
            for name in self._files.keys() - names:
                del self._files[name]
