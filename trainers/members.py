"""The files inside a sample's range of a shard."""

from collections.abc import Iterator, Mapping
from typing import Final

from schemas.errors import DamageError
from schemas.shard import BLOCK

NAME: Final = 100  # bytes of a name in a USTAR header
_SIZE: Final = slice(124, 135)  # where its octal digits stand


class Members(Mapping[str, bytes]):
    """The files of one sample by suffix, such as ``json`` or ``00.user.flac``, in their order.

    The range is checked already. Reading the headers that ``schemas.shard.ShardWriter`` writes
    takes a tenth of the time of ``tarfile``; the bytes of a file are copied when it is asked for.
    Raises DamageError for a range that is no sample.
    """

    __slots__ = ("_data", "_places")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._places: dict[str, tuple[int, int]] = {}
        offset, end = 0, len(data)
        try:
            skipped = data.index(b".", 0, NAME) + 1  # the key, the same in every name
            while offset < end:
                name_ends = data.index(b"\0", offset, offset + NAME + 1)
                suffix = data[offset + skipped : name_ends].decode()
                start = offset + BLOCK
                stop = start + int(data[offset + _SIZE.start : offset + _SIZE.stop], 8)
                self._places[suffix] = (start, stop)
                offset = stop + -stop % BLOCK
        except ValueError as error:
            raise DamageError(
                f"no header of a shard at byte {offset} of a sample ({error}); run `voxmill "
                "verify` on the corpus: its index and its shard do not fit together"
            ) from error

    def __getitem__(self, suffix: str) -> bytes:
        start, stop = self._places[suffix]
        return self._data[start:stop]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, suffix: object) -> bool:
        return suffix in self._places
