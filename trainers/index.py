"""Index slices: what a reader needs of a shard's index, as one small array."""

import io
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.canonical import sha256_hex
from schemas.errors import DamageError
from schemas.snapshot import ShardEntry
from schemas.store import Store

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
_TURNS: Final = "turns.list.element"
_COLUMNS: Final = [
    "offset",
    "length",
    "crc32c",
    "duration_s",
    *(f"{_TURNS}.{name}" for name in ("role", "duration_s", "num_frames", "num_units")),
]


class IndexSlices:
    """Loads slices of the index, a shard's at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def rows(self, entry: ShardEntry) -> Rows:
        """The rows of a shard, in its order. Raises DamageError for an index that changed."""
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
