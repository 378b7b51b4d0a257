"""The cache: whatever lies in it, what a reader yields is right."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.made_corpus import make_corpus, noise
from schemas.errors import SettingsError
from tests.pipelines.corpora import ROOT
from tests.trainers.streams import digest, reader, take
from trainers.cache import DiskCache
from trainers.corpus import open_snapshot
from trainers.fetch import Fetcher, ReadSettings

STEPS = 11
# Reads the first batches through a cache, in a process of its own; prints the hash of their keys.
JOB = """
import sys
from pathlib import Path
from tests.trainers.streams import digest, reader, take
from trainers.fetch import ReadSettings
corpus, cache, limit, steps = sys.argv[1:]
reading = ReadSettings(
    cache_dir=Path(cache), cache_bytes=int(limit), fetch_bytes=1 << 17, threads=4
)
print("begun", flush=True)
print(digest(take(reader(Path(corpus), reading=reading), int(steps))), flush=True)
"""


def job(corpus: Path, cache: Path, limit: int = 1 << 30, steps: int = STEPS) -> subprocess.Popen:
    words = [str(corpus), str(cache), str(limit), str(steps)]
    return subprocess.Popen(
        [sys.executable, "-c", JOB, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def said(process: subprocess.Popen) -> str:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out.split()[-1]


def cached(cache: Path, **changes: Any) -> ReadSettings:
    return ReadSettings(**{"cache_dir": cache, "threads": 2} | changes)


def counts(made: Any) -> tuple[int, int, int]:
    found = made._fetchers[0].counts
    return found.from_cache, found.from_store, found.damaged_in_cache


def test_a_second_epoch_needs_no_store(corpus: Path, tmp_path: Path) -> None:
    straight = take(reader(corpus), 2 * STEPS)
    made = reader(corpus, reading=cached(tmp_path))
    assert take(made, 2 * STEPS) == straight
    again = reader(corpus, reading=cached(tmp_path, threads=0))
    assert take(again, 2 * STEPS) == straight
    assert counts(again) == (2 * STEPS * 16, 0, 0)


def test_a_miss_fills_the_cache_with_the_neighbors_in_the_block(
    corpus: Path, tmp_path: Path
) -> None:
    made = open_snapshot(str(corpus))
    shard = made.shards[3]
    lengths = Fetcher(made.store).index.rows(shard)["length"]
    assert shard["samples"] == 64
    fetcher = Fetcher(made.store, cached(tmp_path, fetch_bytes=8 * int(lengths.max())))
    for row in range(64):
        fetcher.fetch(shard, row, 16)
    assert fetcher.counts.from_store == 8
    assert fetcher.counts.from_cache == 56


def test_damage_in_the_cache_is_fetched_again(corpus: Path, tmp_path: Path) -> None:
    straight = take(reader(corpus), STEPS)
    take(reader(corpus, reading=cached(tmp_path)), STEPS)
    for path in tmp_path.iterdir():
        data = bytearray(path.read_bytes())
        for at in range(700, len(data), 2000):
            data[at] ^= 8
        path.write_bytes(data[: len(data) * 3 // 4])
    made = reader(corpus, reading=cached(tmp_path, threads=0, fetch_bytes=1))
    assert take(made, STEPS) == straight
    assert counts(made)[1] > 20
    assert counts(made)[2] > 20
    mended = reader(corpus, reading=cached(tmp_path, threads=0))
    assert take(mended, STEPS) == straight
    assert counts(mended) == (STEPS * 16, 0, 0)


def test_two_jobs_share_a_cache(corpus: Path, tmp_path: Path) -> None:
    wanted = digest(take(reader(corpus), STEPS))
    jobs = [job(corpus, tmp_path) for _ in range(2)]
    assert [said(process) for process in jobs] == [wanted, wanted]
    made = reader(corpus, reading=cached(tmp_path, threads=0))
    take(made, STEPS)
    assert counts(made) == (STEPS * 16, 0, 0)


def test_two_jobs_share_a_cache_that_is_too_small(tmp_path: Path) -> None:
    make_corpus(tmp_path / "corpus", [12] * 8, payload=noise(40_000))
    wanted = digest(take(reader(tmp_path / "corpus"), 12))
    limit = 4 << 20
    jobs = [job(tmp_path / "corpus", tmp_path / "cache", limit, 12) for _ in range(2)]
    assert [said(process) for process in jobs] == [wanted, wanted]
    assert used(tmp_path / "cache") < limit + 2 * (limit // 32 + 5 * (1 << 17))


def used(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.iterdir())


def test_a_cache_stays_below_its_limit_and_drops_what_was_not_used(tmp_path: Path) -> None:
    make_corpus(tmp_path / "corpus", [10] * 6, payload=noise(50_000))
    made = open_snapshot(str(tmp_path / "corpus"))
    limit = 4 << 20
    fetcher = Fetcher(made.store, cached(tmp_path / "cache", cache_bytes=limit))
    for number, shard in enumerate(made.shards):
        for row in range(10):
            fetcher.fetch(shard, row, 10)
            assert used(tmp_path / "cache") <= limit * 1.05
        os.utime(tmp_path / "cache" / shard["sha256"], (number, number))
    left = {path.name for path in (tmp_path / "cache").iterdir()}
    assert len(fetcher._cache._files._files) <= len(left)  # type: ignore[union-attr]
    assert made.shards[-1]["sha256"] in left
    assert made.shards[0]["sha256"] not in left


@pytest.mark.slow
def test_kill_9_of_the_process_that_fills_the_cache_leaves_a_cache_that_serves(
    tmp_path: Path,
) -> None:
    make_corpus(tmp_path / "corpus", [20] * 8, payload=noise(60_000))
    wanted = digest(take(reader(tmp_path / "corpus"), 10))
    for delay_s in (0.02, 0.1, 0.3, 1.0, 3.0):
        if delay_s >= 1.0 and list((tmp_path / "cache").iterdir()):
            break  # a busy machine needs longer to write anything
        process = job(tmp_path / "corpus", tmp_path / "cache", steps=10)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay_s)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert list((tmp_path / "cache").iterdir())
    assert said(job(tmp_path / "corpus", tmp_path / "cache", steps=10)) == wanted


def test_half_a_write_is_not_believed(corpus: Path, tmp_path: Path) -> None:
    """What a kill in the middle of a write leaves: the beginning of a range, then a hole."""
    made = open_snapshot(str(corpus))
    shard = made.shards[0]
    fetcher = Fetcher(made.store, cached(tmp_path, fetch_bytes=1))
    right, row = fetcher.fetch(shard, 5)
    fetcher._cache.write(shard, row[0], right[:600] + b"\0" * (len(right) - 600))  # type: ignore[union-attr]
    assert fetcher.fetch(shard, 5)[0] == right
    assert fetcher.counts.damaged_in_cache == 1


def test_a_damaged_slice_of_the_index_is_read_anew(corpus: Path, tmp_path: Path) -> None:
    made = open_snapshot(str(corpus))
    shard = made.shards[0]
    right, row = Fetcher(made.store, cached(tmp_path)).fetch(shard, 5)
    kept = next(path for path in tmp_path.iterdir() if path.name.endswith("rows1"))
    whole = kept.read_bytes()
    for damaged in (whole[:-40], bytes([*whole[:224], whole[224] ^ 1, *whole[225:]])):
        kept.write_bytes(damaged)
        assert Fetcher(made.store, cached(tmp_path)).fetch(shard, 5) == (right, row)
        assert kept.read_bytes() == whole


def test_files_that_another_job_evicted_are_let_go(corpus: Path, tmp_path: Path) -> None:
    """An open file keeps its space on the disk, so an evicted one must not stay open."""
    made = open_snapshot(str(corpus))
    cache = DiskCache(tmp_path, 1 << 20)
    first, second = made.shards[:2]
    cache.write(first, 0, b"x" * 50_000)
    (tmp_path / first["sha256"]).unlink()
    cache.write(second, 0, b"y" * 50_000)
    cache.write(second, 50_000, b"y" * 50_000)
    assert list(cache._files._files) == [second["sha256"]]
    cache.write(first, 0, b"x" * 50_000)
    assert cache.read(first, 0, 50_000) == b"x" * 50_000
    assert (tmp_path / first["sha256"]).exists()


def test_a_cache_that_cannot_be_written_costs_a_warning(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    straight = take(reader(corpus), STEPS)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trainers.cache.os.pwrite", full)
    assert take(reader(corpus, reading=cached(tmp_path)), STEPS) == straight
    assert [
        record.message for record in caplog.records if "cannot write the cache" in record.message
    ]


def test_a_cache_that_cannot_be_made_is_refused_with_the_cure(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="give a folder on a local disk as cache_dir"):
        reader(corpus, reading=cached(tmp_path / "file"))
    with pytest.raises(SettingsError, match="cache_bytes is 5; give at least"):
        reader(corpus, reading=cached(tmp_path, cache_bytes=5))
