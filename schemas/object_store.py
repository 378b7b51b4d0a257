"""A place in a bucket as a store: S3 and what speaks like it, Google Cloud Storage, Azure, memory.

Reads are checked for their exact length, a conditional put whose answer is lost or doubtful is read
back, and whatever can pass is tried again with growing, jittered pauses for a bounded time.
"""

import hashlib
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from schemas.address import ObjectMeta, StoreAddress, Unfinished, object_place
from schemas.errors import DamageError, StoreError
from schemas.file_store import changed, short_range
from schemas.object_client import client_for
from schemas.object_errors import explained, is_final
from schemas.object_uploads import abort_upload, open_uploads

T = TypeVar("T")
ATTEMPTS: Final = 4  # of a whole operation; each request in it is tried again by the client too
PAUSE_S: Final = 0.2
PART_BYTES: Final = 8 << 20
MAX_PARTS: Final = 9_000  # S3 takes 10,000
SINGLE_PUT_BYTES: Final = 32 << 20
GAP_BYTES: Final = 256 << 10  # ranges nearer than that are read in one request
SHA256, ETAG = "voxmill-sha256", "voxmill-etag"  # of what was sent, kept as the object's metadata
_DELETED_AT_ONCE: Final = 1_000
_BEYOND: Final = ("416 Range Not Satisfiable", "Wanted range starting at")


class _Missing(Exception):
    """There is no such object."""


