"""The store behind every path: whole objects, conditional creation, ranged reads.

Today's store is a folder. A put is a temporary file, fsync, then link or rename, then fsync of the
folder, so that a reader sees all of an object or nothing, also after a power cut.
"""

import errno
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlparse

from schemas.errors import SettingsError, StoreError


class Store(Protocol):
    """Named immutable objects. Paths are relative, with '/'. A missing object is a StoreError."""

    uri: str

    def get(self, path: str) -> bytes:
        """The whole object."""

    def get_range(self, path: str, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``; fewer is a StoreError."""

    def size(self, path: str) -> int | None:
        """The object's size in bytes, or None if there is none."""

    def put(self, path: str, data: bytes | memoryview) -> None:
        """Write or replace the object, as a whole."""

    def put_new(self, path: str, data: bytes) -> bool:
        """Write the object if there is none. False, and nothing written, if there is one."""

    def put_file(self, path: str, local: Path) -> None:
        """Write or replace the object with a local file's bytes, as a whole."""

    def list(self, prefix: str) -> list[str]:
        """The paths of the objects below the folder ``prefix``, sorted."""

    def delete(self, path: str) -> None:
        """Remove the object if it is there."""


class FileStore:
    """A folder as a store."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = str(root)

    def get(self, path: str) -> bytes:
        with self._explained("read", path):
            return (self.root / path).read_bytes()

    def get_range(self, path: str, offset: int, length: int) -> bytes:
        with self._explained("read", path), open(self.root / path, "rb") as file:
            file.seek(offset)
            data = file.read(length)
        if len(data) != length:
            raise StoreError(
                f"{self.uri}/{path}: wanted {length} bytes at {offset}, the object ended after "
                f"{len(data)}; run `voxmill verify {self.uri}` to see what is damaged"
            )
        return data

    def size(self, path: str) -> int | None:
        with self._explained("look at", path):
            try:
                return (self.root / path).stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None

    def put(self, path: str, data: bytes | memoryview) -> None:
        with self._explained("write", path), self._temporary(path) as (temporary, final):
            _write(temporary, data)
            os.replace(temporary, final)
            _sync_folder(final.parent)

    def put_new(self, path: str, data: bytes) -> bool:
        with self._explained("write", path), self._temporary(path) as (temporary, final):
            _write(temporary, data)
            try:
                os.link(temporary, final)
            except FileExistsError:
                return False
            _sync_folder(final.parent)
            return True

    def put_file(self, path: str, local: Path) -> None:
        with self._explained("write", path), self._temporary(path) as (temporary, final):
            with open(local, "rb") as source, open(temporary, "wb") as target:
                while chunk := source.read(1 << 20):
                    target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
            os.replace(temporary, final)
            _sync_folder(final.parent)

    def list(self, prefix: str) -> list[str]:
        with self._explained("list", prefix):
            return sorted(self._walk(self.root / prefix))

    def delete(self, path: str) -> None:
        with self._explained("delete", path):
            (self.root / path).unlink(missing_ok=True)

    def _walk(self, folder: Path) -> Iterator[str]:
        if not folder.is_dir():
            return
        for entry in os.scandir(folder):
            if entry.is_dir():
                yield from self._walk(Path(entry.path))
            elif not entry.name.startswith(".tmp-"):
                yield Path(entry.path).relative_to(self.root).as_posix()

    @contextmanager
    def _temporary(self, path: str) -> Iterator[tuple[Path, Path]]:
        final = self.root / path
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.parent / f".tmp-{os.getpid()}-{secrets.token_hex(6)}"
        try:
            yield temporary, final
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def _explained(self, verb: str, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(_explain(error, verb, f"{self.uri}/{path}")) from error


def open_store(uri: str) -> Store:
    """The store at ``uri``: a path or a file:// address. Nothing is created yet."""
    parsed = urlparse(uri)
    if parsed.scheme in ("", "file"):
        if parsed.scheme == "file" and parsed.netloc not in ("", "localhost"):
            raise SettingsError(
                f"output '{uri}': a file address names no host; write file:///{parsed.netloc}/..."
            )
        path = unquote(parsed.path) if parsed.scheme else uri
        if not path:
            raise SettingsError("output: an empty path; give a folder, such as --output corpus")
        return FileStore(Path(path).expanduser().absolute())
    raise SettingsError(
        f"output '{uri}': this version writes to folders only; give a path or a file:// address"
    )


def explain_local(error: OSError) -> str:
    """An error of the local disk (TMPDIR, a job file) in words, with the cure."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk of the temporary folder {tempfile.gettempdir()} or of the output is full "
            f"({error}); free some space, or set TMPDIR to a folder with room"
        )
    return f"{error}; check the path and its permissions"


def _write(path: Path, data: bytes | memoryview) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_CURES = {
    errno.ENOSPC: "the disk is full; free some space, or move the output with --output",
    errno.EDQUOT: "the disk quota is used up; free some space, or move the output with --output",
    errno.EROFS: "the file system is read-only; choose another --output",
    errno.EACCES: "permission denied; choose another --output or change the folder's permissions",
    errno.EPERM: "not permitted; choose another --output or change the folder's permissions",
    errno.ENOENT: "it is not there; check the path, or build the corpus again to recompute it",
    errno.EEXIST: "a file stands where a folder is wanted; choose another --output",
    errno.ENOTDIR: "a file stands where a folder is wanted; choose another --output",
}


def _explain(error: OSError, verb: str, path: str) -> str:
    if error.errno == errno.ENOENT and verb == "write":
        return f"cannot write {path}: no folder can be made there; choose another --output"
    cure = _CURES.get(error.errno or 0, error.strerror or str(error))
    return f"cannot {verb} {path}: {cure}"
