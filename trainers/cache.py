"""The cache: ranges of shards on a local disk, for any number of processes and jobs.

A shard's file is sparse, has the shard's sha256 as its name, and holds at each offset what the
shard holds there, or a hole. Nothing says which ranges are filled: a reader checks the crc32c that
the index has for its range, and what does not fit counts as absent. So there are no locks, no
journal and no partial states: a process that is killed in the middle of a write leaves a range
that nobody believes, and two processes that fill the same range write the same bytes. Whole small
files (slices of the index) are kept beside them, each with its own checksum, put there by rename.
"""

import logging
import os
import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from schemas.errors import SettingsError
from schemas.shard import crc32c
from schemas.snapshot import ShardEntry
from trainers.openfiles import OpenFile, OpenFiles

logger = logging.getLogger(__name__)

_LOOK_AGAIN: Final = 32  # a survey after each limit / 32 written by this process
_ROOM: Final = 0.9  # of the limit is left after an eviction
_TOUCH_S: Final = 60.0  # how exactly the time of last use is kept
_UNIT: Final = 512  # bytes of st_blocks
_CHECKSUM: Final = 4  # bytes


class DiskCache:
    """Ranges of shards in a folder, at most ``limit`` bytes of them.

    The least recently used shards go first. The limit is kept to within 1/32, and what its threads
    are writing, for each process that fills the cache. A full or failing disk costs speed and a
    warning, never a sample.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        if limit < 1 << 20:
            raise SettingsError(f"reader: cache_bytes is {limit}; give at least {1 << 20}")
        self._folder = folder
        self._limit = limit
        self._lock = threading.Lock()
        self._files = OpenFiles()
        self._unsurveyed = limit  # look first, before anything is written
        self._failed = False
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"reader: no cache can be made in {folder} ({error.strerror}); give a folder on a "
                "local disk as cache_dir, or none"
            ) from error

    def read(self, entry: ShardEntry, offset: int, length: int) -> bytes | None:
        """What is there for a range, to be checked by the caller; None for a hole."""
        try:
            file = self._file(entry["sha256"], create=False)
            if file is None:
                return None
            data = os.pread(file.fd, length, offset)
        except OSError as error:
            self._complain("read", error)
            return None
        # A sample starts with its name, so zeros are a hole.
        return data if len(data) == length and data[:1] != b"\0" else None

    def write(self, entry: ShardEntry, offset: int, data: bytes) -> None:
        """Keep a range."""
        self._make_room(len(data))
        try:
            file = self._file(entry["sha256"], create=True)
            if file is None or len(data) > self._limit:
                return
            if os.fstat(file.fd).st_nlink == 0:  # evicted by another process
                self._files.forget(entry["sha256"])
                file = self._file(entry["sha256"], create=True)
            assert file is not None
            os.pwrite(file.fd, data, offset)
        except OSError as error:
            self._complain("write", error)

    def keep(self, name: str, data: bytes) -> None:
        """Keep a whole small file."""
        whole = data + crc32c(data).to_bytes(_CHECKSUM, "little")
        self._make_room(len(whole))
        temporary = self._folder / f".tmp-{os.getpid()}-{secrets.token_hex(6)}"
        try:
            temporary.write_bytes(whole)
            temporary.replace(self._folder / name)
        except OSError as error:
            self._complain("write", error)
            with suppress(OSError):
                temporary.unlink()

    def kept(self, name: str) -> bytes | None:
        """A whole small file, or None if it is not there or not whole."""
        try:
            whole = (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._complain("read", error)
            return None
        data = whole[:-_CHECKSUM]
        if crc32c(data).to_bytes(_CHECKSUM, "little") != whole[-_CHECKSUM:]:
            return None
        with suppress(OSError):
            os.utime(self._folder / name)
        return data

    def _file(self, name: str, *, create: bool) -> OpenFile | None:
        file = self._files.get(name)
        if file is None:
            try:
                file = OpenFile(self._folder / name, os.O_RDWR | (os.O_CREAT if create else 0))
            except FileNotFoundError:
                return None
            self._files.keep(name, file)
        now = time.monotonic()
        if now - file.used_s > _TOUCH_S:
            file.used_s = now
            os.utime(file.fd)
        return file

    def _make_room(self, size: int) -> None:
        """Now and then, look at the folder, and evict what was not used for longest."""
        with self._lock:
            self._unsurveyed += size
            if self._unsurveyed < self._limit // _LOOK_AGAIN:
                return
            self._unsurveyed = 0
        found = self._survey()
        # Files that others evicted keep their space for as long as they are open here.
        self._files.keep_only({name for _, _, name in found})
        used = size + sum(bytes_ for _, bytes_, _ in found)
        if used <= self._limit:
            return
        for _, freed, name in sorted(found):
            if used <= self._limit * _ROOM:
                break
            with suppress(OSError):
                (self._folder / name).unlink()
            self._files.forget(name)
            used -= freed

    def _survey(self) -> list[tuple[float, int, str]]:
        """Last use, bytes on disk and name of every file."""
        found = []
        with suppress(OSError):
            for item in os.scandir(self._folder):
                with suppress(FileNotFoundError):  # evicted by another process
                    state = item.stat()
                    found.append((state.st_mtime, state.st_blocks * _UNIT, item.name))
        return found

    def _complain(self, verb: str, error: OSError) -> None:
        if not self._failed:
            self._failed = True
            logger.warning(
                "cannot %s the cache %s (%s); reading goes on without it where it fails; free "
                "some space there, or give a smaller cache_bytes",
                verb,
                self._folder,
                error.strerror,
            )