class ObjectStore:
    """The objects whose keys begin with ``prefix`` in one bucket."""

    def __init__(self, address: StoreAddress) -> None:
        scheme, bucket, prefix = object_place(address.uri)
        self._scheme, self._bucket, self._prefix = scheme, bucket, prefix
        self._options = address.options
        self._client = client_for(scheme, bucket, address.options)
        self.uri = f"{scheme}://{bucket}" + (f"/{prefix}" if prefix else "")

    def get(self, path: str) -> bytes:
        def whole() -> bytes:
            answer = obstore.get(self._client, self._key(path))
            data = answer.bytes().to_bytes()
            if len(data) != answer.meta["size"]:
                raise ConnectionError(f"got {len(data)} of {answer.meta['size']} bytes")
            return data

        return self._found("read", path, whole)

    def get_range(
        self, path: str, offset: int, length: int, *, if_match: str | None = None
    ) -> bytes:
        if length == 0:
            return b""
        wanted: dict[str, Any] = {"range": (offset, offset + length)}
        if if_match is not None:
            wanted["if_match"] = if_match

        def part() -> bytes:
            answer = obstore.get(self._client, self._key(path), options=wanted)  # type: ignore[arg-type]
            if answer.range[0] != offset:
                raise ConnectionError(f"got bytes from {answer.range[0]}, asked from {offset}")
            return answer.bytes().to_bytes()

        try:
            data = self._found("read", path, part)
        except PreconditionError as error:
            raise DamageError(changed(self.uri, path)) from error
        except _BeyondTheEnd as error:
            raise StoreError(short_range(self.uri, path, offset, length, 0)) from error
        if len(data) != length:
            raise StoreError(short_range(self.uri, path, offset, length, len(data)))
        return data

    def get_ranges(
        self, path: str, ranges: Sequence[tuple[int, int]], *, if_match: str | None = None
    ) -> list[bytes]:
        found: dict[int, bytes] = {}
        order = sorted(range(len(ranges)), key=lambda number: ranges[number])
        for group in _near(order, ranges):
            start = ranges[group[0]][0]
            end = max(sum(ranges[number]) for number in group)
            data = self.get_range(path, start, end - start, if_match=if_match)
            for number in group:
                offset, length = ranges[number]
                found[number] = data[offset - start : offset - start + length]
        return [found[number] for number in range(len(ranges))]

    def head(self, path: str) -> ObjectMeta | None:
        try:
            meta = self._tried("look at", path, lambda: obstore.head(self._client, self._key(path)))
        except _Missing:
            return None
        return self._meta(meta)

    def size(self, path: str) -> int | None:
        meta = self.head(path)
        return None if meta is None else meta.size

    def vouched_sha256(self, path: str) -> str | None:
        """What was noted when it was put, if the store's etag is still the MD5 noted with it."""

        def look() -> tuple[dict[str, Any], str]:
            answer = obstore.get(self._client, self._key(path), options={"head": True})
            return dict(answer.attributes), _bare(answer.meta["e_tag"])

        try:
            noted, etag = self._tried("look at", path, look)
        except _Missing:
            return None
        return noted.get(SHA256) if etag and noted.get(ETAG) == etag else None

    def put(self, path: str, data: bytes | memoryview, *, sha256: str | None = None) -> None:
        notes = {} if sha256 is None else _notes(sha256, _etag_of(data))
        self._tried("write", path, lambda: self._put(path, data, len(data), notes=notes))

    def put_new(self, path: str, data: bytes) -> bool:
        """One winner: a doubtful answer (409, 412, a timeout, a reset) is settled by reading."""
        until = time.monotonic() + self._options.retry_s
        attempt = 0
        while True:
            try:
                obstore.put(self._client, self._key(path), data, mode="create")
                return True
            except AlreadyExistsError as error:
                doubt: Exception = error
            except (BaseError, OSError) as error:
                if is_final(error):
                    raise explained(error, "write", self._place(path)) from error
                doubt = error
            try:
                return self._tried("read", path, self._getter(path)) == data
            except _Missing:
                attempt += 1
                if time.monotonic() > until:
                    raise explained(doubt, "write", self._place(path)) from doubt
                _pause(attempt)

    def put_file(self, path: str, local: Path, *, sha256: str | None = None) -> None:
        size = local.stat().st_size
        part = max(PART_BYTES, -(-size // MAX_PARTS))
        notes = {} if sha256 is None else _notes(sha256, expected_etag(local, size, part))
        self._tried("write", path, lambda: self._put(path, local, size, part, notes))

    def list(self, prefix: str) -> list[str]:
        return sorted(meta.path for meta in self.scan(prefix))

    def scan(self, prefix: str) -> Iterator[ObjectMeta]:
        key = self._key(prefix) if prefix else self._prefix

        def pages() -> list[ObjectMeta]:
            found = obstore.list(self._client, prefix=key or None)
            return [self._meta(item) for page in found for item in page]

        yield from self._tried("list", prefix, pages)

    def delete(self, path: str) -> None:
        self.delete_many([path])

    def delete_many(self, paths: Iterable[str]) -> None:
        names = [self._key(path) for path in paths]
        for start in range(0, len(names), _DELETED_AT_ONCE):
            group = names[start : start + _DELETED_AT_ONCE]
            with suppress(_Missing):  # some stores say so
                path = group[0].removeprefix(f"{self._prefix}/")
                self._tried("delete", path, partial(self._delete, group))

    def unfinished(self) -> Iterator[Unfinished]:
        """Multipart uploads that nobody completed. StoreError where they cannot be listed."""
        if self._scheme != "memory":
            yield from open_uploads(
                self.uri, self._scheme, self._bucket, self._prefix, self._options
            )

    def discard(self, item: Unfinished) -> None:
        abort_upload(self.uri, self._bucket, self._key(item.path), item.token, self._options)

    def _delete(self, keys: Sequence[str]) -> None:
        if self._scheme == "memory":
            there = {item["path"] for page in obstore.list(self._client) for item in page}
            keys = [key for key in keys if key in there]
        if keys:
            obstore.delete(self._client, keys)

    def _getter(self, path: str) -> Callable[[], bytes]:
        return lambda: obstore.get(self._client, self._key(path)).bytes().to_bytes()

    def _put(
        self,
        path: str,
        what: Path | bytes | memoryview,
        size: int,
        part: int = PART_BYTES,
        notes: dict[str, str] | None = None,
    ) -> None:
        obstore.put(
            self._client,
            self._key(path),
            what,
            attributes=notes or None,
            use_multipart=size > (part if isinstance(what, Path) else SINGLE_PUT_BYTES),
            chunk_size=part,
            max_concurrency=4,
        )

    def _found(self, verb: str, path: str, operation: Callable[[], T]) -> T:
        try:
            return self._tried(verb, path, operation)
        except _Missing as error:
            raise StoreError(
                f"cannot {verb} {self._place(path)}: it is not there; check the path, or build the "
                "corpus again to recompute it"
            ) from error

    def _tried(self, verb: str, path: str, operation: Callable[[], T]) -> T:
        """The operation, again where that can help. Raises _Missing, or a StoreError."""
        until = time.monotonic() + self._options.retry_s
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return operation()
            except FileNotFoundError as error:
                if is_final(error) or verb == "write":  # not the object: its bucket
                    raise explained(error, verb, self._place(path)) from error
                raise _Missing from error
            except PreconditionError:
                raise
            except (BaseError, OSError) as error:
                if any(words in str(error) for words in _BEYOND):
                    raise _BeyondTheEnd from error
                told = self._told(error, path)
                if is_final(told) or attempt == ATTEMPTS or time.monotonic() > until:
                    raise explained(told, verb, self._place(path)) from error
                _pause(attempt)
        raise AssertionError("the last attempt returns or raises")

    def _told(self, error: Exception, path: str) -> Exception:
        """The error; for an answer to HEAD, which has no words, what a GET is told instead."""
        if "performing HEAD" in str(error):
            try:
                obstore.get(self._client, self._key(path), options={"range": (0, 1)})
            except (BaseError, OSError) as worded:
                return worded
        return error

    def _key(self, path: str) -> str:
        return f"{self._prefix}/{path}" if self._prefix else path

    def _place(self, path: str) -> str:
        return f"{self.uri}/{path}" if path else self.uri

    def _meta(self, item: Any) -> ObjectMeta:  # noqa: ANN401 - obstore's own typed dictionary
        path = item["path"].removeprefix(f"{self._prefix}/" if self._prefix else "")
        return ObjectMeta(
            path, item["size"], item["e_tag"] or "", item["last_modified"].timestamp()
        )


class _BeyondTheEnd(Exception):
    """A range that begins after the object's last byte."""


def open_object_store(address: StoreAddress) -> ObjectStore:
    """The store of an address. Raises SettingsError for one that cannot be meant."""
    return ObjectStore(address)


def expected_etag(local: Path, size: int, part: int) -> str:
    """The etag that S3 gives a file: its MD5, or that of its parts' MD5s and their number.

    Amazon S3 User Guide, "Checking object integrity". With KMS keys it is something else, and then
    ``vouched_sha256`` says nothing.
    """
    with open(local, "rb") as file:
        return _etag(iter(lambda: file.read(part), b""), parted=size > part)


def _etag_of(data: bytes | memoryview) -> str:
    """The same of what ``put`` sends: one request up to SINGLE_PUT_BYTES, parts above."""
    if len(data) <= SINGLE_PUT_BYTES:
        return _etag([data], parted=False)
    starts = range(0, len(data), PART_BYTES)
    return _etag((data[start : start + PART_BYTES] for start in starts), parted=True)


def _etag(parts: Iterable[bytes | memoryview], *, parted: bool) -> str:
    digests = [hashlib.md5(data, usedforsecurity=False) for data in parts]
    if not parted:
        return digests[0].hexdigest() if digests else hashlib.md5(usedforsecurity=False).hexdigest()
    together = b"".join(item.digest() for item in digests)
    return f"{hashlib.md5(together, usedforsecurity=False).hexdigest()}-{len(digests)}"


def _notes(sha256: str, etag: str) -> dict[str, str]:
    return {SHA256: sha256, ETAG: etag}


def _bare(etag: str | None) -> str:
    return (etag or "").removeprefix("W/").strip('"')


def _near(order: list[int], ranges: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Groups of ranges, in order, in which each begins near where those before it end."""
    group: list[int] = []
    end = 0
    for number in order:
        offset, length = ranges[number]
        if group and offset > end + GAP_BYTES:
            yield group
            group = []
        end = offset + length if not group else max(end, offset + length)
        group.append(number)
    if group:
        yield group


def _pause(attempt: int) -> None:
    time.sleep(PAUSE_S * 2 ** min(attempt, 5) * random.uniform(0.5, 1.0))
