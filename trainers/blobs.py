"""Ranges of shards: from a folder by open files, from any other store by ranged requests."""

import os
from pathlib import Path
from typing import Protocol

from schemas.errors import DamageError, StoreError
from schemas.snapshot import ShardEntry
from schemas.store import FileStore, Store
from trainers.keylocks import KeyLocks
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
    """Shards of any store, by range, of the object that was there at the first read.

    A shard's size is checked against the snapshot once, and its etag goes with every request: a
    store whose object changed afterwards refuses, and no two halves of different objects are mixed.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._etags: dict[str, str] = {}
        self._asking = KeyLocks()

    def read(self, entry: ShardEntry, offset: int, length: int, *, again: bool = False) -> bytes:
        path = f"shards/{entry['name']}"
        etag = self._etag(entry, path, again=again)
        data = self._store.get_range(path, offset, length, if_match=etag)
        if len(data) != length:
            raise DamageError(
                f"{self._store.uri}/{path}: wanted {length} bytes at {offset}, the store gave "
                f"{len(data)}; a proxy may cut or ignore ranges, ask the store directly"
            )
        return data

    def _etag(self, entry: ShardEntry, path: str, *, again: bool) -> str:
        known = None if again else self._etags.get(path)
        if known is not None:
            return known
        with self._asking.of(path):
            known = None if again else self._etags.get(path)
            if known is None:
                known = self._head(entry, path)
                self._etags[path] = known
        return known

    def _head(self, entry: ShardEntry, path: str) -> str:
        meta = self._store.head(path)
        if meta is None:
            raise StoreError(
                f"{self._store.uri}/{path}: the snapshot names it and it is not there; restore it "
                "from a copy, or build the corpus again to recompute it"
            )
        if meta.size != entry["bytes"]:
            raise DamageError(
                f"{self._store.uri}/{path}: {meta.size} bytes, the snapshot names "
                f"{entry['bytes']}; restore it from a copy, or build the corpus again"
            )
        return meta.etag
