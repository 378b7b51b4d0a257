"""Opens the snapshot that a person names: a corpus, or one version of it as CORPUS@v000001."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jobs.storage import corpus_address
from schemas.errors import SettingsError
from schemas.snapshot import Manifest, chosen_snapshot
from schemas.store import Store, open_store

VERSION: Final = re.compile(r"(?P<uri>.+)@v?(?P<version>\d+)")


@dataclass(frozen=True)
class Opened:
    """A snapshot and its store. ``name`` is how the user called it, without the version."""

    name: str
    store: Store
    manifest: Manifest


def opened(uri: str, options: Sequence[str] = (), version: int | None = None) -> Opened:
    """Open ``uri``. Raises SettingsError, DamageError or StoreError with the cure.

    A folder whose own name ends like a version stands for itself.
    """
    match = VERSION.fullmatch(uri)
    if match and not Path(uri).exists():
        named = int(match["version"])
        if version not in (None, named):
            raise SettingsError(f"{uri} --version {version}: two versions; give one of them")
        uri, version = match["uri"], named
    store = open_store(corpus_address(uri, options))
    return Opened(uri.rstrip("/"), store, chosen_snapshot(store, version))
