"""The snapshot: what its identity is made of, and what a broken manifest is told."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from schemas.canonical import canonical_json, sha256_hex
from schemas.errors import DamageError, StoreError
from schemas.snapshot import (
    Manifest,
    ShardEntry,
    identity,
    latest_snapshot,
    read_snapshot,
    read_verified,
    sealed,
    snapshot_path,
    versions,
    within_limits,
)
from schemas.store import FileStore

REJECTED: list[tuple[str, list[list[object]]]] = [
    ("a-0", [["dedup", "duplicate", -1]]),
    ("b-0", [["respond", "no_response", 1], ["select", "loudness_lufs", 0]]),
    ("b-1", [["select", "loudness_lufs", 0]]),
]
FAILED = [("c-0", "MalformedRow"), ("d-0", "timeout")]


def shard(name: str, sha256: str) -> ShardEntry:
    return {
        "name": name,
        "split": "train",
        "bytes": 1,
        "sha256": sha256,
        "samples": 1,
        "seconds": 1.0,
        "index": "i",
        "index_sha256": "i",
    }


SHARDS = [shard("train-000000", "aa"), shard("train-000001", "bb"), shard("eval-000000", "cc")]


def manifest(**changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = dict.fromkeys(Manifest.__annotations__, "")
    value |= {"format": "voxmill-snapshot", "schema": 1, "version": 1} | changes
    found: Any = sealed(value)  # type: ignore[arg-type]
    return dict(found)


def put(store: FileStore, value: object, version: int = 1) -> None:
    store.put(snapshot_path(version), json.dumps(value).encode())


def test_the_identity_is_the_documented_digest() -> None:
    value = {
        "shards": [["train-000000", "aa"]],
        "rejected": [["a-0", [["dedup", "duplicate", -1]]]],
        "failed": [["c-0", "MalformedRow"]],
    }
    found = identity(SHARDS[:1], REJECTED[:1], FAILED[:1])
    assert found == sha256_hex(canonical_json(value))


def test_the_identity_does_not_know_the_order_of_its_lists() -> None:
    chance = random.Random(1)
    expected = identity(SHARDS, REJECTED, FAILED)
    for _ in range(10):
        shuffled = [chance.sample(part, len(part)) for part in (SHARDS, REJECTED, FAILED)]
        assert identity(*shuffled) == expected  # type: ignore[arg-type]


def test_the_identity_changes_with_each_part() -> None:
    changed = [
        identity(SHARDS[:2], REJECTED, FAILED),
        identity([*SHARDS[:2], shard("eval-000000", "cd")], REJECTED, FAILED),
        identity([*SHARDS[:2], shard("eval-000001", "cc")], REJECTED, FAILED),
        identity(SHARDS, REJECTED[:2], FAILED),
        identity(SHARDS, [*REJECTED[:2], ("b-2", REJECTED[2][1])], FAILED),
        identity(SHARDS, [("a-0", [["dedup", "duplicate", 0]]), *REJECTED[1:]], FAILED),
        identity(SHARDS, [("a-0", [["select", "duplicate", -1]]), *REJECTED[1:]], FAILED),
        identity(SHARDS, [("a-0", [["dedup", "other", -1]]), *REJECTED[1:]], FAILED),
        identity(SHARDS, REJECTED, FAILED[:1]),
        identity(SHARDS, REJECTED, [("c-0", "timeout"), FAILED[1]]),
        identity(SHARDS, [*REJECTED, ("c-0", [])], FAILED[1:]),
    ]
    assert len({identity(SHARDS, REJECTED, FAILED), *changed}) == len(changed) + 1


def test_the_identity_knows_no_sizes_times_and_indexes() -> None:
    other = [{**entry, "bytes": 9, "seconds": 2.0, "index_sha256": "z"} for entry in SHARDS]
    assert identity(other, REJECTED, FAILED) == identity(SHARDS, REJECTED, FAILED)  # type: ignore[arg-type]


def test_versions_are_read_from_the_names_in_order(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    assert versions(store) == []
    assert latest_snapshot(store) is None
    for version in (2, 10, 1):
        put(store, manifest(version=version), version)
    for other in ("snapshots/v3.json.bak", "snapshots/notes.txt", "snapshots/deep/v000004.json"):
        store.put(other, b"")
    assert versions(store) == [1, 2, 10]
    latest = latest_snapshot(store)
    assert latest is not None
    assert latest["version"] == 10


def test_a_manifest_comes_back(tmp_path: Path) -> None:
    put(FileStore(tmp_path), manifest(generation=3))
    assert read_snapshot(FileStore(tmp_path), 1) == manifest(generation=3)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not JSON"),
        (b'{"format": "voxmill-sn', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "not a Voxmill snapshot.*restore it from a copy, or remove it and build again"),
        (b'{"format": "croissant"}', "not a Voxmill snapshot"),
        (canonical_json(manifest(schema=2)), "schema 2, this version reads 1; use the release"),
        (
            canonical_json({k: v for k, v in manifest().items() if k not in ("plan", "counts")}),
            r"lacks \['plan', 'counts'\]; restore it",
        ),
    ],
    ids=["empty", "torn", "not utf-8", "a list", "another format", "newer", "incomplete"],
)
def test_what_is_no_manifest_is_damage_with_its_path(
    tmp_path: Path, data: bytes, said: str
) -> None:
    FileStore(tmp_path).put(snapshot_path(1), data)
    with pytest.raises(DamageError, match=said) as caught:
        read_snapshot(FileStore(tmp_path), 1)
    assert str(caught.value).startswith(f"{tmp_path}/snapshots/v000001.json: ")


def test_a_version_that_is_not_there_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="it is not there"):
        read_snapshot(FileStore(tmp_path), 7)


def test_a_file_is_checked_against_the_manifest(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("plan", b"good")
    entry = {"name": "plan", "sha256": sha256_hex(b"good")}
    assert read_verified(store, entry) == b"good"  # type: ignore[arg-type]
    store.put("plan", b"gooD")
    with pytest.raises(DamageError, match=r"/plan: its sha256 is not the manifest's; run the bu"):
        read_verified(store, entry)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("accepted", "failed", "limits", "met"),
    [
        (8, 1, {}, True),
        (8, 1, {"max_failed_fraction": 0.1}, True),
        (8, 2, {"max_failed_fraction": 0.1}, False),
        (8, 0, {"min_accepted_fraction": 0.8}, True),
        (7, 0, {"min_accepted_fraction": 0.8, "max_failed_fraction": 1.0}, False),
        (0, 10, {"min_accepted_fraction": 0.0, "max_failed_fraction": 1.0}, True),
    ],
)
def test_limits_bound_failed_and_accepted_rows_each_for_itself(
    accepted: int, failed: int, limits: dict[str, float], met: bool
) -> None:
    counts = {
        "rows": 10,
        "accepted": accepted,
        "failed": failed,
        "rejected": 10 - accepted - failed,
    }
    assert within_limits(counts, limits) == met
