"""Cleaning next to builds that begin: nothing that one may need is taken for garbage."""

import os
import time
from pathlib import Path

import pytest

from pipelines.clean import find_garbage, find_scratch, remove
from pipelines.lease import holding, planning
from schemas.errors import ConflictError, DamageError
from schemas.snapshot import FileEntry
from schemas.store import FileStore

REST = f"shards/train-000000-{'0' * 12}.tar"
SCRATCH = f"builds/{'a' * 24}-{'b' * 8}"


def with_rests(folder: Path) -> FileStore:
    """A store with a shard that no snapshot names, and a dead build's scratch; a day old."""
    store = FileStore(folder)
    store.put(REST, b"x")
    store.put(f"{SCRATCH}/outcomes/p000000.pack", b"x")
    for path in folder.rglob("*.*"):
        day_ago_s = path.stat().st_mtime - 86400
        os.utime(path, (day_ago_s, day_ago_s))
    return store


def test_a_build_that_starts_between_the_look_and_the_removal_stops_the_removal(
    tmp_path: Path,
) -> None:
    store = with_rests(tmp_path)
    found, scratch = find_garbage(store, 0), find_scratch(store, 0, [])
    assert [item.path for item in found.garbage] == [REST]
    before = store.list("shards") + store.list("builds")
    with holding(store, "a" * 24, SCRATCH, {"name": "inputs/plan-0.json", "sha256": "0"}, {}):
        for part in (scratch, found):
            with pytest.raises(ConflictError, match="a build has started since this look began"):
                remove(part, store)
        assert store.list("shards") + store.list("builds") == before
    remove(found, store)
    assert store.list("shards") == []


def test_a_build_that_begins_to_plan_between_the_look_and_the_removal_stops_it_too(
    tmp_path: Path,
) -> None:
    store = with_rests(tmp_path)
    found = find_garbage(store, 0)
    with planning(store), pytest.raises(ConflictError, match="has started since"):
        remove(found, store)
    assert store.list("shards") == [REST]


def test_nothing_is_garbage_while_a_build_is_planned(tmp_path: Path) -> None:
    """Old rests too: the build may turn out to go on with the one that left them."""
    store = with_rests(tmp_path)
    with planning(store):
        found = find_garbage(store, 0)
        assert (found.garbage, len(found.running)) == ([], 1)
        assert find_scratch(store, 0, found.running).garbage == []
        known_dead = find_garbage(store, 0, none_running=True)
        assert REST in [item.path for item in known_dead.garbage]
    assert [item.path for item in find_garbage(store, 0).garbage] == [REST]


def test_nothing_is_garbage_beside_a_sign_of_life_that_cannot_be_read(tmp_path: Path) -> None:
    """A build of another release may write it otherwise."""
    store = with_rests(tmp_path)
    store.put("running/of-another-release.json", b'{"format": 2}')
    found = find_garbage(store, 0)
    assert (found.garbage, len(found.running)) == ([], 1)
    day_ago_s = time.time() - 86400
    os.utime(tmp_path / "running" / "of-another-release.json", (day_ago_s, day_ago_s))
    assert [item.path for item in find_garbage(store, 0).garbage] == [REST]


def test_a_torn_commit_record_of_a_running_build_stops_the_removal(tmp_path: Path) -> None:
    store = with_rests(tmp_path)
    store.put("inputs/plan-0.json", b'{"partitions": []}')
    store.put(f"commits/{'a' * 24}/train-000000.json", b'{"planned": "train-0')
    plan: FileEntry = {"name": "inputs/plan-0.json", "sha256": "0"}
    with (
        holding(store, "a" * 24, SCRATCH, plan, {}),
        pytest.raises(DamageError, match=r"train-000000.json: not a commit record.*nothing is"),
    ):
        find_garbage(store, 0)
