"""Index slices: what a reader needs of a shard's index, as one small array."""

import io
import threading
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.canonical import sha256_hex
from schemas.errors import DamageError, StoreError
from schemas.snapshot import ShardEntry
from schemas.store import Store
from trainers.cache import DiskCache
from trainers.keylocks import KeyLocks
from trainers.retry import again_after

ROW: Final = np.dtype(
    [
        ("offset", "<i8"),  # bytes, in the shard
        ("length", "<i8"),  # bytes
        ("crc32c", "<u4"),
        ("num_units", "<i4"),  # of all turns
        ("num_frames", "<i4"),  # of all turns
        ("duration_s", "<f8"),  # of all turns
        ("user_s", "<f8"),  # of the user's turns
    ]
)
Rows = npt.NDArray[np.void]  # [samples] of ROW
_ROW_FORMAT: Final = "rows1"  # raised with ROW
MEMORY_BYTES: Final = 64 << 20
_TURNS: Final = "turns.list.element"
_COLUMNS: Final = [
    "offset",
    "length",
    "crc32c",
    "duration_s",
    *(f"{_TURNS}.{name}" for name in ("role", "duration_s", "num_frames", "num_units")),
]


class IndexSlices:
    """Loads slices of the index when they are asked for, and keeps the latest in memory.

    A slice is a shard's: its Parquet file is read whole, checked and boiled down to ROW. With a
    disk cache, the boiled down slice is kept there. Safe for several threads.
    """

    def __init__(
        self,
        store: Store,
        *,
        cache: DiskCache | None = None,
        memory_bytes: int = MEMORY_BYTES,
        retries: int = 1,
    ) -> None:
        self._store, self._cache, self._retries = store, cache, retries
        self._memory_bytes = memory_bytes
        self._kept: dict[str, Rows] = {}
        self._bytes = 0
        self._lock = threading.Lock()
        self._loading = KeyLocks()

    def rows(self, entry: ShardEntry) -> Rows:
        """The rows of a shard, in its order. Raises DamageError for an index that changed."""
        name = entry["index"]
        rows = self._kept.get(name)
        if rows is None:
            with self._loading.of(name):
                rows = self._kept.get(name)
                if rows is None:
                    rows = self._cached(entry)
                    self._remember(name, rows)
        return rows

    def _remember(self, name: str, rows: Rows) -> None:
        """Keep a slice; those that were loaded first go first, so that a look-up needs no lock."""
        with self._lock:
            self._kept[name] = rows
            self._bytes += rows.nbytes
            while self._bytes > self._memory_bytes and len(self._kept) > 1:
                self._bytes -= self._kept.pop(next(iter(self._kept))).nbytes

    def _cached(self, entry: ShardEntry) -> Rows:
        if self._cache is None:
            return self._load_surely(entry)
        name = f"{entry['index_sha256']}.{_ROW_FORMAT}"
        data = self._cache.kept(name)
        if data is not None and len(data) == entry["samples"] * ROW.itemsize:
            return np.frombuffer(data, ROW)
        rows = self._load_surely(entry)
        self._cache.keep(name, rows.tobytes())
        return rows

    def _load_surely(self, entry: ShardEntry) -> Rows:
        try:
            return self._load(entry)
        except (StoreError, DamageError) as error:
            return again_after(error, lambda: self._load(entry), self._retries)

    def _load(self, entry: ShardEntry) -> Rows:
        path = f"index/{entry['index']}"
        data = self._store.get(path)
        if sha256_hex(data) != entry["index_sha256"]:
            raise DamageError(
                f"{self._store.uri}/{path}: its sha256 is not the snapshot's; restore it from a "
                "copy, or build the corpus again to recompute it"
            )
        rows = parse_rows(data)
        if len(rows) != entry["samples"]:
            raise DamageError(
                f"{self._store.uri}/{path}: {len(rows)} rows, the snapshot names "
                f"{entry['samples']} samples; build the corpus again"
            )
        return rows


def parse_rows(data: bytes) -> Rows:
    """The columns that a reader needs, from the bytes of an index file."""
    file = pq.ParquetFile(io.BytesIO(data), pre_buffer=False)
    table = file.read(columns=_COLUMNS, use_threads=False).combine_chunks()
    rows = np.zeros(table.num_rows, ROW)
    for name in ("offset", "length", "crc32c", "duration_s"):
        rows[name] = table.column(name).to_numpy()
    turns: Any = table.column("turns").combine_chunks()
    if isinstance(turns, pa.ChunkedArray):
        turns = pa.concat_arrays(turns.chunks) if turns.num_chunks else None
    if turns is not None:
        owner = pc.list_parent_indices(turns).to_numpy()
        items = turns.flatten()
        user = pc.equal(items.field("role"), "user").to_numpy(zero_copy_only=False)
        seconds = items.field("duration_s").to_numpy()
        rows["user_s"] = np.bincount(owner, seconds * user, len(rows))
        for name in ("num_frames", "num_units"):
            rows[name] = np.bincount(owner, items.field(name).to_numpy(), len(rows))
    return rows
