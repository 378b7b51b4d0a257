"""Shards: what a sample's members are called, and USTAR tars whose bytes follow from their content.

A sample's members are contiguous: KEY.json, then per turn KEY.00.user.flac and, where it has
units, KEY.01.assistant.UNITSET.npy (codes [nq, T]) and ...UNITSET.durations.npy ([T], frames).
"""

import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import google_crc32c
import numpy as np
import numpy.typing as npt

from schemas.errors import DamageError

BLOCK = 512
FORMAT = 1  # of KEY.json


@dataclass(frozen=True)
class Member:
    """One file of a sample: the name after the key's dot, and its bytes."""

    suffix: str
    data: bytes


@dataclass(frozen=True)
class Placed:
    """Where a sample stands in its tar, in bytes. ``crc32c`` is of the whole range."""

    key: str
    offset: int
    length: int
    crc32c: int
    members: tuple[tuple[str, int, int], ...]  # suffix, offset of the data, size


def flac_suffix(turn: int, role: str) -> str:
    """The member that holds a turn's audio."""
    return f"{turn:02d}.{role}.flac"


def units_suffix(turn: int, role: str, unit_set: str) -> str:
    """The member that holds a turn's codes."""
    return f"{turn:02d}.{role}.{unit_set}.npy"


def durations_suffix(turn: int, role: str, unit_set: str) -> str:
    """The member that holds a turn's run lengths."""
    return f"{turn:02d}.{role}.{unit_set}.durations.npy"


def npy(values: npt.NDArray[np.generic]) -> bytes:
    """An array as the bytes of a .npy file of version 1.0."""
    sink = io.BytesIO()
    np.lib.format.write_array(sink, values, version=(1, 0), allow_pickle=False)
    return sink.getvalue()


def read_npy(data: bytes) -> npt.NDArray[np.generic]:
    """The array of a .npy file; object arrays are refused (they would be pickles)."""
    array: npt.NDArray[np.generic] = np.load(io.BytesIO(data), allow_pickle=False)
    return array


class ShardWriter:
    """Writes one uncompressed USTAR file: mtime 0, fixed owner and mode, no host in it."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "wb")  # noqa: SIM115 - closed by __exit__
        self._sha256 = hashlib.sha256()
        self.bytes = 0

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, key: str, members: Iterable[Member]) -> Placed:
        """Append one sample; its place is what the index holds."""
        start = self.bytes
        checksum = google_crc32c.Checksum()
        places = []
        for member in members:
            header = _header(f"{key}.{member.suffix}", len(member.data))
            padding = b"\0" * (-len(member.data) % BLOCK)
            places.append((member.suffix, self.bytes + len(header), len(member.data)))
            for piece in (header, member.data, padding):
                checksum.update(piece)
                self._write(piece)
        crc = int.from_bytes(checksum.digest(), "big")
        return Placed(key, start, self.bytes - start, crc, tuple(places))

    def finish(self) -> str:
        """Write the two empty blocks that end a tar; the sha256 of the file, in hex."""
        self._write(b"\0" * (2 * BLOCK))
        self._file.flush()
        return self._sha256.hexdigest()

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._sha256.update(data)
        self.bytes += len(data)


def split_sample(data: bytes, name: str) -> dict[str, bytes]:
    """The members of one sample's byte range, by suffix. Raises DamageError if it is no tar."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data + b"\0" * (2 * BLOCK)), mode="r:") as tar:
            return dict(_members(tar))
    except tarfile.TarError as error:
        raise DamageError(f"{name}: not a tar member: {error}") from error


def crc32c(data: bytes) -> int:
    """The CRC-32C (Castagnoli) of some bytes."""
    return int(google_crc32c.value(data))


def _members(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for info in tar:
        file = tar.extractfile(info)
        if file is None:
            raise DamageError(f"{info.name}: wanted a plain file in a shard")
        yield info.name.split(".", 1)[1], file.read()


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii")
