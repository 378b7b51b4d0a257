"""Near duplicates: one verdict for every order, and what a million rows cost and find.

    python -m benchmarks.dedup [--rows 1000000] [--set FILE]

The set (../shared/data/instructions/alpaca_en_1k.json, where it is there) is reduced in ten
shuffled orders, cut and merged differently each time. The synthetic rows are reduced by two
processes as workers of a build do it (16 rows to a partial, a pack on disk each), then finished by
a third. One row in 25 is a planted repetition of another, with words changed; its true Jaccard
similarity is counted from the shingles. The last line is JSON.
"""

import argparse
import hashlib
import itertools
import json
import multiprocessing
import random
import resource
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.sources.read import read_source
from jobs.sources.settings import SourceSettings
from pipelines.memo import pack_bytes, unpack
from pipelines.reduction import levels
from pipelines.worker import merge_parts
from schemas.columns import Reason
from schemas.conversation import Turn, row_id, turn
from schemas.store import Store, open_store
from transforms.dedup import Dedup, FindDuplicates, Near
from transforms.minhash import tokens

PARTITION_ROWS = 16
ORDERS = 10
PROCESSES = 2
EVERY = 25  # one row in so many is planted
WORDS = 30_000
NEAR = Near()
FIT = FindDuplicates(near=NEAR)
BINS = (0.0, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.01)


def main() -> None:
    """Measure both and print one JSON line."""
    parser = argparse.ArgumentParser("benchmarks.dedup")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--set", type=Path, default=None, dest="rows_file", metavar="FILE")
    options = parser.parse_args()
    default = Path(__file__).parents[2] / "shared/data/instructions/alpaca_en_1k.json"
    found = options.rows_file or default
    figures: dict[str, Any] = {}
    if found.exists():
        figures["orders"] = any_order(found)
    elif options.rows_file is not None:
        parser.error(f"--set {found}: no such file")
    figures["synthetic"] = at_scale(options.rows)
    print(json.dumps(figures))


def any_order(path: Path) -> dict[str, Any]:
    """The verdicts on a set in ten orders: how many differ, how many rows repeat another."""
    source = SourceSettings(path=path, adapter="alpaca", name=path.stem, license="", lang="en")
    rows: list[tuple[str, list[Turn]]] = []
    seen: dict[str, int] = {}
    for item in read_source(source):
        if item.conversation is not None:
            seen[item.digest] = seen.get(item.digest, -1) + 1
            rows.append((row_id(item.digest, seen[item.digest]), item.conversation["turns"]))
    artifacts = []
    for seed in range(ORDERS):
        chance = random.Random(seed)
        shuffled = chance.sample(rows, len(rows))
        size = chance.randrange(1, 40)
        parts = [
            FIT.partial(_batch(shuffled[start : start + size]), 1)
            for start in range(0, len(rows), size)
        ]
        chance.shuffle(parts)
        cut = chance.randrange(1, len(parts))
        merged = FIT.merge([FIT.merge(parts[cut:]), FIT.merge(parts[:cut])])
        artifacts.append(FIT.finalize(merged))
    codes = [item["code"] for item in _verdicts(artifacts[0], [key for key, _ in rows]).values()]
    return {
        "set": path.stem,
        "rows": len(rows),
        "orders": ORDERS,
        "different_verdicts": len(set(artifacts)) - 1,
        "duplicate": codes.count("duplicate"),
        "near_duplicate": codes.count("near_duplicate"),
    }


