"""Signs of life: there while a build runs, renewed, gone at its end."""

import itertools
import time
from pathlib import Path

from pipelines.lease import holding, leases
from schemas.snapshot import FileEntry
from schemas.store import FileStore

PLAN: FileEntry = {"name": "inputs/plan-0.json", "sha256": "0"}
SCRATCH = f"builds/{'a' * 24}-{'b' * 8}"


def test_a_sign_of_life_is_there_while_a_build_runs_and_no_longer(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    with holding(store, "a" * 24, SCRATCH, PLAN, {"kmeans": PLAN}):
        (found,) = leases(store)
        assert (found.build_id, found.scratch, found.plan) == ("a" * 24, SCRATCH, PLAN)
        assert found.artifacts == {"kmeans": PLAN}
        assert found.started_s <= found.seen_s
    assert leases(store) == []
    assert list(tmp_path.rglob("*")) == []


def test_it_is_renewed(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    with holding(store, "a" * 24, SCRATCH, PLAN, {}, beat_s=0.02):
        (first,) = leases(store)
        deadline = time.monotonic() + 20
        while (now := leases(store)[0]).seen_s == first.seen_s and time.monotonic() < deadline:
            time.sleep(0.02)
        assert now.seen_s > first.seen_s
        assert now.started_s == first.started_s


def test_it_is_renewed_after_whatever_error(tmp_path: Path) -> None:
    """A thread that died of one would leave a running build to be taken for garbage."""
    store, calls = FileStore(tmp_path), itertools.count()

    def status() -> dict[str, object]:
        number = next(calls)
        if number == 0:
            raise RuntimeError("not even a StoreError")
        return {"number": number}

    with holding(store, "a" * 24, SCRATCH, PLAN, {}, beat_s=0.02, status=status):
        deadline = time.monotonic() + 20
        while not leases(store)[0].status and time.monotonic() < deadline:
            time.sleep(0.02)
        assert leases(store)[0].status


def test_it_goes_when_the_build_fails(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    try:
        with holding(store, "a" * 24, SCRATCH, PLAN, {}):
            raise ValueError("a build that fails")
    except ValueError:
        pass
    assert leases(store) == []


def test_what_cannot_be_read_is_no_sign(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    for name, data in (("a.json", b"{"), ("b.json", b"[]"), ("c.json", b'{"build_id": 1}')):
        store.put(f"running/{name}", data)
    assert leases(store) == []
