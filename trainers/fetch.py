"""Bytes of samples from a store, checked against the index."""

from schemas.errors import DamageError
from schemas.shard import crc32c
from schemas.snapshot import ShardEntry
from schemas.store import Store
from trainers.index import Rows
from trainers.sample import Sample


class Fetcher:
    """Reads samples by range."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def sample(
        self, entry: ShardEntry, row: Rows, *, corpus: str, position: int, epoch: int = 0
    ) -> Sample:
        """One sample, checked. Raises DamageError."""
        offset, length = int(row["offset"]), int(row["length"])
        data = self._store.get_range(f"shards/{entry['name']}", offset, length)
        if crc32c(data) != int(row["crc32c"]):
            raise DamageError(
                f"{self._store.uri}/shards/{entry['name']}: the {length} bytes at {offset} do not "
                "have the index's crc32c; run `voxmill verify` to see what is damaged"
            )
        return Sample(
            corpus=corpus,
            epoch=epoch,
            position=position,
            data=data,
            duration_s=float(row["duration_s"]),
            user_s=float(row["user_s"]),
            num_units=int(row["num_units"]),
            num_frames=int(row["num_frames"]),
        )
