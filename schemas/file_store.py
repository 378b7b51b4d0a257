"""A folder as a store.

A put is a temporary file, fsync, then link or rename, then fsync of the folder, so that a reader
sees all of an object or nothing, also after a power cut.
"""

import errno
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from schemas.address import ObjectMeta, Unfinished
from schemas.errors import DamageError, StoreError

TEMPORARY = ".tmp-"
TRIES = 5  # to make a folder that others remove while it is empty


class FileStore:
    """A folder as a store."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = str(root)

    def get(self, path: str) -> bytes:
        with self._explained("read", path):
            return (self.root / path).read_bytes()

    def get_range(
        self, path: str, offset: int, length: int, *, if_match: str | None = None
    ) -> bytes:
        return self.get_ranges(path, [(offset, length)], if_match=if_match)[0]

    def get_ranges(
        self, path: str, ranges: Sequence[tuple[int, int]], *, if_match: str | None = None
    ) -> list[bytes]:
        found = []
        with self._explained("read", path), open(self.root / path, "rb") as file:
            if if_match is not None and _etag(os.fstat(file.fileno())) != if_match:
                raise DamageError(changed(self.uri, path))
            for offset, length in ranges:
                file.seek(offset)
                data = file.read(length)
                if len(data) != length:
                    raise StoreError(short_range(self.uri, path, offset, length, len(data)))
                found.append(data)
        return found

    def head(self, path: str) -> ObjectMeta | None:
        with self._explained("look at", path):
            try:
                state = (self.root / path).stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return ObjectMeta(path, state.st_size, _etag(state), state.st_mtime)

    def size(self, path: str) -> int | None:
        meta = self.head(path)
        return None if meta is None else meta.size

    def vouched_sha256(self, path: str) -> str | None:
        """None: a file system keeps no checksum, so files are read to be checked."""
        return None

    def put(self, path: str, data: bytes | memoryview, *, sha256: str | None = None) -> None:
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

    def put_file(self, path: str, local: Path, *, sha256: str | None = None) -> None:
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
            return sorted(self._name(entry) for entry in self._files(prefix))

    def scan(self, prefix: str) -> Iterator[ObjectMeta]:
        with self._explained("list", prefix):
            for entry in self._files(prefix):
                with suppress(FileNotFoundError):  # deleted since the folder was read
                    state = entry.stat()
                    name = self._name(entry)
                    yield ObjectMeta(name, state.st_size, _etag(state), state.st_mtime)

    def delete(self, path: str) -> None:
        with self._explained("delete", path):
            (self.root / path).unlink(missing_ok=True)

    def delete_many(self, paths: Iterable[str]) -> None:
        """Folders that are empty then go too."""
        for path in paths:
            self.delete(path)
            for folder in list((self.root / path).parents):
                if folder == self.root or self.root not in folder.parents:
                    break
                with suppress(OSError):  # not empty, or gone already
                    folder.rmdir()

    def unfinished(self) -> Iterator[Unfinished]:
        with self._explained("list", ""):
            for entry in _walk(self.root):
                if entry.name.startswith(TEMPORARY):
                    with suppress(FileNotFoundError):
                        yield Unfinished(self._name(entry), "", entry.stat().st_mtime)

    def discard(self, item: Unfinished) -> None:
        self.delete_many([item.path])

    def _files(self, prefix: str) -> Iterator["os.DirEntry[str]"]:
        for entry in _walk(self.root / prefix):
            if not entry.name.startswith(TEMPORARY):
                yield entry

    def _name(self, entry: "os.DirEntry[str]") -> str:
        return Path(entry.path).relative_to(self.root).as_posix()

    @contextmanager
    def _temporary(self, path: str) -> Iterator[tuple[Path, Path]]:
        final = self.root / path
        temporary = final.parent / f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(6)}"
        for attempt in range(TRIES):
            try:
                final.parent.mkdir(parents=True, exist_ok=True)
                temporary.touch(exist_ok=False)  # from now on nobody can take the folder away
                break
            except FileNotFoundError:  # somebody did, since it was empty
                if attempt == TRIES - 1:
                    raise
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


def explain_local(error: OSError) -> str:
    """An error of the local disk (TMPDIR, a job file) in words, with the cure."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk of the temporary folder {tempfile.gettempdir()} or of the output is full "
            f"({error}); free some space, or set TMPDIR to a folder with room"
        )
    return f"{error}; check the path and its permissions"


def changed(uri: str, path: str) -> str:
    """The message for an object that is not the one whose etag was taken."""
    return (
        f"{uri}/{path}: it has changed since it was first looked at; a published shard never does, "
        f"so run `voxmill verify {uri}` to see what is damaged"
    )


def short_range(uri: str, path: str, offset: int, wanted: int, got: int) -> str:
    """The message for a range that the object does not hold."""
    return (
        f"{uri}/{path}: wanted {wanted} bytes at {offset}, the object ended after {got}; run "
        f"`voxmill verify {uri}` to see what is damaged"
    )


def _walk(folder: Path | str) -> Iterator["os.DirEntry[str]"]:
    if not os.path.isdir(folder):
        return
    for entry in os.scandir(folder):
        if entry.is_dir():
            yield from _walk(entry.path)
        else:
            yield entry


def _etag(state: os.stat_result) -> str:
    """Renaming a new file into place changes the inode, writing into one its time or size."""
    return f"{state.st_ino:x}-{state.st_mtime_ns:x}-{state.st_size:x}"


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
    errno.EFBIG: "the file would be larger than the limit of this shell or file system; raise it "
    "(`ulimit -f`), or choose another --output",
    errno.ENAMETOOLONG: "the name is too long for the file system; choose a shorter --output",
    errno.ELOOP: "links there lead in a circle; remove them, or choose another --output",
    errno.ENOTDIR: "a file stands where a folder is wanted; choose another --output",
}


def _explain(error: OSError, verb: str, path: str) -> str:
    if error.errno == errno.ENOENT and verb == "write":
        return f"cannot write {path}: no folder can be made there; choose another --output"
    cure = _CURES.get(error.errno or 0, error.strerror or str(error))
    return f"cannot {verb} {path}: {cure}"
