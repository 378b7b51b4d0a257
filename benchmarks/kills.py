"""The kill sweep: SIGKILL of workers, actors and drivers, each followed by a resume.

    python -m benchmarks.kills [--quick] [--engine local ray ...] [--rows 48]

All builds of an engine must end in the identity and shard bytes of a build that nobody disturbed,
and `clean` must leave the same files. Kills come at points of storing (benchmarks/armed.py) and at
random. Workers and actors are replaced while the build goes on, so many of them die in one build; a
driver takes all with it, and the same command goes on. --quick is a shortened sweep. The last line
is JSON.
"""

import argparse
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from benchmarks.armed import ACTOR, DRIVER, DRIVING, WORK, WORKER, Armed, Charge, Point, arm
from jobs.commands.clean import clean
from jobs.engines import start_engine
from jobs.recipes.recipe import BACKENDS, request_of
from jobs.settings.job import JobSettings
from jobs.settings.jobfile import load_job
from pipelines.build import build
from pipelines.request import prepare
from schemas.canonical import sha256_hex
from schemas.store import StoreAddress

ROOT = Path(__file__).parents[1]
JOB = ROOT / "examples" / "instruct_s2s.yaml"
CHANGES = (
    f"voices.bank={ROOT / 'tests' / 'data' / 'voices_fast.yaml'}",
    "units.clusters=16",
    "units.max_frames=4000",
    "limits.min_accepted_fraction=0",
    "checks.asr_fraction=0.02",
)
NOT_PUBLISHED = ("work/", "report/", "run.json", "README.md")
BUILD_S = 300.0  # after which a build hangs
# whose death a build survives, so that many die in one build; and whose death ends it
SURVIVED = {"local": [WORKER], "ray": [WORKER, ACTOR], "beam": [WORKER]}
ENDING = {"local": [DRIVER], "ray": [DRIVER], "beam": [DRIVER, ACTOR]}
OPTIONS = {"beam": "[--direct_running_mode=multi_processing, --direct_num_workers=2]"}
RESUMES = 3  # a build may end with an error of its own after a kill, but not again and again
SEED = 5


@dataclass
class Sweep:
    """What was killed in an engine's builds, and what they came to."""

    kills: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    resumes: int = 0
    ended_itself: list[str] = field(default_factory=list)  # builds that a dead worker ended

    def killed(self, victim: str) -> None:
        """Count a kill."""
        self.kills[victim] = self.kills.get(victim, 0) + 1


@dataclass(frozen=True)
class Trial:
    """One build as its process is told it."""

    output: str
    engine: tuple[str, ...]
    rows: int
    charges: tuple[dict[str, Any], ...] = ()

    def start(self) -> "subprocess.Popen[str]":
        """The build in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.kills", "--trial", json.dumps(asdict(self))],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )


def run_trial(told: dict[str, Any]) -> None:
    """In the build's process: build, and die where it is told."""
    charges = tuple(
        Charge(Point(**item["point"]), item["victim"], item["token"], os.getpid())
        for item in told["charges"]
    )
    changes = [*CHANGES, f"output.uri={told['output']}", *told["engine"]]
    job = load_job(JOB, changes)
    assert isinstance(job, JobSettings)
    armed = tuple(Armed(backend, charges) for backend in BACKENDS)
    request = request_of(job, JOB.parent, limit=told["rows"], backends=armed)
    arm(tuple(item for item in charges if item.point in DRIVING))
    build(prepare(request), start_engine(job, _Silent()), _Silent())


class _Silent:
    """A Listener that hears nothing."""

    def stage(self, name: str, total: int) -> None:
        """Nothing."""

    def finished(self) -> None:
        """Nothing."""

    def rows(self, step: str, count: int) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


