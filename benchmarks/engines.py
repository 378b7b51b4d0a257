"""One corpus from every engine, and what Ray costs beside the local engine.

    python -m benchmarks.engines [--quick] [--rows 300] [--speed-rows 999] [--input ROWS.json]

Identity and shard bytes are compared on ``--rows`` real rows with the fast voice: local with one
and two workers, Ray on one node and on two (on this machine), Beam where it is installed, and a
bucket (a local S3 server) beside a folder. The speed of Ray with two CPUs beside two local workers
is taken on ``--speed-rows`` rows with the shipped voices, in turn: local, Ray, local. Clusters
stand already: their start is not counted. The last line is JSON.
"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from schemas.canonical import sha256_hex
from schemas.store import StoreAddress, StoreOptions, open_store
from tests.servers import ministack

ROOT = Path(__file__).parents[1]
JOB = ROOT / "examples" / "instruct_s2s.yaml"
FAST = ("--set", f"voices.bank={ROOT / 'tests' / 'data' / 'voices_fast.yaml'}")
ROWS = ROOT.parent / "shared" / "data" / "instructions" / "alpaca_en_1k.json"
STORE_BYTES = 100 << 20
TWO = ("--workers", "2")
BEAM = {
    "beam in memory": "--direct_running_mode=in_memory",
    "beam multi-processing": "--direct_running_mode=multi_processing",
}


def build(output: str, source: tuple[str, ...], *options: str) -> tuple[dict[str, Any], float]:
    """One build by command: its JSON line, its wall time in s."""
    words = [sys.executable, "-m", "jobs.cli", "build", str(JOB), "--output", output, "--json"]
    began = time.perf_counter()
    done = subprocess.run(
        [*words, "--quiet", *source, *options], cwd=ROOT, capture_output=True, text=True
    )
    wall_s = time.perf_counter() - began
    if not done.stdout:
        raise SystemExit(f"{output}: {done.stderr[-2000:]}")
    line: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return line, wall_s


def shards(address: StoreAddress) -> dict[str, str]:
    """Every shard by sha256."""
    store = open_store(address)
    return {path: sha256_hex(store.get(path)) for path in store.list("shards")}


@contextmanager
def ray_cluster(nodes: int) -> Iterator[str]:
    """The address of a standing cluster of two CPUs on one or two nodes of this machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    each: dict[str, Any] = {"num_cpus": 2 // nodes, "object_store_memory": STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args={**each, "include_dashboard": False})
    try:
        for _ in range(nodes - 1):
            cluster.add_node(**each)
        yield cluster.address
    finally:
        cluster.shutdown()


def same(folder: Path, source: tuple[str, ...]) -> dict[str, Any]:
    """Builds on every engine: which agree with one local worker, and their wall times."""
    wanted: tuple[str, dict[str, str]] | None = None
    found: dict[str, Any] = {}

    def compare(name: str, address: StoreAddress, *options: str) -> None:
        nonlocal wanted
        line, wall_s = build(address.uri, source, *FAST, *options)
        got = (line["identity"], shards(address))
        wanted = wanted or got
        found[name] = {"same": got == wanted, "wall_s": round(wall_s, 1)}
        print(f"{name}: {found[name]}", flush=True)

    def place(name: str) -> StoreAddress:
        return StoreAddress(str(folder / name.replace(" ", "-")))

    compare("local x1", place("local x1"), "--workers", "1")
    compare("local x2", place("local x2"), *TWO)
    if importlib.util.find_spec("ray"):
        for nodes, name in ((1, "ray"), (2, "ray on two nodes")):
            with ray_cluster(nodes) as address:
                compare(name, place(name), *TWO, "--engine", "ray", "--address", address)
    if importlib.util.find_spec("apache_beam"):
        for name, option in BEAM.items():
            told = ("--set", f"engine.beam.options=[{option}, --direct_num_workers=2]")
            compare(name, place(name), *TWO, "--engine", "beam", *told)
    _bucket(folder, compare)
    assert wanted is not None
    return {"identity": wanted[0], "engines": found}


def _bucket(folder: Path, compare: Any) -> None:  # noqa: ANN401 - a function of optional words
    """Local and Ray builds into buckets of a server on this machine, which keeps them in memory."""
    with ExitStack() as stack:
        server = stack.enter_context(ministack(folder))
        # workers of a new cluster inherit it
        stack.enter_context(patch.dict(os.environ, server.environment))
        options = StoreOptions(endpoint=server.endpoint, region="us-east-1")
        place = StoreAddress(f"{server.bucket('local')}/corpus", options)
        told = ("--set", f"output.store.endpoint={server.endpoint}")
        compare("s3, local x2", place, *TWO, *told)
        if importlib.util.find_spec("ray"):
            place = StoreAddress(f"{server.bucket('ray')}/corpus", options)
            address = stack.enter_context(ray_cluster(1))
            compare("s3, ray", place, *TWO, *told, "--engine", "ray", "--address", address)


def speed(folder: Path, source: tuple[str, ...]) -> dict[str, Any]:
    """Ray with two CPUs beside two local workers, in turn; the ratio of wall times."""
    walls: dict[str, list[float]] = {"local x2": [], "ray": []}
    with ray_cluster(1) as address:
        on_ray = ("--engine", "ray", "--address", address)
        for number, name in enumerate(("local x2", "ray", "local x2")):
            output = folder / f"speed-{number}"
            line, wall_s = build(str(output), source, *TWO, *(on_ray if name == "ray" else ()))
            walls[name].append(round(wall_s, 1))
            print(f"{name}: {wall_s:.1f} s, identity {line['identity'][:12]}", flush=True)
            shutil.rmtree(output)
    local_s = sum(walls["local x2"]) / len(walls["local x2"])
    return {"wall_s": walls, "ray_over_local": round(walls["ray"][0] / local_s, 3)}


def main() -> None:
    """Run both parts and print one JSON line."""
    parser = argparse.ArgumentParser("benchmarks.engines")
    parser.add_argument("--quick", action="store_true", help="48 shipped rows for both parts")
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--speed-rows", type=int, default=999)
    parser.add_argument("--input", type=Path, default=ROWS)
    parser.add_argument("--only", nargs="*", default=["same", "speed"])
    options = parser.parse_args()
    source: tuple[str, ...] = ()
    counts = {"same": 48, "speed": 48}
    if not options.quick:
        if not options.input.exists():
            raise SystemExit(f"{options.input}: not there; give --input ROWS.json, or --quick")
        source = ("--input", str(options.input), "--set", "source.adapter=alpaca")
        source = (*source, "--set", "source.name=benchmark")
        counts = {"same": options.rows, "speed": options.speed_rows}
    folder = Path(tempfile.mkdtemp(prefix="voxmill-engines-"))
    figures: dict[str, Any] = {"cores": os.cpu_count(), "rows": counts}
    try:
        for part, run in (("same", same), ("speed", speed)):
            if part in options.only:
                figures[part] = run(folder, (*source, "--limit", str(counts[part])))
    finally:
        shutil.rmtree(folder)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
