"""The reader on object storage: a real server, and a proxy that breaks what it says."""

from pathlib import Path
from typing import Any

import pytest

from schemas.errors import DamageError, SourceError, StoreError
from schemas.store import StoreAddress, open_store
from tests.proxy import (
    Fault,
    answering,
    cutting,
    ignoring_range,
    proxy,
    resetting,
    shortening,
    slow,
)
from tests.servers import Server
from tests.trainers.streams import places, reader, take
from trainers.fetch import ReadSettings
from trainers.reader import Source

STEPS = 11


def upload(corpus: Path, address: StoreAddress) -> None:
    store = open_store(address)
    for path in sorted(corpus.rglob("*")):
        if path.is_file():
            store.put_file(path.relative_to(corpus).as_posix(), path)


def bare(batches: list[list[Any]]) -> list[list[Any]]:
    """The places without the corpus's name, which is its address."""
    return [[place[1:] for place in batch] for batch in batches]


@pytest.fixture(scope="module")
def straight(corpus: Path) -> list[list[Any]]:
    return bare(take(reader(corpus), 2 * STEPS))


@pytest.mark.parametrize("cached", [False, True])
def test_a_bucket_gives_the_batches_of_a_folder(
    corpus: Path, s3: StoreAddress, straight: list[Any], tmp_path: Path, cached: bool
) -> None:
    upload(corpus, s3)
    reading = ReadSettings(cache_dir=tmp_path / "cache" if cached else None)
    made = reader(s3, reading=reading)
    assert bare(take(made, 7)) == straight[:7]
    resumed = reader(Source(uri=s3, version=1), world=2, rank=1, reading=reading)
    resumed.load_state_dict(made.state_dict())
    rest = bare(take(resumed, 2 * STEPS - 7))
    assert rest == [batch[8:] for batch in straight[7:]]


FAULTS = {
    "503": answering(503, "SlowDown"),
    "404": answering(404, "NoSuchKey"),
    "reset": resetting(),
    "cut": cutting(),
    "short": shortening(),
    "whole object": ignoring_range(),
    "slow": slow(0.001),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_mid_epoch_costs_time_and_no_sample(
    corpus: Path, s3: StoreAddress, s3_server: Server, straight: list[Any], name: str
) -> None:
    upload(corpus, s3)
    with proxy(s3_server) as front:
        fault: Fault = FAULTS[name]
        rules = [
            front.break_with(fault, "GET", r"/shards/", times=1, after=after)
            for after in (3, 40, 90)
        ]
        made = reader(front.front.address(s3.uri), reading=ReadSettings(threads=4))
        assert bare(take(made, STEPS)) == straight[:STEPS]
        assert all(rule.hits for rule in rules)


def test_a_store_that_cannot_be_reached_any_more_stops_the_reader(
    corpus: Path, s3: StoreAddress, s3_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainers.retry._PAUSE_S", 0.0)
    upload(corpus, s3)
    with proxy(s3_server) as front:
        address = front.front.address(s3.uri, retry_s=0.5, timeout_s=1.0)
        running = iter(reader(address, reading=ReadSettings(threads=2)))
        next(running)
        front.break_with(answering(503, "SlowDown"), "GET|HEAD", times=-1)
        with pytest.raises(StoreError, match=r"shards/train-\d+"):
            list(running)


def test_an_object_that_is_replaced_in_mid_epoch_is_not_mixed_with_the_old_one(
    corpus: Path, s3: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainers.retry._PAUSE_S", 0.0)
    upload(corpus, s3)
    store = open_store(s3)
    running = iter(reader(s3, reading=ReadSettings(threads=0)))
    next(running)
    for path in store.list("shards"):
        store.put(path, bytes(reversed(store.get(path))))
    with pytest.raises(DamageError):
        list(running)


def test_a_shard_that_is_gone_or_shorter_is_named(
    corpus: Path, s3: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainers.retry._PAUSE_S", 0.0)
    upload(corpus, s3)
    store = open_store(s3)
    whole = {path: store.get(path) for path in store.list("shards")}
    for path, data in whole.items():
        store.put(path, data[:-512])
    with pytest.raises(DamageError, match=r"bytes, the snapshot names \d+; restore it"):
        list(reader(s3))
    for path in whole:
        store.delete(path)
    with pytest.raises(StoreError, match="the snapshot names it and it is not there"):
        list(reader(s3))


def test_an_empty_bucket_is_no_corpus(s3: StoreAddress) -> None:
    with pytest.raises(SourceError, match="no snapshot there"):
        reader(s3)


@pytest.mark.slow
def test_spawned_workers_read_a_bucket_and_forked_ones_are_refused(
    corpus: Path, s3: StoreAddress, straight: list[Any]
) -> None:
    data = pytest.importorskip("torch.utils.data")
    from trainers.stream import StreamDataset

    upload(corpus, s3)
    dataset: StreamDataset[Any] = StreamDataset(
        s3, batch_size=16, lanes=8, seed=5, epochs=1, transform=places
    )
    found = []
    for context in ("spawn", "fork"):
        loader = data.DataLoader(
            dataset, batch_size=None, num_workers=1, multiprocessing_context=context,
            collate_fn=list,
        )  # fmt: skip
        if context == "spawn":
            found = list(loader)
            assert bare(found) == straight[: len(found)]
        else:
            with pytest.raises(Exception, match="multiprocessing_context='spawn'"):
                list(loader)
    assert len(found) == STEPS
