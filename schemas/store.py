"""The store behind every path: whole objects, conditional creation, ranged reads.

A store is a folder (schemas/file_store.py) or a place in a bucket (schemas/object_store.py).
Sources may also be read by fsspec (schemas/fsspec_store.py).
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlparse

from schemas.address import (
    OBJECT_SCHEMES,
    ObjectMeta,
    StoreAddress,
    StoreOptions,
    Unfinished,
    check_no_secret,
    scheme_of,
)
from schemas.errors import SettingsError
from schemas.file_store import FileStore, explain_local
from schemas.redaction import redacted

__all__ = [
    "FileStore",
    "ObjectMeta",
    "Store",
    "StoreAddress",
    "StoreOptions",
    "Unfinished",
    "explain_local",
    "open_store",
]


class Store(Protocol):
    """Named immutable objects. Paths are relative, with '/'. A missing object is a StoreError."""

    uri: str

    def get(self, path: str) -> bytes:
        """The whole object."""

    def get_range(
        self, path: str, offset: int, length: int, *, if_match: str | None = None
    ) -> bytes:
        """Exactly ``length`` bytes from ``offset``; fewer is a StoreError.

        With ``if_match``, an etag that ``head`` gave, an object that has changed since is a
        DamageError: its bytes are not those that were promised.
        """

    def get_ranges(
        self, path: str, ranges: Sequence[tuple[int, int]], *, if_match: str | None = None
    ) -> list[bytes]:
        """Several (offset, length) of one object, in order; near ones may share a request."""

    def head(self, path: str) -> ObjectMeta | None:
        """Size, etag and time of the object, or None if there is none."""

    def size(self, path: str) -> int | None:
        """The object's size in bytes, or None if there is none."""

    def vouched_sha256(self, path: str) -> str | None:
        """The sha256 that the store's own checksum proves without a download, or None."""

    def put(self, path: str, data: bytes | memoryview, *, sha256: str | None = None) -> None:
        """Write or replace the object, as a whole.

        ``sha256`` of the data, where it is known, lets ``vouched_sha256`` answer for it later.
        """

    def put_new(self, path: str, data: bytes) -> bool:
        """Write the object if there is none. False, and nothing written, if there is another.

        Where an answer was lost and the object holds these very bytes, it counts as written.
        """

    def put_file(self, path: str, local: Path, *, sha256: str | None = None) -> None:
        """Write or replace the object with a local file's bytes; ``sha256`` is theirs."""

    def list(self, prefix: str) -> list[str]:
        """The paths of the objects below the folder ``prefix``, sorted."""

    def scan(self, prefix: str) -> Iterator[ObjectMeta]:
        """The objects below the folder ``prefix`` with size and time, in any order."""

    def delete(self, path: str) -> None:
        """Remove the object if it is there."""

    def delete_many(self, paths: Iterable[str]) -> None:
        """Remove several objects, whether they are there or not."""

    def unfinished(self) -> Iterator[Unfinished]:
        """What writers that died have left half written. StoreError where it cannot be listed."""

    def discard(self, item: Unfinished) -> None:
        """Remove what ``unfinished`` found."""


def open_store(place: str | StoreAddress, *, to_read: bool = False) -> Store:
    """The store at a path, a file:// address or an s3://, gs://, az://, memory:// address.

    ``to_read`` lets fsspec open what else there is, such as https:// and hf://, for reading alone.
    Nothing is created and nothing is asked of a server yet. Open it in the process that uses it:
    connections do not survive a fork.
    """
    address = place if isinstance(place, StoreAddress) else StoreAddress(place)
    uri, scheme = address.uri, scheme_of(address.uri)
    if scheme in OBJECT_SCHEMES:
        from schemas.object_store import open_object_store

        return open_object_store(address)
    if scheme not in ("", "file"):
        check_no_secret("source" if to_read else "output", uri)
    if scheme not in ("", "file") and to_read:
        from schemas.fsspec_store import FsspecStore

        return FsspecStore(uri)
    if scheme not in ("", "file"):
        known = ", ".join(f"{name}://" for name in ("file", *OBJECT_SCHEMES))
        raise SettingsError(
            f"output '{redacted(uri)}': there is no store for {scheme}://; give a path, or an "
            f"address that begins with {known}"
        )
    parsed = urlparse(uri)
    if scheme == "file" and parsed.netloc not in ("", "localhost"):
        raise SettingsError(
            f"output '{uri}': a file address names no host; write file:///{parsed.netloc}/..."
        )
    path = unquote(parsed.path) if scheme else uri
    if not path:
        raise SettingsError("output: an empty path; give a folder, such as --output corpus")
    return FileStore(Path(path).expanduser().absolute())
