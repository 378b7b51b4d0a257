"""Writes files for people into a folder, and never outside it."""

import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from schemas.errors import DamageError, SettingsError

NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}")


def save_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write each file by its name, all names checked before the first is written.

    A link that stands under a name is replaced and not followed. Raises DamageError for a name
    that is no plain file name, SettingsError where the folder cannot be written.
    """
    strange = [name for name in files if not NAME.fullmatch(name)]
    if strange:
        raise DamageError(
            f"{strange[0]!r:.200} is no plain file name, so nothing is saved; the corpus was "
            "changed by somebody: run `voxmill verify` on it"
        )
    saved = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            temporary = folder / f".tmp-{secrets.token_hex(8)}"
            try:
                temporary.write_bytes(data)
                temporary.replace(folder / name)
            finally:
                temporary.unlink(missing_ok=True)
            saved.append(folder / name)
    except OSError as error:
        raise SettingsError(f"cannot save to {folder}: {error.strerror}; give another") from error
    return saved
