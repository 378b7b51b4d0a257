"""The reader's figures: speed against webdataset, order, first batch, cost of a state.

    python -m benchmarks.reader [--quick] [--no-peers] [--folder DIR]

Everything is made in a temporary folder (about 0.7 GB; with --quick a tenth) and read from it. Each
part runs in a process of its own. The comparison with litdata and mosaicml-streaming, with
decoding, is that of benchmarks/reader_peers.py. The last line is JSON.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.made_corpus import make_corpus, noise, write_snapshot
from schemas.snapshot import ShardEntry, read_snapshot
from schemas.store import FileStore

Figures = dict[str, Any]
ROUNDS: Final = 5
BATCH: Final = 256


def raw_speed(folder: Path) -> Figures:
    """Samples per second, warm, one process, without decoding: readers in turns, epoch by epoch.

    Ours finds each sample's members and checks each crc32c; "every_member" also takes all bytes.
    CPU seconds tell more than wall time where others use the machine.
    """
    webdataset: Any = importlib.import_module("webdataset")
    from trainers.reader import Reader, open_reader

    shards = [str(path) for path in sorted((folder / "shards").glob("*.tar"))]
    shuffled = open_reader(str(folder), batch_size=BATCH)
    in_order = open_reader(str(folder), batch_size=BATCH, shuffle=False)

    def found(reader: Reader) -> int:
        return sum(len(sample.members) > 0 for batch in reader for sample in batch)

    def taken(reader: Reader) -> int:
        return sum(bool(list(sample.members.values())) for batch in reader for sample in batch)

    runs: dict[str, Callable[[], int]] = {
        "webdataset": lambda: sum(1 for _ in webdataset.WebDataset(shards, shardshuffle=False)),
        "shuffled": lambda: found(shuffled),
        "in_order": lambda: found(in_order),
        "shuffled_every_member": lambda: taken(shuffled),
    }
    wall: dict[str, list[float]] = {name: [] for name in runs}
    cpu: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(ROUNDS + 1):
        for name, run in runs.items():
            began, used = time.perf_counter(), time.process_time()
            read = run()
            if number:  # the first round warms the page cache, and loads the index
                wall[name].append(read / (time.perf_counter() - began))
                cpu[name].append(read / (time.process_time() - used))
    size = sum(Path(path).stat().st_size for path in shards)
    return {
        "bytes_per_sample": size // sum(corpus.num_samples for corpus in shuffled.corpora),
        "samples_per_s": _medians(wall),
        "samples_per_cpu_s": _medians(cpu),
        "by_webdataset": _ratios(wall),
        "by_webdataset_in_cpu_s": _ratios(cpu),
    }


def _medians(found: dict[str, list[float]]) -> dict[str, int]:
    return {name: round(statistics.median(values)) for name, values in found.items()}


def _ratios(found: dict[str, list[float]]) -> dict[str, float]:
    base = statistics.median(found["webdataset"])
    return {
        name: round(statistics.median(values) / base, 2)
        for name, values in found.items()
        if name != "webdataset"
    }


def order_quality(_: Path) -> Figures:
    """Distinct shards in a batch of 256, against a random draw with replacement."""
    from trainers.order import EpochOrder, OrderSettings

    order = OrderSettings(batch_size=BATCH, lanes=64)
    found: Figures = {}
    for shards in (400, 1000, 10_000):
        epoch = EpochOrder([1000] * shards, order, 0)
        steps = range(0, 400, 4)
        touched = [len(np.unique(epoch.step(step, range(64))[0] // 1000)) for step in steps]
        ideal = shards * (1 - (1 - 1 / shards) ** BATCH)
        found[f"of_{shards}_shards"] = {
            "distinct": round(float(np.mean(touched)), 1),
            "ideal": round(ideal, 1),
            "ratio": round(float(np.mean(touched)) / ideal, 4),
        }
    return found


def first_batch(folder: Path) -> Figures:
    """From nothing but an interpreter to the first batch of a snapshot of 10,000 shards."""
    began = time.perf_counter()
    from trainers.reader import open_reader

    imported = time.perf_counter()
    reader = open_reader(str(folder), batch_size=BATCH)
    opened = time.perf_counter()
    batches = iter(reader)
    batch = next(batches)
    ended = time.perf_counter()
    rss = peak_mb()
    for _ in range(20):
        next(batches)
    return {
        "samples": len(batch),
        "imports_s": round(imported - began, 2),
        "open_s": round(opened - imported, 2),
        "batch_s": round(ended - opened, 2),
        "first_batch_s": round(ended - began, 2),
        "peak_rss_mb": rss,
        "peak_rss_mb_after_20_more": peak_mb(),
    }


def peak_mb() -> int:
    """The most memory that this process has held."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1024
    return 0


