"""Ranges of shards: from a folder by open files, from any other store by ranged requests."""

import os
from pathlib import Path
from typing import Protocol

from schemas.errors import DamageError, StoreError
from schemas.snapshot import ShardEntry
from schemas.store import FileStore, Store
from trainers.openfiles import OpenFile, OpenFiles


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

    An open file has its size checked against the snapshot once.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files = OpenFiles()

    def read(self, entry: ShardEntry, offset: int, length: int, *, again: bool = False) -> bytes:
        name = entry["name"]
        file = None if again else self._files.get(name)
        try:
            if file is None:
                file = self._open(entry, again=again)
            data = os.pread(file.fd, length, offset)
            while len(data) < length:  # rare: a read may be interrupted, or over 2 GiB
                more = os.pread(file.fd, length - len(data), offset + len(data))
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

    def _open(self, entry: ShardEntry, *, again: bool) -> OpenFile:
        name = entry["name"]
        file = OpenFile(self._root / "shards" / name, os.O_RDONLY)
        size = os.fstat(file.fd).st_size
        if size != entry["bytes"]:
            raise DamageError(
                f"{self._root}/shards/{name}: {size} bytes, the snapshot names {entry['bytes']}; "
                "restore it from a copy, or build the corpus again to recompute it"
            )
        if again and hasattr(os, "posix_fadvise"):
            # Clean pages go, so that the next read asks the disk and not the page cache.
            os.posix_fadvise(file.fd, 0, 0, os.POSIX_FADV_DONTNEED)
        self._files.keep(name, file)
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
