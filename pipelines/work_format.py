"""What a work store says of itself: in which format its memo, replies and scratch are written."""

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from schemas.canonical import pretty_json
from schemas.errors import ConflictError, DamageError
from schemas.store import Store

MARKER: Final = "voxmill-work.json"
FORMAT: Final = "voxmill-work"
SCHEMA: Final = 1  # raised when packs or replies of before can no longer be read


def software_version() -> str:
    """The release of Voxmill that runs here."""
    try:
        return version("voxmill")
    except PackageNotFoundError:  # run from a folder and not installed
        return "unknown"


def check_work(store: Store) -> bool:
    """Whether the store has its marker. Nothing is written.

    Raises ConflictError for a store of another schema, DamageError for a marker that is none. A
    store without one is new, or from before there were markers, when the schema was the first.
    """
    if store.size(MARKER) is None:
        return False
    name = f"{store.uri}/{MARKER}"
    try:
        told = json.loads(store.get(MARKER))
        schema, writer = told["schema"], told["written_by"]
        named = told["format"] == FORMAT
    except (ValueError, KeyError, TypeError) as error:
        raise DamageError(
            f"{name}: not the marker of a work store ({error!r}); if this is one, delete the file "
            "and run again; if not, give another output.work"
        ) from error
    if not named or schema != SCHEMA:
        raise ConflictError(
            f"{name}: a work store of format {told['format']!r}, schema {schema!r}, written by "
            f"Voxmill {writer}; this is Voxmill {software_version()}, which reads and writes "
            f"schema {SCHEMA}. Go on with the release that wrote it, or begin a new work store "
            "with --set output.work=URI: finished work is then done once more, and the corpus stays"
        )
    return True


def claim_work(store: Store) -> None:
    """Check the store, and mark a new one. Raises as check_work does."""
    if not check_work(store):
        marker = {"format": FORMAT, "schema": SCHEMA, "written_by": software_version()}
        if not store.put_new(MARKER, pretty_json(marker)):
            check_work(store)  # another build was first
