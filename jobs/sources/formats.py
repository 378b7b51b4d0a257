"""The readers of the file formats: JSON, JSON Lines and Parquet, plain or compressed."""

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.sources.json_array import read_array
from jobs.sources.raw import BadRow, RawRow, parse_line, source_error
from jobs.sources.stored import StoredFile

_BUFFER_BYTES: Final = 1 << 18
_BATCH_ROWS: Final = 64  # rows may carry audio
_ARRAY_OF_OBJECTS: Final = re.compile(rb"(\xef\xbb\xbf)?\s*\[\s*\{")


def read_json(path: Path | StoredFile, name: str) -> Iterator[RawRow | BadRow]:
    """The elements of a top-level array. Raises SourceError as ``read_array`` does."""
    with _open(path, name) as stream:
        yield from read_array(stream, name)


def read_lines(path: Path | StoredFile, name: str) -> Iterator[RawRow | BadRow]:
    """One row per line; blank lines are no rows; a malformed line is a BadRow.

    Raises SourceError for an array of objects in the place of lines.
    """
    with _open(path, name) as stream:
        if _ARRAY_OF_OBJECTS.match(stream.peek(_BUFFER_BYTES)):
            raise source_error(
                name, "a JSON array of objects", "one JSON object per line", "name the file .json"
            )
        for number, line in enumerate(stream, start=1):
            raw = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if raw := raw.strip():
                yield parse_line(raw, f"{name}:{number}")


def read_parquet(path: Path | StoredFile, name: str) -> Iterator[RawRow | BadRow]:
    """The rows of a Parquet file as dicts, by record batches; a row of broken text is a BadRow."""
    # a buffered read of column chunks, since a row group may be gigabytes
    source = path if isinstance(path, Path) else pa.PythonFile(path.open(), mode="r")
    with _reading(name), pq.ParquetFile(source, buffer_size=_BUFFER_BYTES) as table:
        number = 0
        for batch in table.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
            for index in range(batch.num_rows):
                number += 1
                yield _parquet_row(batch.slice(index, 1), f"{name}:row {number}")


def _parquet_row(row: pa.RecordBatch, origin: str) -> RawRow | BadRow:
    try:
        return RawRow(row.to_pylist()[0], origin)
    except (UnicodeDecodeError, ValueError, OverflowError) as error:
        # Writers may store any bytes as text, and times that Python cannot hold.
        message = f"a value that cannot be read ({type(error).__name__}); wanted UTF-8 text"
        return BadRow(
            row.serialize().to_pybytes(), origin, message + "; write the row again, as UTF-8"
        )


@contextmanager
def _open(path: Path | StoredFile, name: str) -> Iterator[io.BufferedReader]:
    """The file's bytes, decompressed; what goes wrong while it is open becomes a SourceError."""
    with _reading(name):
        kind = Path(name).suffix.lower()
        stream: Any  # gzip's, pyarrow's and the plain file share no type
        if kind == ".gz":
            plain = path if isinstance(path, Path) else path.open()
            stream = gzip.open(plain, "rb")  # noqa: SIM115 - closed with the reader around it
        elif kind == ".zst":
            file = str(path) if isinstance(path, Path) else pa.PythonFile(path.open(), mode="r")
            stream = pa.input_stream(file, compression="zstd")
        else:
            stream = path.open("rb", buffering=0) if isinstance(path, Path) else path.open()
        with io.BufferedReader(stream, _BUFFER_BYTES) as reader:
            yield reader


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise source_error(
            name, "the file cannot be read (no permission)", "a readable file", "grant permission"
        ) from error
    except FileNotFoundError as error:
        raise source_error(
            name, "a link to nothing, or a file removed meanwhile", "a file", "put it back"
        ) from error
    except (EOFError, zlib.error, OSError, pa.ArrowException) as error:
        what = " ".join(str(error).split())[:160]
        raise source_error(
            name,
            f"the file is damaged, cut, or not of the kind that its name says ({what})",
            _kind(name),
            "fetch or write the file again",
        ) from error


def _kind(name: str) -> str:
    endings = {".gz": "whole gzip data", ".zst": "whole Zstandard data", ".parquet": "Parquet"}
    return endings.get(Path(name).suffix.lower(), "a readable file")