def sweep(
    name: str, engine: tuple[str, ...], folder: Path, rows: int, *, quick: bool
) -> dict[str, Any]:
    """All kills of one engine; its figures."""
    began = time.monotonic()
    wanted, _ = _published(folder / "reference")
    done = Sweep()
    ended: dict[str, bool] = {}
    every = 3 if quick else 1
    for victim in SURVIVED[name]:
        output = folder / f"{name}-{victim}"
        _many(Trial(str(output), engine, rows), WORK[::every], victim, done)
        ended[victim] = _ended_well(output, wanted)
    points = [(DRIVER, point) for point in (*WORK[1::every], *DRIVING[:: 2 if quick else 1])]
    if ACTOR in ENDING[name]:
        points += [(ACTOR, point) for point in WORK[:: 2 * every]]
    for number, group in enumerate(_groups(points, 6)):
        output = folder / f"{name}-ended-{number}"
        for victim, point in group:
            _many(Trial(str(output), engine, rows), [point], victim, done, finish=False)
        _finish(Trial(str(output), engine, rows), done)
        ended[f"ended {number}"] = _ended_well(output, wanted)
    for number in range(1 if quick else 2):
        output = folder / f"{name}-random-{number}"
        _at_random(Trial(str(output), engine, rows), number, 2 if quick else 4, done)
        ended[f"random {number}"] = _ended_well(output, wanted)
    return {
        "kills": sum(done.kills.values()),
        "by_victim": done.kills,
        "missed": done.missed,
        "resumes": done.resumes,
        "builds_ended_by_a_dead_worker": done.ended_itself,
        "same_hash": all(ended.values()),
        "ended": ended,
        "wall_s": round(time.monotonic() - began, 1),
    }


