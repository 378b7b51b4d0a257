"""Cleaning next to builds that begin: nothing that one may need is taken for garbage."""

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from pipelines import build, clean, lease
from pipelines.clean import find_garbage, find_scratch, remove
from pipelines.lease import cleaning, holding, planning
from schemas.errors import ConflictError, DamageError, StoreError
from schemas.snapshot import FileEntry
from schemas.store import FileStore
from tests.jobs.faults import FaultySpeech
from tests.jobs.small import build_with, rows, voxmill, write_job

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


def test_a_build_that_begins_while_garbage_goes_waits_for_the_end_of_that(tmp_path: Path) -> None:
    store, begun, over = with_rests(tmp_path), threading.Event(), threading.Event()

    def build() -> None:
        with planning(store):
            begun.set()
            over.wait(60.0)

    waiting = threading.Thread(target=build)
    with cleaning(store):
        waiting.start()
        while not store.list("running"):
            time.sleep(0.01)
        soon = begun.wait(1.0)  # two looks for the removal
    assert begun.wait(60.0)
    over.set()
    waiting.join()
    assert not soon
    assert store.list("cleaning") == []


def test_a_removal_marks_itself_before_it_looks_for_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that of a build and a removal that begin at once, one sees the other."""
    store = with_rests(tmp_path)
    found, marks = find_garbage(store, 0), list[list[str]]()
    real = clean.live
    monkeypatch.setattr(
        clean, "live", lambda *told: marks.append(store.list("cleaning")) or real(*told)
    )
    remove(found, store)
    assert [len(mark) for mark in marks] == [1]
    assert store.list("cleaning") == []


def test_a_build_that_does_not_wait_stops_a_removal_that_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of an earlier release."""
    store = with_rests(tmp_path)
    other = REST.replace("000000-", "000001-")
    store.put(other, b"x")
    monkeypatch.setattr(clean, "AT_ONCE", 1)
    monkeypatch.setattr(clean, "_SKEW_S", -3600.0)
    found = find_garbage(store, 0)
    assert len(found.garbage) == 2
    real = store.delete_many

    def delete_many(paths: Iterable[str]) -> None:
        going = list(paths)
        real(going)
        if any(path.startswith("shards/") for path in going):
            store.put("running/of-another-release.json", b"{}")

    monkeypatch.setattr(store, "delete_many", delete_many)
    with pytest.raises(ConflictError, match=r"has started since .*\(1 objects of 2 are gone\)"):
        remove(found, store)
    assert len(store.list("shards")) == 1


def test_a_long_removal_renews_its_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = with_rests(tmp_path)
    store.put(REST.replace("000000-", "000001-"), b"x")
    monkeypatch.setattr(clean, "AT_ONCE", 1)
    monkeypatch.setattr(clean, "_SKEW_S", -3600.0)
    found, marks = find_garbage(store, 0), list[str]()
    real = store.put

    def put(path: str, data: bytes) -> None:
        marks.extend([path] if path.startswith(lease.CLEANING) else [])
        real(path, data)

    monkeypatch.setattr(store, "put", put)
    remove(found, store)
    assert (len(marks), len(set(marks))) == (3, 1)
    assert store.list("shards") == []


def test_a_removal_that_was_killed_holds_back_no_build_for_ever(tmp_path: Path) -> None:
    store = with_rests(tmp_path)
    mark = tmp_path / lease.CLEANING / f"{'0' * 16}.json"
    mark.parent.mkdir()
    mark.touch()
    long_ago_s = time.time() - lease.LIVE_S - 1.0
    os.utime(mark, (long_ago_s, long_ago_s))
    with planning(store):
        assert store.list("running")
    assert f"{lease.CLEANING}/{mark.name}" in [item.path for item in find_garbage(store, 0).garbage]


@pytest.mark.parametrize("folder", ["inputs/p", "artifacts", "shards", "index"])
def test_a_build_whose_files_are_deleted_under_it_publishes_nothing_and_is_mended_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """As by a removal that a build of another release did not wait for."""
    job, output = write_job(tmp_path, rows(3)), tmp_path / "out"
    real = build.publish

    def publish(*told: Any) -> Any:
        victim = next(
            path
            for path in FileStore(output).list(folder.partition("/")[0])
            if path.startswith(folder) and "plan" not in path
        )
        (output / victim).unlink()
        return real(*told)

    monkeypatch.setattr(build, "publish", publish)
    with pytest.raises(StoreError, match="no longer there"):
        build_with(job, output, FaultySpeech())
    assert not (output / "snapshots").exists()
    monkeypatch.setattr(build, "publish", real)
    build_with(job, output, FaultySpeech())
    assert voxmill("verify", output).code == 0
