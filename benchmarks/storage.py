"""What object storage costs and withstands: speed against disk, faults, kills, two drivers.

    python -m benchmarks.storage --rows alpaca_en_1k.json

S3 is ministack on loopback, which takes its share of the same cores. Disk and S3 alternate in one
run. The last line is JSON. `--only` runs a part: ratio, faults, kills, drivers; `--table` prints
the sweep's table for docs/storage.md.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, TypeAlias

import psutil

from schemas.canonical import sha256_hex
from schemas.store import Store, open_store
from tests.killer import POINTS, killed_build
from tests.proxy import proxy
from tests.servers import Server, ministack, moto
from tests.weather import RIGHT, agrees, cases, play

ROOT = Path(__file__).parents[1]
JOB = ROOT / "examples" / "instruct_s2s.yaml"
BANK = f"voices.bank={ROOT / 'tests' / 'data' / 'voices_fast.yaml'}"
SMALL = ("--set", BANK, "--set", "units.clusters=16", "--set", "units.max_frames=4000")
NOT_THE_CORPUS = ("work/", "report/", "run.json", "README.md", "croissant.json")
OWN_LINE = "voxmill-benchmark"
Moment: TypeAlias = tuple[str, str, str, int] | float  # a point of tests/killer.py, or seconds


def build(output: str, server: Server, *options: str) -> tuple[dict[str, Any], float]:
    """One build by command with 2 workers: its JSON line and its wall time in s."""
    words = [sys.executable, "-m", "jobs.cli", "build", str(JOB), "--output", output]
    words += ["--workers", "2", "--json", "--quiet", *options]
    environment = {**os.environ, **server.environment}
    began = time.perf_counter()
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=environment)
    wall_s = time.perf_counter() - began
    if done.returncode not in (0, 1, 3):
        raise RuntimeError(done.stderr[-2000:])
    line: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return line, wall_s


def contents(store: Store) -> dict[str, str]:
    """What a corpus consists of, by sha256."""
    return {
        path: sha256_hex(store.get(path))
        for path in store.list("")
        if not path.startswith(NOT_THE_CORPUS)
    }


def ratio(folder: Path, server: Server, rows: Path | None, rounds: int) -> dict[str, Any]:
    """Disk, S3, disk, S3, ...: wall times, and whether the bytes are the same."""
    options: tuple[str, ...] = ()
    if rows is not None:
        options = ("--input", str(rows), "--set", "source.adapter=alpaca")
        options += ("--set", f"source.name={OWN_LINE}")
    times: dict[str, list[float]] = {"disk": [], "s3": []}
    uri = server.bucket("ratio")
    lines = []
    for number in range(rounds):
        for kind, place in (("disk", str(folder / "corpus")), ("s3", f"{uri}/corpus-{number}")):
            line, wall_s = build(place, server, *options)
            times[kind].append(round(wall_s, 2))
            lines.append(line)
        here = contents(open_store(str(folder / "corpus")))
        there = contents(open_store(server.address(f"{uri}/corpus-{number}")))
        shutil.rmtree(folder / "corpus")
    disk_s, s3_s = (sum(times[kind]) / rounds for kind in ("disk", "s3"))
    return {
        "disk_s": times["disk"],
        "s3_s": times["s3"],
        "s3_over_disk": round(s3_s / disk_s, 3),
        "same_identity": len({line["identity"] for line in lines}) == 1,
        "same_bytes": here == there,
        "rows": lines[0]["rows"],
        "identity": lines[0]["identity"],
    }


def faults(folder: Path, server: Server, name: str, *, table: bool = False) -> dict[str, Any]:
    """Every case of the sweep on one server: how many ended as they must."""
    ended: Counter[str] = Counter()
    wrong: list[str] = []
    rows = []
    with proxy(server) as front:
        for number, case in enumerate(cases()):
            uri = f"{server.bucket(f'{name}-{number}')}/corpus"
            try:
                told = play(case, front, uri, folder)
            except AssertionError as error:
                told = f"WRONG BYTES: {error}"
            if not agrees(case, told):
                wrong.append(f"{case.name}: {told}")
            ended["right bytes" if told == RIGHT else "clear error"] += 1
            rows.append((case, told))
    if table:
        print_table(rows)
    return {f"{name}_cases": len(rows), f"{name}_ended": dict(ended), f"{name}_wrong": wrong}


def print_table(rows: list[tuple[Any, str]]) -> None:
    """Faults by operation, for docs/storage.md."""
    groups: dict[tuple[str, str], list[str]] = {}
    for case, told in rows:
        often = case.name.removeprefix(case.fault.name + ", ").partition(":")[0]
        outcome = "right bytes" if told == RIGHT else f"error: {told.partition(': ')[2]}"
        outcome = outcome.partition(" (the store said")[0]
        if "wanted" in outcome:
            outcome = "error: wanted N bytes at M, the object ended after K; `voxmill verify`"
        groups.setdefault((f"{case.fault.name}, {often}", outcome), []).append(case.operation.name)
    print("| fault | on | ends in |\n|---|---|---|")
    for (fault, outcome), operations in groups.items():
        print(f"| {fault} | {', '.join(dict.fromkeys(operations))} | {outcome} |")


def kills(folder: Path, server: Server, number_of_random: int) -> dict[str, Any]:
    """Builds killed at chosen points and at random moments, each then built again and cleaned."""
    rows = folder / "rows.jsonl"
    sample = (ROOT / "examples" / "sample_instructions.jsonl").read_text("utf-8").splitlines()
    rows.write_text("\n".join(sample[:24]) + "\n", "utf-8")
    options = (*SMALL, "--input", str(rows))
    line, whole_s = build(str(folder / "reference"), server, *options)
    wanted = contents(open_store(str(folder / "reference")))
    uri = server.bucket("kills")
    figures: Counter[str] = Counter()
    bad: list[str] = []
    chance = random.Random(11)
    moments: list[Moment] = [*POINTS]
    moments += [chance.uniform(0.5, whole_s) for _ in range(number_of_random)]
    for number, moment in enumerate(moments):
        place = f"{uri}/corpus-{number}"
        died = _die(moment, place, server, options)
        figures["killed" if died else "ended before the kill"] += 1
        again, _ = build(place, server, *options)
        debris = _clean(place, server)
        store = open_store(server.address(place))
        good = again["identity"] == line["identity"] and contents(store) == wanted
        good = good and not store.list("work/builds") and not list(store.unfinished())
        figures["resumed to the same corpus" if good else "DIFFERENT"] += 1
        figures["pieces of debris removed"] += debris
        if not good:
            bad.append(str(moment))
    return {"kills": dict(figures), "kills_bad": bad}


def _die(moment: Moment, place: str, server: Server, options: tuple[str, ...]) -> bool:
    environment = {**os.environ, **server.environment}
    if isinstance(moment, tuple):
        words = [*killed_build([str(word) for word in moment], JOB, place), *options]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, env=environment)
        return done.returncode == -signal.SIGKILL
    words = [sys.executable, "-m", "jobs.cli", "build", str(JOB), "--output", place]
    words += ["--workers", "2", "--quiet", *options]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = subprocess.Popen(words, cwd=ROOT, env=environment, **quiet)
    try:
        running.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        family = psutil.Process(running.pid)
        for process in [family, *family.children(recursive=True)]:
            process.kill()
    return running.wait() == -signal.SIGKILL


def _clean(place: str, server: Server) -> int:
    words = [sys.executable, "-m", "jobs.cli", "clean", place]
    words += ["--grace", "0", "--none-running", "--json"]
    environment = {**os.environ, **server.environment}
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, env=environment, check=True
    )
    return int(json.loads(done.stdout.splitlines()[-1])["removed"])


def drivers(server: Server) -> dict[str, Any]:
    """Two drivers on one output at once: their identities, and the snapshots that there are."""
    place = f"{server.bucket('drivers')}/corpus"
    words = [sys.executable, "-m", "jobs.cli", "build", str(JOB), "--output", place]
    words += ["--workers", "1", "--json", "--quiet", *SMALL]
    environment = {**os.environ, **server.environment}
    running = [
        subprocess.Popen(
            words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        for _ in range(2)
    ]
    texts = [process.communicate()[0] for process in running]
    identities = {json.loads(text.splitlines()[-1])["identity"] for text in texts}
    check = [sys.executable, "-m", "jobs.cli", "verify", place, "--deep"]
    verified = subprocess.run(check, cwd=ROOT, env=environment, capture_output=True)
    return {
        "drivers_identities": len(identities),
        "drivers_snapshots": len(open_store(server.address(place)).list("snapshots")),
        "drivers_verified": verified.returncode == 0,
    }


def main() -> None:
    """Run the parts and print one JSON line."""
    parser = argparse.ArgumentParser("benchmarks.storage")
    parser.add_argument("--rows", type=Path, help="Alpaca rows (default: the shipped sample)")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--random-kills", type=int, default=6)
    parser.add_argument("--only", nargs="*", default=["ratio", "faults", "kills", "drivers"])
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="voxmill-storage-"))
    os.environ.update({"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test-secret"})
    figures: dict[str, Any] = {"cores": os.cpu_count()}
    try:
        with ministack(folder) as server:
            if "ratio" in options.only:
                figures |= ratio(folder, server, options.rows, options.rounds)
            if "faults" in options.only:
                figures |= faults(folder, server, "ministack", table=options.table)
                with moto(folder) as other:
                    figures |= faults(folder, other, "moto")
            if "kills" in options.only:
                figures |= kills(folder, server, options.random_kills)
            if "drivers" in options.only:
                figures |= drivers(server)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
