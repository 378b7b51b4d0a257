"""The files of a model: which are there, their checksums, and what a fingerprint says of them."""

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Final, TypeAlias

from schemas.errors import BackendError
from transforms.environment import library_version

Files: TypeAlias = tuple[tuple[str, str], ...]  # (path below the model's folder, sha256), sorted
NOT_TOLD: Final = "(none named)"
PLACE_VARIABLE: Final = "VOXMILL_SPEECH_PATH_"  # + NAME: where a replay finds a model
_BLOCK: Final = 1 << 20


def place_variable(name: str) -> str:
    """The environment variable that tells a replay where the backend ``name`` is."""
    return PLACE_VARIABLE + re.sub(r"\W", "_", name).upper()


def digest_files(folder: Path, names: Iterable[str]) -> Files:
    """The checksum of each named file that is there."""
    return tuple(
        (name, file_sha256(folder / name))
        for name in sorted(set(names))
        if (folder / name).is_file()
    )


def check_unchanged(folder: str, files: Files, who: str) -> None:
    """Raise BackendError unless the files are those of which the fingerprint tells.

    A worker may be on another machine than the one that planned, with another release there.
    """
    for name, wanted in files:
        path = Path(folder) / name
        found = file_sha256(path) if path.is_file() else "(none)"
        if not found.startswith(wanted):
            raise BackendError(
                f"{who}: {path} has the sha256 {found[:16]}, wanted {wanted[:16]}; copy the model "
                "that the job was made with here, or start the build again for this one"
            )


def file_sha256(path: Path) -> str:
    """The checksum of a file; kept in this process as long as its size and time are the same."""
    stat = path.stat()
    return _sha256(str(path), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=4096)
def _sha256(path: str, size: int, mtime_ns: int) -> str:
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def files_identity(files: Files) -> dict[str, str]:
    """What a fingerprint says of a model's files. ``absent``: they are not on this machine yet.

    A build refuses to start without them, so no committed result has that identity; a plan may.
    """
    return dict(files) or {"model": "absent"}


def installed(*names: str) -> dict[str, str]:
    """Versions by name; "absent" for what is not installed, which only a plan may meet."""
    found = {}
    for name in names:
        try:
            found[f"version:{name}"] = library_version(name)
        except PackageNotFoundError:
            found[f"version:{name}"] = "absent"
    return found
