"""The snapshot: the immutable manifest of a corpus version, and its identity."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NotRequired, TypedDict

from schemas.canonical import canonical_json, digest, sha256_hex
from schemas.errors import DamageError, SettingsError
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
    limits: NotRequired[dict[str, float]]  # of the build that wrote it; see within_limits
    expected: NotRequired[bool]  # readers wait for the results at expectations_path
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
        raise DamageError(
            f"{name}: not a Voxmill snapshot; its 'format' is not '{FORMAT}'; restore it "
            "from a copy, or remove it and build again"
        )
    if value.get("schema") != SCHEMA:
        raise DamageError(
            f"{name}: schema {value.get('schema')}, this version reads {SCHEMA}; use the release "
            "that wrote it"
        )
    wanted = (key for key in Manifest.__annotations__ if key in Manifest.__required_keys__)
    missing = [key for key in wanted if key not in value]
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
    """The newest manifest, which the next build builds on; None where nothing is published."""
    found = versions(store)
    return read_snapshot(store, found[-1]) if found else None


def within_limits(counts: Mapping[str, int], limits: Mapping[str, float]) -> bool:
    """Whether rows ended as a job's ``limits`` ask: few enough failed, enough accepted."""
    if not limits:
        return True
    rows = max(counts["rows"], 1)
    failed, accepted = counts["failed"] / rows, counts["accepted"] / rows
    few_failed = failed <= limits.get("max_failed_fraction", 1.0)
    return few_failed and accepted >= limits.get("min_accepted_fraction", 0.0)


def expectations_path(version: int) -> str:
    """Where the results of a version's expectations are."""
    return f"expectations/v{version:06d}.json"


def fit_for_readers(store: Store, manifest: Manifest) -> bool:
    """Whether a snapshot met its own limits, and its expectations where it had any."""
    if not within_limits(manifest["counts"], manifest.get("limits", {})):
        return False
    if not manifest.get("expected", False):
        return True
    path = expectations_path(manifest["version"])
    if store.size(path) is None:
        return False
    try:
        results = json.loads(store.get(path))
    except ValueError:
        return False
    met = isinstance(results, dict) and results.get("identity") == manifest["identity"]
    return met and results.get("success") is True


def current_version(store: Store) -> int | None:
    """The version that readers get who name none; None where no snapshot is fit for them.

    latest.json says it, which a build moves if its limits and expectations are met. Where the
    pointer is missing or leads nowhere, it is the newest snapshot that met its own.
    """
    there = versions(store)
    if not there:
        return None
    pointer = read_pointer(store)
    if pointer is not None and pointer["version"] in there:
        return int(pointer["version"])
    for version in reversed(there):
        if fit_for_readers(store, read_snapshot(store, version)):
            return version
    return None


def read_pointer(store: Store) -> dict[str, Any] | None:
    """What latest.json holds; None if it is missing or names no version."""
    if store.size(LATEST) is None:
        return None
    try:
        value = json.loads(store.get(LATEST))
    except ValueError:
        return None
    named = isinstance(value, dict) and isinstance(value.get("version"), int)
    return value if named else None


def chosen_snapshot(store: Store, version: int | None) -> Manifest:
    """The manifest of a version. None: the current one, or the newest where none is current.

    For people's tools, which must show what was wrong with a first build; a trainer asks
    ``current_version``. Raises SettingsError for what is not there, DamageError.
    """
    there = versions(store)
    if not there:
        raise SettingsError(
            f"{store.uri}: no snapshot there; give the folder of a corpus, or build one with "
            f"`voxmill build JOB.yaml --output {store.uri}`"
        )
    if version is None:
        version = current_version(store) or there[-1]
    if version not in there:
        raise SettingsError(
            f"{store.uri}: no version {version}; there are {', '.join(map(str, there))}"
        )
    return read_snapshot(store, version)


def read_verified(store: Store, entry: FileEntry) -> bytes:
    """A file of the corpus, checked against its sha256. Raises DamageError."""
    data = store.get(entry["name"])
    if sha256_hex(data) != entry["sha256"]:
        raise DamageError(
            f"{store.uri}/{entry['name']}: its sha256 is not the manifest's; run the build again "
            "to recompute it"
        )
    return data
