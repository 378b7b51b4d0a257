"""One commit per shard and build: what becomes of a shard that another run committed first."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.commit import assemble, is_whole, read_commit
from pipelines.plan import PlannedShard
from pipelines.stands import standing
from schemas.errors import DamageError, StoreError
from schemas.shard import Member, Placed
from schemas.store import FileStore, Store, StoreAddress, open_store

BUILD = "b" * 24
SHARD = PlannedShard(split="train", number=3, partitions=("p000000",))


@dataclass(frozen=True)
class FakeSample:
    """A sample of one member."""

    key: str
    text: str

    def members(self) -> list[Member]:
        return [Member("json", self.text.encode())]

    def index_row(self, placed: Placed, shard: str) -> dict[str, Any]:
        words = ("split", "lang", "source", "source_id", "license")
        return {
            "key": self.key,
            "shard": shard,
            "offset": placed.offset,
            "length": placed.length,
            "crc32c": placed.crc32c,
            "members": [],
            **dict.fromkeys(words, "x"),
            "duration_s": 1.0,
            "turns": [],
            "num_dropped": 0,
            "lineage": "{}",
        }


def run(store: Store, *samples: tuple[str, str]) -> Any:
    made: Iterable[Any] = [FakeSample(*pair) for pair in samples]
    return assemble(store, BUILD, SHARD, made)


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return FileStore(tmp_path)
    address: StoreAddress = request.getfixturevalue("s3")
    return open_store(address)


def test_the_same_shard_twice_is_one_commit_and_no_loss(store: Store) -> None:
    first, lost = run(store, ("a", "1"), ("b", "2"))
    assert lost is None
    assert run(store, ("a", "1"), ("b", "2")) == (first, None)
    assert read_commit(store, BUILD, SHARD) == first
    assert len(store.list("shards")) == 1


def test_other_bytes_lose_to_the_first_commit_and_the_rows_that_differ_are_named(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = run(store, ("a", "1"), ("b", "2"), ("c", "3"))
    counted, lost = run(store, ("a", "1"), ("b", "other"), ("d", "4"))
    assert counted == first
    assert read_commit(store, BUILD, SHARD) == first
    assert lost["rows"] == ["b", "c", "d"]
    assert lost["won"] == first["shard"]["name"]
    assert lost["lost"] in {path.partition("/")[2] for path in store.list("shards")}
    assert "is not deterministic in 3 rows, which run.json names" in caplog.text


def test_an_empty_shard_and_a_full_one_cannot_both_count(store: Store) -> None:
    first, _ = run(store)
    assert first["shard"] is None
    counted, lost = run(store, ("a", "1"))
    assert counted == first
    assert lost["rows"] == ["a"]
    assert lost["won"] is None


@pytest.mark.parametrize("folder", ["shards/", "index/"])
def test_what_is_stored_otherwise_than_it_was_sent_is_never_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    method = "put_file" if folder == "shards/" else "put"
    real = getattr(FileStore, method)

    def spoil(store: FileStore, path: str, *rest: Any, **more: Any) -> None:
        real(store, path, *rest, **more)
        file = store.root / path
        if path.startswith(folder):
            data = bytearray(file.read_bytes())
            data[0] ^= 1
            file.write_bytes(bytes(data))

    monkeypatch.setattr(FileStore, method, spoil)
    with pytest.raises(DamageError, match="what was stored is not what was sent"):
        run(FileStore(tmp_path), ("a", "1"))
    assert FileStore(tmp_path).list("commits") == []


def test_a_commit_that_comes_and_goes_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileStore, "put_new", lambda *arguments: False)
    with pytest.raises(StoreError, match="existed and then did not"):
        run(FileStore(tmp_path), ("a", "1"))


@pytest.mark.parametrize("published", [False, True])
def test_a_damaged_shard_loses_its_commit_unless_a_snapshot_names_it(
    store: Store, published: bool
) -> None:
    """An unsteady step may make it otherwise now; the record would then name the damaged bytes."""
    commit, _ = run(store, ("a", "one"), ("b", "two"))
    name = f"shards/{commit['shard']['name']}"
    whole = store.get(name)
    store.put(name, b"\0" + whole[1:])
    planned: Any = SimpleNamespace(build_id=BUILD, published=published)
    assert standing(store, planned, SHARD) is None
    again, lost = run(store, ("a", "one"), ("b", "otherwise"))
    if published:  # mending compares what comes out with what the snapshot names
        assert again == commit
        assert lost is not None
    else:
        assert lost is None
        assert is_whole(store, again["shard"])
        assert again["shard"]["sha256"] != commit["shard"]["sha256"]
