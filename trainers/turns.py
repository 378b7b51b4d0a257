"""The turns of a corpus as its index has them: texts and lengths, and no shard opened for them."""

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.snapshot import FileEntry, ShardEntry, read_verified
from trainers.corpus import Corpus


class IndexedTurn(NamedTuple):
    """A turn as the index has it: all that a cost may depend on. Nothing is decoded for it."""

    role: str
    duration_s: float
    num_frames: int  # of the unit set; 0 without units
    num_units: int  # after collapsing
    text: str
    spoken_text: str


def read_turns(corpus: Corpus, entry: ShardEntry) -> list[list[IndexedTurn]]:
    """The turns of each sample of a shard, in its order. Raises DamageError for a changed index."""
    file: FileEntry = {"name": f"index/{entry['index']}", "sha256": entry["index_sha256"]}
    names = [f"turns.list.element.{name}" for name in IndexedTurn._fields]
    data = pa.BufferReader(read_verified(corpus.store, file))
    samples: list[list[IndexedTurn]] = []
    for batch in pq.ParquetFile(data, pre_buffer=False).iter_batches(
        columns=names, use_threads=False
    ):
        turns = batch.column("turns")
        fields = [turns.flatten().field(name).to_pylist() for name in IndexedTurn._fields]
        rows = [IndexedTurn(*values) for values in zip(*fields, strict=True)]
        start = 0
        for count in pc.list_value_length(turns).to_pylist():
            samples.append(rows[start : start + count])
            start += count
    return samples
