"""Any address that fsspec knows (https://, hf://, hdfs://, sftp://, ...) as a store to read from.

Sources may lie there; a corpus may not: fsspec's writers commit a truncated file when a program
fails inside of them, and have no conditional put. Lengths are checked, since some servers ignore
the range that they are asked for.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from schemas.address import ObjectMeta, Unfinished
from schemas.errors import DamageError, SettingsError, StoreError
from schemas.file_store import changed, short_range
from schemas.redaction import redacted


class FsspecStore:
    """What lies below an address, to be read. ``uri`` is shown: without a user and a query."""

    def __init__(self, uri: str) -> None:
        self.uri = redacted(uri.rstrip("/"))
        try:
            import fsspec
        except ImportError as error:
            raise SettingsError(
                f"source '{self.uri}': read by fsspec, which is not installed; "
                "pip install 'voxmill[s3]'"
            ) from error
        try:
            self._files, self._root = fsspec.core.url_to_fs(uri.rstrip("/"))
        except (ImportError, ValueError, OSError) as error:
            raise SettingsError(
                f"source '{self.uri}': fsspec cannot read it: {redacted(str(error))}; give a path, "
                "an address of a bucket, or install what fsspec wants for this one"
            ) from error

    def get(self, path: str) -> bytes:
        data: bytes = self._asked("read", path, lambda: self._files.cat_file(self._place(path)))
        return data

    def get_range(
        self, path: str, offset: int, length: int, *, if_match: str | None = None
    ) -> bytes:
        return self.get_ranges(path, [(offset, length)], if_match=if_match)[0]

    def get_ranges(
        self, path: str, ranges: Sequence[tuple[int, int]], *, if_match: str | None = None
    ) -> list[bytes]:
        if if_match is not None:
            meta = self.head(path)
            if meta is None or meta.etag != if_match:
                raise DamageError(changed(self.uri, path))
        return [self._range(path, offset, length) for offset, length in ranges]

    def head(self, path: str) -> ObjectMeta | None:
        try:
            info = self._files.info(self._place(path))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._explained("look at", path, error) from error
        return None if info.get("type") == "directory" else self._meta(info)

    def size(self, path: str) -> int | None:
        meta = self.head(path)
        return None if meta is None else meta.size

    def vouched_sha256(self, path: str) -> str | None:
        """None: nothing is known of what lies there."""
        return None

    def list(self, prefix: str) -> list[str]:
        return sorted(meta.path for meta in self.scan(prefix))

    def scan(self, prefix: str) -> Iterator[ObjectMeta]:
        place = self._place(prefix)
        found = self._asked("list", prefix, lambda: self._files.find(place, detail=True))
        yield from (self._meta(info) for info in found.values())

    def put(self, path: str, data: bytes | memoryview, *, sha256: str | None = None) -> NoReturn:
        raise SettingsError(
            f"output '{self.uri}': can be read and not written; give a path, or an address that "
            "begins with s3://, gs:// or az://"
        )

    def put_new(self, path: str, data: bytes) -> bool:
        self.put(path, data)

    def put_file(self, path: str, local: Path, *, sha256: str | None = None) -> None:
        self.put(path, b"")

    def delete(self, path: str) -> None:
        self.put(path, b"")

    def delete_many(self, paths: Iterable[str]) -> None:
        self.put("", b"")

    def unfinished(self) -> Iterator[Unfinished]:
        return iter(())

    def discard(self, item: Unfinished) -> None:
        """Nothing is ever found."""

    def _range(self, path: str, offset: int, length: int) -> bytes:
        if length == 0:
            return b""
        place = self._place(path)
        data: bytes = self._asked(
            "read", path, lambda: self._files.cat_file(place, start=offset, end=offset + length)
        )
        if len(data) != length:
            raise StoreError(short_range(self.uri, path, offset, length, len(data)))
        return data

    def _asked(self, verb: str, path: str, ask: Any) -> Any:  # noqa: ANN401 - fsspec has no types
        try:
            return ask()
        except Exception as error:
            raise self._explained(verb, path, error) from error

    def _explained(self, verb: str, path: str, error: Exception) -> StoreError:
        words = redacted(f"{type(error).__name__}: {error}")[:200]
        return StoreError(f"cannot {verb} {self._shown(path)}: {words}; check the address")

    def _place(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}" if path else self._root

    def _shown(self, path: str) -> str:
        return f"{self.uri}/{path}" if path else self.uri

    def _meta(self, info: dict[str, Any]) -> ObjectMeta:
        path = str(info["name"]).removeprefix(self._root.rstrip("/")).lstrip("/")
        return ObjectMeta(path, int(info.get("size") or 0), str(info.get("ETag") or ""), 0.0)
