"""Ranges of shards: from a folder by open files, from any other store by ranged requests."""

import os
import threading
from collections import OrderedDict
from io import FileIO
from pathlib import Path
from typing import Final, Protocol

from schemas.errors import DamageError, StoreError
from schemas.snapshot import ShardEntry
from schemas.store import FileStore, Store

_OPEN_FILES: Final = 256


class Blobs(Protocol):
    """Where ranges of shards come from. Safe for several threads."""

    def read(self, entry: ShardEntry, offset: int, length: int, *, again: bool = False) -> bytes:
        """Exactly ``length`` bytes of a shard, else StoreError or DamageError.

        ``again``: an earlier answer was wrong; take nothing that was kept from then.
        """


def open_blobs(store: Store) -> Blobs:
    """The fastest way into a store."""
    return FileBlobs(store.root) if isinstance(store, FileStore) else StoreBlobs(store)


class FileBlobs:
    """A folder's shards, through files that stay open.

    An open file has its size checked against the snapshot once. A thread that reads holds the file
    object, so that closing the oldest one never takes a descriptor from under a read.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._files: OrderedDict[str, FileIO] = OrderedDict()

    def read(self, entry: ShardEntry, offset: int, length: int, *, again: bool = False) -> bytes:
        name = entry["name"]
        file = None if again else self._files.get(name)
        try:
            if file is None:
                file = self._open(entry, again=again)
            data = os.pread(file.fileno(), length, offset)
            while len(data) < length:  # rare: a read may be interrupted, or over 2 GiB
                more = os.pread(file.fileno(), length - len(data), offset + len(data))
                if not more:
                    break
                data += more
        except OSError as error:
            raise StoreError(
                f"cannot read {self._root}/shards/{name}: {error.strerror}; check the disk, then "
                "restore the shard from a copy, or build the corpus again to recompute it"
            ) from error
        if len(data) != length:
            raise DamageError(
                f"{self._root}/shards/{name}: wanted {length} bytes at {offset}, the file ended "
                f"after {len(data)}; restore it from a copy, or build the corpus again"
            )
        return data

    def _open(self, entry: ShardEntry, *, again: bool) -> FileIO:
        name = entry["name"]
        file = FileIO(self._root / "shards" / name)
        size = os.fstat(file.fileno()).st_size
        if size != entry["bytes"]:
            file.close()
            raise DamageError(
                f"{self._root}/shards/{name}: {size} bytes, the snapshot names {entry['bytes']}; "
                "restore it from a copy, or build the corpus again to recompute it"
            )
        if again and hasattr(os, "posix_fadvise"):
            # Clean pages go, so that the next read asks the disk and not the page cache.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with self._lock:
            self._files[name] = file
            if len(self._files) > _OPEN_FILES:
                self._files.popitem(last=False)
        return file


class StoreBlobs:
    """Shards of any store, by range."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._etags: dict[str, str] = {}

    def read(self, entry: ShardEntry, offset: int, length: int, *, again: bool = False) -> bytes:
        data = self._store.get_range(f"shards/{entry['name']}", offset, length)
        if len(data) != length:
            raise DamageError(
                f"{self._store.uri}/shards/{entry['name']}: wanted {length} bytes at {offset}, the "
                f"store gave {len(data)}; a proxy may cut or ignore ranges, ask the store directly"
            )
        return data
