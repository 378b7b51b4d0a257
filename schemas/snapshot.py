"""The snapshot: the immutable manifest of a corpus version, and its identity."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Final, NotRequired, TypedDict

from schemas.canonical import canonical_json, digest, sha256_hex
from schemas.errors import DamageError
from schemas.store import Store

FORMAT: Final = "voxmill-snapshot"
SCHEMA: Final = 1
FOLDER: Final = "snapshots"
LATEST: Final = "latest.json"


class ShardEntry(TypedDict):
    """One whole, verified shard and its index."""

    name: str
    split: str
    bytes: int
    sha256: str
    samples: int
    seconds: float
    index: str
    index_sha256: str


class FileEntry(TypedDict):
    """A file of the corpus that is not a shard."""

    name: str
    sha256: str


class ParentEntry(TypedDict):
    """The snapshot that this one was built on."""

    version: int
    identity: str


class Manifest(TypedDict):
    """What a snapshot file holds. No time and no host is in it."""

    format: str
    schema: int
    version: int
    identity: str
    parent: ParentEntry | None
    build_id: str
    request: str  # digest of everything but plan, parent and pins: what was asked for
    generation: int
    pipeline: str
    settings: dict[str, object]
    environment: dict[str, str]
    plan: FileEntry
    counts: dict[str, int]
    step_rows: dict[str, int]  # rows that came to each memo step
    shards: list[ShardEntry]
    rejected: FileEntry
    failed: FileEntry
    artifacts: dict[str, FileEntry]
    fingerprints: dict[str, str]
    unit_sets: list[dict[str, object]]
    replies: NotRequired[FileEntry]  # which files hold the model replies of each partition
    checksum: str  # digest of all the rest


def sealed(manifest: Manifest) -> Manifest:
    """The manifest with its checksum."""
    rest = {key: value for key, value in manifest.items() if key != "checksum"}
    return {**manifest, "checksum": digest(rest)}


def identity(
    shards: Iterable[ShardEntry],
    rejected: Sequence[tuple[str, list[list[object]]]],
    failed: Sequence[tuple[str, str]],
) -> str:
    """sha256 of canonical JSON {shard names and sha256, rejected and reasons, failed and class}.

    A reason is [step, code, turn]. All three lists are sorted.
    """
    return digest(
        {
            "shards": sorted([entry["name"], entry["sha256"]] for entry in shards),
            "rejected": sorted(([key, reasons] for key, reasons in rejected), key=canonical_json),
            "failed": sorted([key, error_class] for key, error_class in failed),
        }
    )


def snapshot_path(version: int) -> str:
    """Where a version's manifest is."""
    return f"{FOLDER}/v{version:06d}.json"


def pointer_to(manifest: Manifest) -> dict[str, object]:
    """What latest.json holds."""
    return {
        "version": manifest["version"],
        "snapshot": snapshot_path(manifest["version"]),
        "identity": manifest["identity"],
    }


def versions(store: Store) -> list[int]:
    """The published versions, in order."""
    found = (re.fullmatch(rf"{FOLDER}/v(\d+)\.json", path) for path in store.list(FOLDER))
    return sorted(int(match[1]) for match in found if match)


def read_snapshot(store: Store, version: int) -> Manifest:
    """The manifest of a version. Raises DamageError if it is not one."""
    path = snapshot_path(version)
    name = f"{store.uri}/{path}"
    try:
        value = json.loads(store.get(path))
    except ValueError as error:
        raise DamageError(
            f"{name}: not JSON ({error}); restore it from a copy, or remove it and build again"
        ) from error
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise DamageError(f"{name}: not a Voxmill snapshot; its 'format' is not '{FORMAT}'")
    if value.get("schema") != SCHEMA:
        raise DamageError(
            f"{name}: schema {value.get('schema')}, this version reads {SCHEMA}; use the release "
            "that wrote it"
        )
    missing = [key for key in sorted(Manifest.__required_keys__) if key not in value]
    if missing:
        raise DamageError(f"{name}: lacks {missing}; restore it from a copy, or build again")
    manifest: Manifest = value  # type: ignore[assignment]
    if sealed(manifest)["checksum"] != value["checksum"]:
        raise DamageError(
            f"{name}: changed after it was written, its checksum does not hold; restore it from a "
            "copy, or remove it and build again"
        )
    return manifest


def latest_snapshot(store: Store) -> Manifest | None:
    """The newest manifest, or None where nothing is published."""
    found = versions(store)
    return read_snapshot(store, found[-1]) if found else None


def read_verified(store: Store, entry: FileEntry) -> bytes:
    """A file of the corpus, checked against its sha256. Raises DamageError."""
    data = store.get(entry["name"])
    if sha256_hex(data) != entry["sha256"]:
        raise DamageError(
            f"{store.uri}/{entry['name']}: its sha256 is not the manifest's; run the build again "
            "to recompute it"
        )
    return data