def state_cost(folder: Path) -> Figures:
    """Milliseconds and bytes of a state: of the reader, and of a loader with two workers."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    from trainers.reader import open_reader
    from trainers.stream import StreamDataset, reader_state

    reader = open_reader(str(folder), batch_size=BATCH)
    next(iter(reader))
    dataset: StreamDataset[int] = StreamDataset(str(folder), batch_size=BATCH, transform=len)
    loader = StatefulDataLoader(
        dataset, batch_size=None, num_workers=2, multiprocessing_context="spawn"
    )
    batches = iter(loader)
    found: Figures = {"bytes": len(json.dumps(reader.state_dict()))}
    found["reader_ms"] = milliseconds(reader.state_dict)
    for _ in range(5):
        next(batches)
    found["loader_ms"] = milliseconds(lambda: reader_state(loader.state_dict()))
    return found


def milliseconds(call: Callable[[], object]) -> float:
    """The median of 200 calls."""
    took = []
    for _ in range(200):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return round(1000 * statistics.median(took), 4)


PARTS: Final = {
    "raw_speed": raw_speed,
    "order_quality": order_quality,
    "first_batch": first_batch,
    "state_cost": state_cost,
}


def make(folder: Path, quick: bool) -> dict[str, Path]:
    """The folders that the parts read."""
    plain, many = folder / "plain", folder / "many"
    make_corpus(plain, [500] * (4 if quick else 40), payload=noise(12_000))
    make_corpus(many, [1000], payload=noise(500))
    _multiply(many, 1000 if quick else 10_000)
    return {"raw_speed": plain, "state_cost": plain, "first_batch": many, "order_quality": folder}


def _multiply(folder: Path, times: int) -> None:
    """The same shard and index under many names, as hard links."""
    (shard,) = read_snapshot(FileStore(folder), 1)["shards"]
    shards: list[ShardEntry] = []
    for number in range(times):
        name, index = f"train-{number:06d}.tar", f"train-{number:06d}.parquet"
        os.link(folder / "shards" / shard["name"], folder / "shards" / name)
        os.link(folder / "index" / shard["index"], folder / "index" / index)
        shards.append({**shard, "name": name, "index": index})
    write_snapshot(folder, shards)


def parts(folders: dict[str, Path]) -> Iterator[tuple[str, Figures]]:
    """Each part's figures, from a fresh interpreter."""
    for name, folder in folders.items():
        words = [sys.executable, "-m", "benchmarks.reader", "--part", name, "--folder", str(folder)]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
        yield name, json.loads(done.stdout.splitlines()[-1])


def peers(quick: bool) -> Figures:
    """The comparison with decoding: benchmarks/reader_peers.py."""
    words = [sys.executable, "-m", "benchmarks.reader_peers", *(["--quick"] if quick else [])]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True)
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        return {"failed": done.returncode}
    figures: Figures = json.loads(lines[-1])
    return figures


def main() -> None:
    """Run every part, or the one that is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reader")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size")
    parser.add_argument("--no-peers", action="store_true", help="leave out reader_peers")
    parser.add_argument("--folder", type=Path, help="where to put the made corpora")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(PARTS[options.part](options.folder)))
        return
    with tempfile.TemporaryDirectory(prefix="voxmill-reader-", dir=options.folder) as folder:
        figures: Figures = {}
        for name, found in parts(make(Path(folder), options.quick)):
            print(name, json.dumps(found, indent=2), flush=True)
            figures[name] = found
    if not options.no_peers:
        figures["peers"] = peers(options.quick)
        print("peers", json.dumps(figures["peers"], indent=2))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