def at_scale(num_rows: int) -> dict[str, Any]:
    """Time, memory, recall and precision on synthetic rows with planted repetitions."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="voxmill-dedup-") as folder:
        began = time.monotonic()
        spans = [
            (num_rows * part // PROCESSES, num_rows * (part + 1) // PROCESSES, num_rows, folder)
            for part in range(PROCESSES)
        ]
        with context.Pool(PROCESSES, maxtasksperchild=1) as pool:
            workers = pool.map(_write_partials, spans, chunksize=1)
        partials_s = time.monotonic() - began
        began = time.monotonic()
        with context.Pool(1) as pool:
            finisher = pool.apply(_finish, (folder,))
        finish_s = time.monotonic() - began
        artifact = Path(folder, "artifact").read_bytes()
        packs = sum(path.stat().st_size for path in Path(folder).glob("fit/*.pack"))
    own = [item["own_s"] for item in workers]
    driver_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "rows": num_rows,
        "partials_s": round(partials_s, 1),
        "of_which_writing_the_rows_s": round(partials_s - max(own), 1),
        "finish_s": round(finish_s, 1),
        "wall_s": round(partials_s + finish_s, 1),
        "worker_rss_mb": [round(item["rss_mb"]) for item in workers],
        "finisher_rss_mb": round(finisher),
        "driver_rss_mb": round(driver_mb),
        "packs_mb": round(packs / 1e6),
        "artifact_mb": round(len(artifact) / 1e6, 1),
        **_quality(artifact, num_rows),
    }


def _write_partials(span: tuple[int, int, int, str]) -> dict[str, float]:
    """What a worker does, and the seconds that it took but for making up the rows."""
    start, stop, num_rows, folder = span
    store = open_store(folder)
    own_s = 0.0
    for first in range(start, stop, PARTITION_ROWS):
        numbers = range(first, min(first + PARTITION_ROWS, stop))
        batch = _batch([(_key(number), _turns(number, num_rows)) for number in numbers])
        began = time.monotonic()
        store.put(f"fit/p{first:09d}.pack", pack_bytes(FIT.partial(batch, 1)))
        own_s += time.monotonic() - began
    return {"own_s": own_s, "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _finish(folder: str) -> float:
    store = open_store(folder)
    parts = sorted(store.list("fit"))
    for knots in levels(parts, "fit"):  # a build's workers share these merges
        for knot in knots:
            store.put(knot.into, pack_bytes(_merged(store, knot.parts)))
        parts = [knot.into for knot in knots]
    store.put("artifact", FIT.finalize(_merged(store, parts)))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _merged(store: Store, parts: Iterable[str]) -> pa.Table:
    return merge_parts(FIT, (unpack(store.get(path), path) for path in parts))


def _quality(artifact: bytes, num_rows: int) -> dict[str, Any]:
    """Recall by true similarity, and precision: of the pairs that were named, truly alike."""
    found = pa.ipc.open_stream(artifact).read_all().to_pydict()
    named = {*found["id"], *found["repeats"]}
    number_of = {key: n for n in range(num_rows) if (key := _key(n)) in named}
    repeats = dict(zip(found["id"], found["repeats"], strict=True))
    measured = zip(found["id"], found["similarity"], strict=True)
    near = {key: repeats[key] for key, similarity in measured if similarity is not None}
    planted = [(n, _base(n, num_rows)) for n in range(num_rows) if n % EVERY == 0]
    truth = np.array([_jaccard(n, base, num_rows) for n, base in planted])
    pairs = [(_key(n), _key(base)) for n, base in planted]
    caught = np.array([repeats.get(a) == b or repeats.get(b) == a for a, b in pairs])
    bins = {
        f"{low:g}-{min(high, 1):g}": round(float(caught[(truth >= low) & (truth < high)].mean()), 4)
        for low, high in itertools.pairwise(BINS)
        if ((truth >= low) & (truth < high)).any()
    }
    alike = np.array(
        [_jaccard(number_of[key], number_of[other], num_rows) for key, other in near.items()]
    )
    good = truth >= NEAR.threshold
    return {
        "planted": len(planted),
        "near_duplicate": len(near),
        "duplicate": len(repeats) - len(near),
        "recall": round(float(caught[good].mean()), 4),
        "precision": round(float((alike >= NEAR.threshold).mean()), 4),
        "precision_within_0.1": round(float((alike >= NEAR.threshold - 0.1).mean()), 4),
        "least_true_similarity": round(float(alike.min()), 3),
        "caught_by_true_similarity": bins,
    }


def _verdicts(artifact: bytes, ids: list[str]) -> dict[str, Reason]:
    with Dedup().open({FindDuplicates.name: artifact}) as judge:
        batch = pa.RecordBatch.from_arrays([pa.array(ids)], schema=Dedup.reads)
        reasons = judge(batch).column(0).to_pylist()
    return {key: found[0] for key, found in zip(ids, reasons, strict=True) if found}


def _batch(rows: list[tuple[str, list[Turn]]]) -> pa.RecordBatch:
    columns = [{"id": key, "turns": turns, "born": 1} for key, turns in rows]
    return pa.RecordBatch.from_pylist(columns, schema=FIT.reads)


def _key(number: int) -> str:
    return row_id(hashlib.sha256(b"%d" % number).hexdigest()[:24], 0)


def _base(number: int, num_rows: int) -> int:
    """The row that a planted one repeats: none that is planted itself."""
    base = (number * 7919 + 13) % num_rows
    return base if base % EVERY else base + 1 if base + 1 < num_rows else base - 1


def _text(number: int) -> list[str]:
    """A question of 12 words and an answer of 20 to 90, frequent words being frequent."""
    chance = np.random.default_rng(number)
    ranks = WORDS ** chance.random(int(chance.integers(32, 103))) - 1
    return [f"w{int(rank):x}" for rank in ranks]


def _words(number: int, num_rows: int) -> list[str]:
    if number % EVERY:
        return _text(number)
    words = _text(_base(number, num_rows))
    chance = random.Random(number)
    for place in chance.sample(range(len(words)), chance.randrange(0, 1 + len(words) // 5)):
        words[place] = f"x{chance.randrange(WORDS):x}"
    return words


def _turns(number: int, num_rows: int) -> list[Turn]:
    words = _words(number, num_rows)
    return [turn("user", " ".join(words[:12])), turn("assistant", " ".join(words[12:]))]


def _jaccard(one: int, other: int, num_rows: int) -> float:
    sets = [
        {
            tuple(words[start : start + NEAR.shingle])
            for item in _turns(number, num_rows)
            for words in [tokens(item["text"])]
            for start in range(len(words) - NEAR.shingle + 1)
        }
        for number in (one, other)
    ]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


if __name__ == "__main__":
    main()
