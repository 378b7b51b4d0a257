"""Damage and outages in the middle of an epoch."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.made_corpus import make_corpus
from schemas.errors import DamageError, StoreError
from schemas.store import FileStore
from tests.trainers.streams import Place, reader, take
from trainers.blobs import FileBlobs, StoreBlobs
from trainers.fetch import ReadSettings

COUNTS = (20, 20, 20, 20)
STEPS = 5


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainers.retry._PAUSE_S", 0.0)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    make_corpus(tmp_path / "corpus", COUNTS)
    return tmp_path / "corpus"


def shard(corpus: Path, number: int = 1) -> Path:
    return sorted((corpus / "shards").glob("*.tar"))[number]


def corrupt(path: Path) -> None:
    """One flipped bit in every sample that starts after the first kilobyte."""
    data = bytearray(path.read_bytes())
    for at in range(1300, len(data) - 1024, 2048):
        data[at] ^= 4
    path.write_bytes(data)


def truncate(path: Path) -> None:
    """The end is cut off at a member's boundary: what a tar reader takes for the end."""
    path.write_bytes(path.read_bytes()[: 512 * 40])


def remove(path: Path) -> None:
    path.unlink()


DAMAGES = {
    "corrupt": (corrupt, DamageError, "do not have the index's crc32c; run `voxmill verify`"),
    "truncate": (truncate, DamageError, r"bytes, the snapshot names \d+; restore it"),
    "remove": (remove, StoreError, "No such file.*restore the shard"),
}


@pytest.mark.parametrize("kind", DAMAGES)
@pytest.mark.parametrize("threads", [0, 4])
def test_damage_stops_the_reader_and_says_where(made: Path, kind: str, threads: int) -> None:
    damage, error, words = DAMAGES[kind]
    damage(shard(made))
    with pytest.raises(error, match=words) as caught:
        list(reader(made, reading=ReadSettings(threads=threads)))
    assert shard(made, 1).name in str(caught.value) or kind == "remove"


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_skipped_sample_keeps_its_position(made: Path, kind: str) -> None:
    straight = take(reader(made), STEPS)
    whole = {place for batch in straight for place in batch}
    DAMAGES[kind][0](shard(made))
    skipping = reader(made, reading=ReadSettings(on_damage="skip"))
    found = take(skipping, STEPS)
    assert len(skipping.skipped) > 5
    lost = {skip.position for skip in skipping.skipped}
    assert [[place for place in batch if place[2] not in lost] for batch in straight] == found
    assert len(whole) == sum(len(batch) for batch in found) + len(lost)
    assert {skip.shard for skip in skipping.skipped} <= {shard(made).name, *missing(made)}


def missing(corpus: Path) -> set[str]:
    there = {path.name for path in (corpus / "shards").iterdir()}
    return {path.stem + ".tar" for path in (corpus / "index").iterdir()} - there


def test_skips_are_capped(made: Path, caplog: pytest.LogCaptureFixture) -> None:
    corrupt(shard(made))
    skipping = reader(made, reading=ReadSettings(on_damage="skip", max_skips=3))
    with caplog.at_level(logging.WARNING), pytest.raises(DamageError, match="max_skips=3; the las"):
        list(skipping)
    assert sum("skipped sample" in record.message for record in caplog.records) == 4


def test_a_damaged_index_is_not_believed(made: Path) -> None:
    index = sorted((made / "index").iterdir())[2]
    data = bytearray(index.read_bytes())
    data[len(data) // 2] ^= 1
    index.write_bytes(data)
    with pytest.raises(DamageError, match=rf"{index.name}: its sha256 is not the snapshot's"):
        list(reader(made))


class Flaky(FileStore):
    """Every ``every``-th range fails, is short, or has a flipped bit, in turn."""

    def __init__(self, root: Path, every: int) -> None:
        super().__init__(root)
        self.every, self.reads, self.failed = every, 0, 0

    def get_range(self, path: str, offset: int, length: int, **more: Any) -> bytes:
        self.reads += 1
        data = super().get_range(path, offset, length, **more)
        if self.reads % self.every:
            return data
        self.failed += 1
        if self.failed % 3 == 0:
            raise StoreError(f"{path}: 503 Slow Down")
        return data[:-1] if self.failed % 3 == 1 else bytes([data[0] ^ 1]) + data[1:]


@pytest.mark.parametrize("cached", [False, True])
def test_a_flaky_store_costs_time_and_no_sample(
    made: Path, tmp_path: Path, cached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = take(reader(made), STEPS)
    store = Flaky(made, every=4)
    over(store, monkeypatch)
    cache = tmp_path / "cache" if cached else None
    settings = ReadSettings(threads=0, cache_dir=cache, fetch_bytes=1)
    assert take(reader(made, reading=settings), STEPS) == straight
    assert store.failed > 10


def test_a_store_that_stays_away_stops_the_reader(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over(Flaky(made, every=1), monkeypatch)
    with pytest.raises((StoreError, DamageError)):
        list(reader(made))


def test_an_object_that_is_replaced_in_mid_epoch_is_noticed(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over(FileStore(made), monkeypatch)
    running = iter(reader(made, reading=ReadSettings(threads=0)))
    next(running)
    for path in (made / "shards").glob("*.tar"):
        replacement = path.with_suffix(".new")
        replacement.write_bytes(path.read_bytes())
        corrupt(replacement)
        replacement.replace(path)
    with pytest.raises(DamageError):
        list(running)


def over(store: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read ranges through the store and not through open files."""
    monkeypatch.setattr("trainers.fetch.open_blobs", lambda _: StoreBlobs(store))


@pytest.mark.parametrize("world", [1, 2])
def test_a_flipped_bit_that_the_second_read_does_not_have_costs_nothing(
    made: Path, monkeypatch: pytest.MonkeyPatch, world: int
) -> None:
    """What a bad cable or a bad page does: the same read, again and past caches, is right."""
    straight: list[list[Place]] = take(reader(made), STEPS)
    real: Callable[..., bytes] = FileBlobs.read
    again_reads = []

    def read(self: FileBlobs, *words: Any, again: bool = False) -> bytes:
        data = real(self, *words, again=again)
        if again:
            again_reads.append(words)
            return data
        return data[:700] + bytes([data[700] ^ 1]) + data[701:]

    monkeypatch.setattr(FileBlobs, "read", read)
    assert take(reader(made), STEPS) == straight
    assert len(again_reads) == STEPS * 16
