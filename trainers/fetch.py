"""Bytes of samples: from the cache or the store, checked against the index, tried again once."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from schemas.errors import DamageError, StoreError
from schemas.shard import crc32c
from schemas.snapshot import ShardEntry
from schemas.store import FileStore, Store
from trainers.blobs import open_blobs
from trainers.cache import DiskCache
from trainers.index import MEMORY_BYTES, IndexSlices
from trainers.keylocks import KeyLocks
from trainers.retry import again_after
from trainers.sample import RowTuple

OnDamage = Literal["raise", "skip"]
_REMOTE_THREADS: Final = 16


@dataclass(frozen=True, kw_only=True)
class ReadSettings:
    """How bytes are read. Nothing in here changes the order or the samples.

    ``on_damage``: "raise" at a sample that cannot be read right, or "skip" up to ``max_skips`` of
    them; a skipped sample keeps its position, its batch is one shorter. ``threads`` read ahead up
    to ``prefetch_bytes`` (None: none for a folder without a cache, 16 else). On a miss the cache
    is filled by consecutive samples of up to ``fetch_bytes``.
    """

    cache_dir: Path | None = None
    cache_bytes: int = 64 << 30
    prefetch_bytes: int = 128 << 20
    fetch_bytes: int = 1 << 20
    index_bytes: int = MEMORY_BYTES
    threads: int | None = None
    retries: int = 1
    on_damage: OnDamage = "raise"
    max_skips: int = 100

    def threads_for(self, store: Store) -> int:
        """How many threads read ahead."""
        if self.threads is not None:
            return self.threads
        local = isinstance(store, FileStore) and self.cache_dir is None
        return 0 if local else _REMOTE_THREADS


@dataclass
class Counts:
    """What reading met, over all threads: for logs and tests. Without a cache, failures alone."""

    from_cache: int = 0
    from_store: int = 0
    damaged_in_cache: int = 0
    tried_again: int = 0


class Fetcher:
    """Reads samples of one corpus. Safe for several threads."""

    def __init__(self, store: Store, settings: ReadSettings | None = None) -> None:
        settings = settings or ReadSettings()
        self._settings = settings
        self._store = store
        self._blobs = open_blobs(store)
        self._cache = (
            DiskCache(settings.cache_dir, settings.cache_bytes) if settings.cache_dir else None
        )
        self.index = IndexSlices(
            store,
            cache=self._cache,
            memory_bytes=settings.index_bytes,
            retries=settings.retries,
        )
        self._filling = KeyLocks()
        self._lock = threading.Lock()
        self.counts = Counts()

    def fetch(self, entry: ShardEntry, row: int, block: int = 1) -> tuple[bytes, RowTuple]:
        """A sample's range of its shard, checked, and its row of the index.

        ``block`` is how many samples stand together in the order: the cache is filled within it.
        Raises DamageError or StoreError after the last try.
        """
        values: RowTuple = self.index.rows(entry)[row].item()
        offset, length, checksum = values[:3]
        if self._cache is None:
            data = self._from_store(entry, offset, length, checksum)
        else:
            found = self._from_cache(entry, offset, length, checksum)
            data = found if found is not None else self._fill(entry, row, block, values)
        return data, values

    def _from_cache(
        self, entry: ShardEntry, offset: int, length: int, checksum: int, *, alone: bool = False
    ) -> bytes | None:
        """What the cache has, if it is right. ``alone``: no other thread is filling the range."""
        assert self._cache is not None
        data = self._cache.read(entry, offset, length)
        if data is None:
            return None
        if crc32c(data) != checksum:
            if alone:
                self._count("damaged_in_cache")
            return None
        self._count("from_cache")
        return data

    def _fill(self, entry: ShardEntry, row: int, block: int, values: RowTuple) -> bytes:
        """Fetch the sample and its neighbors into the cache, once for all threads."""
        assert self._cache is not None
        offset, length, checksum = values[:3]
        start, size = self._chunk(entry, row, block)
        with self._filling.of((entry["sha256"], start)):
            found = self._from_cache(entry, offset, length, checksum, alone=True)
            if found is not None:
                return found
            try:
                chunk = self._blobs.read(entry, start, size)
            except (StoreError, DamageError):
                chunk = b""  # then the sample alone, with its own tries
            data = chunk[offset - start : offset - start + length]
            if crc32c(data) != checksum or not data:
                data = self._from_store(entry, offset, length, checksum)
                self._cache.write(entry, offset, data)
                self._count("from_store")
                return data
            self._cache.write(entry, start, chunk)
            self._count("from_store")
            return data

    def _chunk(self, entry: ShardEntry, row: int, block: int) -> tuple[int, int]:
        """Offset and length of the run of samples that is fetched for one of them."""
        rows = self.index.rows(entry)
        first = row - row % block
        offsets, lengths = rows["offset"], rows["length"]
        last = min(first + block, len(rows))
        limit = max(self._settings.fetch_bytes, int(lengths[row]))
        # Cut the block into runs of at most the limit: the same runs whichever sample asks.
        start = first
        for at in range(first, last):
            end = int(offsets[at] + lengths[at])
            if end - int(offsets[start]) > limit:
                if at > row:
                    return int(offsets[start]), int(offsets[at] - offsets[start])
                start = at
        end = int(offsets[last - 1] + lengths[last - 1])
        return int(offsets[start]), end - int(offsets[start])

    def _from_store(self, entry: ShardEntry, offset: int, length: int, checksum: int) -> bytes:
        """The range from the store, tried again after a failure. Raises what the last try did."""
        try:
            return self._once(entry, offset, length, checksum)
        except (StoreError, DamageError) as error:
            return again_after(
                error,
                lambda: self._once(entry, offset, length, checksum, again=True),
                self._settings.retries,
            )

    def _once(
        self, entry: ShardEntry, offset: int, length: int, checksum: int, *, again: bool = False
    ) -> bytes:
        if again:
            self._count("tried_again")
        data = self._blobs.read(entry, offset, length, again=again)
        if crc32c(data) != checksum:
            raise DamageError(
                f"{self._store.uri}/shards/{entry['name']}: the {length} bytes at {offset} do "
                "not have the index's crc32c; run `voxmill verify` to see what is damaged, "
                "then restore the shard or build the corpus again"
            )
        return data

    def _count(self, name: str) -> None:
        with self._lock:
            setattr(self.counts, name, getattr(self.counts, name) + 1)
