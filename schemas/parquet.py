"""Reading Parquet from memory without background threads.

A reader that leaves a thread of Arrow's pool behind can abort the process at its end ("terminate
called without an active exception", seen with pyarrow 25), so nothing is read ahead here.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import DamageError


def read_table(data: bytes, schema: pa.Schema, name: str) -> pa.Table:
    """A whole table. Raises DamageError if its columns are not the schema's."""
    file = _open(data, schema, name)
    return file.read(use_threads=False)


def iterate(data: bytes, schema: pa.Schema, name: str, rows: int) -> Iterator[dict[str, Any]]:
    """The rows, ``rows`` of them in memory at once. Raises DamageError for another schema."""
    for batch in _open(data, schema, name).iter_batches(batch_size=rows, use_threads=False):
        yield from batch.to_pylist()


def _open(data: bytes, schema: pa.Schema, name: str) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(pa.BufferReader(data), pre_buffer=False)
    except pa.ArrowInvalid as error:
        raise DamageError(f"{name}: not a Parquet file: {error}") from error
    found = file.schema_arrow
    if found.names != schema.names or found.types != schema.types:
        raise DamageError(
            f"{name}: its columns are {found.names}; wanted {schema.names}, with "
            "the types of this version"
        )
    return file
