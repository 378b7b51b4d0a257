"""Units: HuBERT against the usual script, k-means against scikit-learn and faiss.

    python -m benchmarks.units [--quick] [--device cuda]

Models have the released ones' shapes and random weights; frames are drawn (64 directions of falling
size in 768, with noise), since no weights can be had everywhere. faiss is installed in an
environment of its own below --folder. Rounds take turns, and a ratio is that of one round. The last
line is JSON.
"""

import argparse
import hashlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from benchmarks import units_hubert
from benchmarks.reader_peers import environment, run
from transforms.clustering.assign import Assigner, has_tiles
from transforms.clustering.fit import fit_kmeans, inertia

Result = TypeVar("Result")
Floats = npt.NDArray[np.float32]
DIMENSIONS, DIRECTIONS, NOISE = 768, 64, 0.25
REQUIREMENTS = Path(__file__).with_name("units_peers.txt")
SIZES = {  # clips, frames to assign, rows to fit, clusters, rounds
    "full": (40, 200_000, 1_000_000, 1000, 3),
    "quick": (6, 20_000, 30_000, 200, 1),
}


def drawn(count: int, seed: int) -> Floats:
    """Frames [count, 768]."""
    chance = np.random.default_rng(seed)
    basis = np.random.default_rng(7).standard_normal((DIRECTIONS, DIMENSIONS), dtype=np.float32)
    sizes = 6 / 8 / np.sqrt(np.arange(1, DIRECTIONS + 1, dtype=np.float32))
    rows = np.empty((count, DIMENSIONS), np.float32)
    for start in range(0, count, 50_000):
        part = rows[start : start + 50_000]
        inner = chance.standard_normal((len(part), DIRECTIONS), dtype=np.float32) * sizes
        part[:] = inner @ basis + NOISE * chance.standard_normal(part.shape, dtype=np.float32)
    return rows


def hubert(folder: Path, num_clips: int, rounds: int, threads: int) -> dict[str, object]:
    """The step against the script, by rounds."""
    spec = units_hubert.write_model(folder / "base", "base")
    flacs = units_hubert.clips(num_clips)
    centroids = units_hubert.draw_centroids(spec, flacs[:4])
    alone, whole, rates, equal = [], [], [], True
    shares: list[float] = []
    for _ in range(rounds):
        one_s, expected = units_hubert.script(spec, flacs, centroids, 1)
        step_s, found = units_hubert.run_step(spec, flacs, centroids, 16)
        all_s, again = units_hubert.script(spec, flacs, centroids, threads)
        many_s, parallel = units_hubert.run_processes(spec, flacs, centroids, threads)
        alone.append(one_s / step_s)
        whole.append(all_s / many_s)
        rates.append(len(flacs) / many_s)
        equal &= found == parallel
        shares += [units_hubert.share_equal(found, other) for other in (expected, again)]
    return {
        "utterances": len(flacs),
        "utterances_per_s": round(statistics.median(rates), 3),
        "over_script_one_thread": round(statistics.median(alone), 3),
        "over_script_all_cores": round(statistics.median(whole), 3),
        "frames_as_the_script": round(min(shares), 5),
        "frames_as_the_exact_script": units_hubert.share_equal(
            found, units_hubert.script(spec, flacs, centroids, 1, exact=True)[1]
        ),
        "processes_agree": equal,
    }


def assign(folder: Path, num: int, clusters: int, rounds: int, threads: int) -> dict[str, object]:
    """Frames per second of ours, scikit-learn's and faiss's nearest centroid."""
    from sklearn.metrics import pairwise_distances_argmin

    python = environment(folder, REQUIREMENTS)
    frames = drawn(num, 1)
    centroids = fit_kmeans(drawn(20 * clusters, 2), clusters, 0, passes=1)
    np.save(folder / "frames.npy", frames)
    np.save(folder / "centroids.npy", centroids)
    ours = Assigner(centroids)
    ours.nearest(frames[:4096])
    names = ("voxmill", "scikit-learn", "faiss")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    sums: dict[str, str] = {}
    for _ in range(rounds):
        for name, call in (
            ("voxmill", lambda: ours.nearest(frames)),
            ("scikit-learn", lambda: pairwise_distances_argmin(frames, centroids)),
        ):
            took, found = timed(call)
            seconds[name].append(took)
            sums[name] = hashlib.sha256(found.astype(np.int32).tobytes()).hexdigest()[:16]
        paths = (str(folder / "frames.npy"), str(folder / "centroids.npy"))
        told = json.loads(run(python, "benchmarks.units_faiss", *paths, "1", str(threads)))
        seconds["faiss"].append(told["seconds"][0])
        sums["faiss"] = told["checksum"]
    fastest = [min(seconds[name][n] for name in names[1:]) for n in range(rounds)]
    ratios = [peer / mine for peer, mine in zip(fastest, seconds["voxmill"], strict=True)]
    return {
        "frames": num,
        "clusters": clusters,
        "first_pass": "bfloat16 tiles" if has_tiles() else "float32",
        "frames_per_s": {name: round(num / statistics.median(seconds[name])) for name in names},
        "over_fastest": round(statistics.median(ratios), 3),
        "same_ids_as": [name for name in names[1:] if sums[name] == sums["voxmill"]],
    }


def fit(num: int, clusters: int) -> dict[str, object]:
    """Ours against one pass of scikit-learn's MiniBatchKMeans from a single seeding."""
    from sklearn.cluster import MiniBatchKMeans

    rows = drawn(num, 3)
    took, centroids = timed(lambda: fit_kmeans(rows, clusters, 0))
    peer = MiniBatchKMeans(
        clusters,
        batch_size=10_000,
        n_init=1,
        max_iter=1,
        max_no_improvement=None,
        reassignment_ratio=0.0,
        random_state=0,
    )
    peer_took, model = timed(lambda: peer.fit(rows))
    mine = inertia(rows, centroids)
    theirs = inertia(rows, model.cluster_centers_.astype(np.float32))
    return {
        "rows": num,
        "clusters": clusters,
        "seconds": {"voxmill": round(took, 2), "scikit-learn": round(peer_took, 2)},
        "inertia": {"voxmill": round(mine, 3), "scikit-learn": round(theirs, 3)},
        "over_scikit_learn": round(peer_took / took, 3),
    }


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds, and what came of it."""
    started = time.perf_counter()
    found = call()
    return time.perf_counter() - started, found


def main() -> None:
    """Print the figures; the last line is JSON."""
    parser = argparse.ArgumentParser("python -m benchmarks.units")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round")
    parser.add_argument("--device", default="cpu", help="cuda: HuBERT base and large on a GPU")
    parser.add_argument("--parts", default="hubert,assign,fit")
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()) / "voxmill-units"
    )
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    num_clips, frames, rows, clusters, rounds = SIZES["quick" if options.quick else "full"]
    threads = len(os.sched_getaffinity(0))
    parts = options.parts.split(",")
    found: dict[str, object] = {"benchmark": "units", "threads": threads}
    if options.device != "cpu":
        found["gpu"] = units_hubert.on_gpu(options.folder, options.device, 8 * num_clips)
        print(json.dumps(found))
        return
    if "hubert" in parts:
        found["hubert"] = hubert(options.folder, num_clips, rounds, threads)
        print(f"hubert  {found['hubert']}")
    if "assign" in parts:
        found["assign"] = assign(options.folder, frames, clusters, rounds, threads)
        print(f"assign  {found['assign']}")
    if "fit" in parts:
        found["fit"] = fit(rows, clusters)
        print(f"fit     {found['fit']}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