def _groups(items: Sequence[tuple[str, Point]], size: int) -> Iterator[Sequence[tuple[str, Point]]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _many(
    trial: Trial, points: Sequence[Point], victim: str, done: Sweep, *, finish: bool = True
) -> None:
    """One build, charged with all points; then the resume, if the build is to be whole after it."""
    folder = Path(trial.output).parent / "tokens"
    folder.mkdir(exist_ok=True)
    charges = [
        {
            "point": asdict(point),
            "victim": victim,
            "token": str(folder / f"{Path(trial.output).name}-{victim}-{number}-{time.time_ns()}"),
        }
        for number, point in enumerate(points)
    ]
    charged = Trial(trial.output, trial.engine, trial.rows, tuple(charges))
    process = charged.start()
    told = _ended(process)
    if process.returncode not in (0, -signal.SIGKILL):
        done.ended_itself.append(told)
    for charge, point in zip(charges, points, strict=True):
        if Path(str(charge["token"])).exists():
            done.killed(victim)
        else:
            done.missed.append(f"{victim}: {point.when} {point.method} {point.prefix}")
    if finish:
        _finish(trial, done)


def _finish(trial: Trial, done: Sweep) -> None:
    """The same build, undisturbed."""
    for _ in range(RESUMES):
        done.resumes += 1
        process = trial.start()
        told = _ended(process)
        if process.returncode == 0:
            return
        done.ended_itself.append(told)
    raise SystemExit(f"{trial.output}: the build does not end well: {done.ended_itself[-1]}")


def _at_random(trial: Trial, seed: int, kills: int, done: Sweep) -> None:
    """Kill somebody at random moments: first the build's workers, then, at last, its driver."""
    chance = random.Random(SEED + seed)
    for number in range(kills):
        process = trial.start()
        victims: list[psutil.Process] = []
        while number % 2 == 0 and not victims and process.poll() is None:
            time.sleep(0.1)
            victims = _workers(trial, process.pid)
        time.sleep(chance.uniform(0.2, 3.0))
        victim = chance.choice(victims).pid if victims else process.pid
        if process.poll() is None:
            try:
                os.kill(victim, signal.SIGKILL)
                done.killed(f"random {DRIVER if victim == process.pid else WORKER}")
            except ProcessLookupError:
                done.missed.append("random: it had ended")
        _ended(process)
        done.resumes += 1
    _finish(trial, done)


def _ended(process: "subprocess.Popen[str]") -> str:
    """Wait for a build; the last line of what it said. One that hangs is killed, and said."""
    try:
        _, told = process.communicate(timeout=BUILD_S)
    except subprocess.TimeoutExpired:
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for child in family:
            if child.is_running():
                child.kill()
        process.communicate()
        return f"hung for {BUILD_S:g} s"
    return (told.strip().splitlines() or [""])[-1][:300]


def _workers(trial: Trial, driver: int) -> list[psutil.Process]:
    """The processes that work for a build: its own children, and Ray's workers of this machine."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        ours = "spawn_main" in words and driver in {item.pid for item in process.parents()}
        if ours or ("engine.name=ray" in trial.engine and words.startswith("ray::Station")):
            found.append(process)
    return found


def _published(output: Path) -> tuple[dict[str, str], str]:
    """All files of the corpus by sha256, after `clean`; and what clean then still finds."""
    place = StoreAddress(str(output))
    clean(place, None, "0", dry_run=False, none_running=True)
    text, figures = clean(place, None, "0", dry_run=True, none_running=True)
    files = {
        path.relative_to(output).as_posix(): path
        for path in output.rglob("*")
        if path.is_file() and not path.relative_to(output).as_posix().startswith(NOT_PUBLISHED)
    }
    rests = [str(path) for path in (output / "work").rglob("*") if _is_debris(path)]
    left = text if figures["garbage"] else " ".join(rests)
    return {name: sha256_hex(path.read_bytes()) for name, path in files.items()}, left


def _is_debris(path: Path) -> bool:
    """Whether a file of the work store is no memo pack."""
    return path.is_file() and (path.name.startswith(".tmp-") or "builds" in path.parts)


def _ended_well(output: Path, wanted: dict[str, str]) -> bool:
    """Whether a corpus is byte for byte the undisturbed one, and clean leaves no debris."""
    found, left = _published(output)
    differing = sorted(set(found.items()) ^ set(wanted.items()))
    for line in [f"{output.name}: differs: {differing}"] if differing else []:
        print(line)
    if left:
        print(f"{output.name}: left after clean: {left}")
    return not differing and not left


@contextmanager
def engine_settings(name: str) -> Iterator[tuple[str, ...]]:
    """The settings of an engine with two workers; a standing Ray that drivers come to and leave."""
    told: tuple[str, ...] = (f"engine.name={name}", "engine.workers=2")
    if name in OPTIONS:
        told = (*told, f"engine.{name}.options={OPTIONS[name]}")
    if name != "ray":
        yield told
        return
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=False,
        object_store_memory=200 << 20,
    )
    try:
        yield (*told, f"engine.ray.address={ray.get_runtime_context().gcs_address}")
    finally:
        ray.shutdown()


def main() -> None:
    """Sweep the engines and print one JSON line."""
    parser = argparse.ArgumentParser("benchmarks.kills")
    parser.add_argument("--quick", action="store_true")
    there = [name for name in SURVIVED if name != "beam" or find_spec("pipelines.engines.beam")]
    parser.add_argument("--engine", nargs="*", default=there, choices=SURVIVED)
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--trial", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.trial:
        run_trial(json.loads(options.trial))
        return
    folder = Path(tempfile.mkdtemp(prefix="voxmill-kills-"))
    figures: dict[str, Any] = {}
    try:
        reference = Trial(str(folder / "reference"), ("engine.workers=0",), options.rows)
        _finish(reference, Sweep())
        for name in options.engine:
            with engine_settings(name) as engine:
                figures[name] = sweep(name, engine, folder, options.rows, quick=options.quick)
            print(f"{name}: {json.dumps(figures[name])}", flush=True)
    finally:
        shutil.rmtree(folder)
    print(json.dumps({"rows": options.rows, "quick": options.quick, "engines": figures}))


if __name__ == "__main__":
    main()
