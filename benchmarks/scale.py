"""What a large corpus costs the driver: planning it, and each partition of a build.

    python -m benchmarks.scale            1M rows in 16,000 partitions, a tenth more, planning 10M
    python -m benchmarks.scale --quick    20,000 rows in 320, then planning 200,000

The steps are stubs and cost nothing: an engine answers each task at once with the receipt that a
worker would send, after it has written the small files that the driver reads. Its own time is
taken off. What is left is the driver: planning, tasks and receipts of three passes over all
partitions (two fit steps and the verdicts), shards committed, outcomes gathered, the snapshot
published; then a tenth more rows are planned against it. Every size runs in a process of its own,
whose peak memory is read. Last line: JSON.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from benchmarks.cpu_time import cpu_seconds
from jobs.sources.read import SourceRow
from pipelines.build import build
from pipelines.commit import Commit, claim
from pipelines.engines.engine import Listener
from pipelines.graph import Pipeline
from pipelines.memo import pack_bytes
from pipelines.outcome import OUTCOME
from pipelines.plan import Partition, PlannedShard
from pipelines.request import Planned, Request, prepare
from pipelines.task import AssembleShard, FinishFit, Job, MergeParts, Receipt, RunPartition, Task
from schemas.canonical import sha256_hex
from schemas.columns import field
from schemas.conversation import CONVERSATION, content_hash, turn
from schemas.snapshot import FileEntry, ShardEntry
from schemas.store import StoreAddress, open_store
from transforms.step import Artifacts, BatchFn, Fit, Step

ROWS, ROWS_PER_PARTITION, TIMES = 1_000_000, 62, 10
QUICK_ROWS = 20_000
LIMITS = {"plan_s": 90.0, "plan_mb": 600.0, "driver_ms_per_partition": 10.0}
REJECTED = 3  # rows of a partition that are not accepted
WORDS = "river castle garden window doctor engine mountain planet bottle silver kitchen".split()


def only(name: str) -> pa.Schema:
    """A schema of one column of the conversation table."""
    return pa.schema([CONVERSATION.field(name)])


@dataclass(frozen=True, kw_only=True)
class Stub(Step):
    """A step that is never opened; ``column`` is what it would write."""

    name: ClassVar[str] = "stub"
    table: ClassVar[Any] = "conversations"
    memo: ClassVar[bool] = True
    reads: ClassVar[pa.Schema] = only("turns")
    writes: ClassVar[pa.Schema] = pa.schema([field("stub", pa.string(), "nothing")])

    def open(self, artifacts: Artifacts) -> AbstractContextManager[BatchFn]:
        return nullcontext(lambda batch: batch)


@dataclass(frozen=True, kw_only=True)
class FirstFit(Fit):
    """A fit step that is never run, as dedup is."""

    name: ClassVar[str] = "first_fit"
    table: ClassVar[Any] = "conversations"
    reads: ClassVar[pa.Schema] = only("id")

    def partial(self, batch: pa.RecordBatch, num_partitions: int) -> pa.Table:
        return pa.table({})

    def merge(self, parts: list[pa.Table]) -> pa.Table:
        return pa.table({})

    def finalize(self, merged: pa.Table) -> bytes:
        return b""


@dataclass(frozen=True, kw_only=True)
class SecondFit(FirstFit):
    """Another, as k-means is."""

    name: ClassVar[str] = "second_fit"


class StubEngine:
    """Answers as workers would. ``own_s`` and ``own_cpu_s`` are what that took."""

    def __init__(self, job: Job, listener: Listener) -> None:
        self.job, self.listener = job, listener
        self.output, self.work = open_store(job.output), open_store(job.work)
        self.own_s = self.own_cpu_s = 0.0
        self.tasks = 0

    def run(self, tasks: Iterable[Task]) -> Iterator[Receipt]:
        for task in tasks:
            began, cpu = time.perf_counter(), time.process_time()
            receipt = self._answer(task)
            self.own_s += time.perf_counter() - began
            self.own_cpu_s += time.process_time() - cpu
            self.tasks += 1
            self.listener.finished()
            yield receipt

    def close(self) -> None:
        """Nothing runs."""

    def _answer(self, task: Task) -> Receipt:
        if isinstance(task, RunPartition):
            return self._partition(task.partition, task.until)
        if isinstance(task, MergeParts):
            self.work.put(task.into, b"merged")
            return {}
        if isinstance(task, FinishFit):
            data = task.fit.encode()
            entry: FileEntry = {"name": f"artifacts/{task.fit}", "sha256": sha256_hex(data)}
            self.output.put(entry["name"], data)
            return {"artifact": entry}
        assert isinstance(task, AssembleShard)
        return {"commit": self._shard(task.shard, task.partitions), "lost": None}

    def _partition(self, partition: Partition, until: str | None) -> Receipt:
        count = len(partition.ids)
        stats = {"rows": count, "computed": count, "busy_s": 0.0, "failed": 0, "retried": 0}
        receipt = {"partition": partition.name, "steps": {"stub": {**stats, "causes": {}}}}
        if until is not None:
            path = f"{self.job.scratch}/fit-{until}/{partition.name}.pack"
            self.work.put(path, b"part")
            return {**receipt, "part": path}
        rows = [_rejected(key, partition.name) for key in partition.ids[:REJECTED]]
        path = f"{self.job.scratch}/outcomes/{partition.name}.pack"
        self.work.put(path, pack_bytes(pa.Table.from_pylist(rows, schema=OUTCOME)))
        accepted = count - len(rows)
        return {**receipt, "calls": {}, "outcomes": path, "accepted": accepted, "again": []}

    def _shard(self, shard: PlannedShard, partitions: tuple[Partition, ...]) -> Commit:
        samples = sum(max(0, len(item.ids) - REJECTED) for item in partitions)
        data = shard.name.encode()
        sha256 = sha256_hex(data)
        entry: ShardEntry = {
            "name": f"{shard.name}.tar",
            "split": shard.split,
            "bytes": len(data),
            "sha256": sha256,
            "samples": samples,
            "seconds": samples * 8.0,
            "index": f"{shard.name}.parquet",
            "index_sha256": sha256,
        }
        self.output.put(f"shards/{entry['name']}", data)
        self.output.put(f"index/{entry['index']}", data)
        return claim(self.output, self.job.build_id, shard, {"planned": shard.name, "shard": entry})


class Quiet:
    """A Listener that hears nothing."""

    def stage(self, name: str, total: int) -> None:
        """Nothing to show."""

    def finished(self) -> None:
        """Nothing to show."""

    def rows(self, step: str, count: int) -> None:
        """Nothing to show."""

    def note(self, text: str) -> None:
        """Nothing to show."""


def _rejected(key: str, partition: str) -> dict[str, Any]:
    reason = {"code": "too_long", "message": "a stub", "turn": 0, "measure": "", "value": 0.0}
    known = OUTCOME.field("reasons").type.value_type
    reason = {item.name: reason.get(item.name, _empty(item.type)) for item in known}
    return {
        **{"id": key, "state": "rejected", "origin": "stub:1", "source_id": "", "lang": "en"},
        **{"partition": partition, "spoken": False, "turns": [], "reasons": [reason]},
        "error": None,
    }


def _empty(kind: pa.DataType) -> object:
    if pa.types.is_string(kind):
        return ""
    return 0 if pa.types.is_integer(kind) else 0.0 if pa.types.is_floating(kind) else None


def rows_of(count: int) -> Iterator[SourceRow]:
    """Rows as a source gives them: 40 words of question and answer, hashed as all rows are."""
    for number in range(count):
        first = number % len(WORDS)
        words = [*WORDS[first:], *WORDS, *WORDS, *WORDS[:first], *WORDS[:7]]
        asked, answered = " ".join([*words[:12], str(number)]), " ".join(words[12:])
        row: Any = {
            **{"source_id": str(number), "license": "Apache-2.0", "lang": "en", "image": None},
            "turns": [turn("user", asked), turn("assistant", answered)],
        }
        yield SourceRow(row, content_hash(row), f"stub:{number + 1}", None, "stub")


def request_of(rows: int, folder: Path) -> Request:
    """What is planned: stubs over made rows, in ``folder``."""
    output = StoreAddress(str(folder / "out"))
    return Request(
        pipeline=Pipeline("scale", (FirstFit(), Stub(), SecondFit())),
        rows=lambda: rows_of(rows),
        output=output,
        work=output.below("work"),
        settings={"name": "scale"},
        target_bytes=128_000_000,
        eval_fraction=0.0,
        rows_per_partition=ROWS_PER_PARTITION,
    )


def peak_mb() -> float:
    """The most memory that this process has had so far (Linux); its parent's is not counted."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def measure(rows: int, *, whole: bool) -> dict[str, Any]:
    """In this process: plan, and build too if ``whole``."""
    with tempfile.TemporaryDirectory(prefix="voxmill-scale-") as folder:
        planned, figures = plan_in(Path(folder), rows)
        if whole:
            engines: list[StubEngine] = []

            def start(job: Job) -> StubEngine:
                engines.append(StubEngine(job, Quiet()))
                return engines[0]

            began, process = time.perf_counter(), time.process_time()
            result = build(planned, start, Quiet())
            wall_s = time.perf_counter() - began - engines[0].own_s
            cpu_s = time.process_time() - process - engines[0].own_cpu_s
            assert result.manifest["counts"]["rows"] == rows
            count = len(planned.plan.partitions)
            figures |= {
                "tasks": engines[0].tasks,
                "driver_s": round(wall_s, 2),
                "driver_cpu_s": round(cpu_s, 2),
                "driver_ms_per_partition": round(1000 * wall_s / count, 3),
                "driver_cpu_ms_per_partition": round(1000 * cpu_s / count, 3),
                "stub_engine_s": round(engines[0].own_s, 2),
                "build_mb": round(peak_mb(), 1),
            }
            del result, planned, engines
            figures["grown"] = in_a_process(rows + rows // 10, whole=False, folder=folder)
    return figures


def plan_in(folder: Path, rows: int) -> tuple[Planned, dict[str, Any]]:
    """Plan ``rows`` of them for the output in ``folder``, and what that took."""
    before_mb, began, cpu = peak_mb(), time.perf_counter(), cpu_seconds()
    planned = prepare(request_of(rows, folder))
    return planned, {
        "rows": rows,
        "partitions": len(planned.plan.partitions),
        "shards": len(planned.plan.shards),
        "plan_s": round(time.perf_counter() - began, 2),
        "plan_cpu_s": round(cpu_seconds() - cpu, 2),
        "plan_mb": round(peak_mb(), 1),
        "before_mb": round(before_mb, 1),
        "plan_file_mb": round(len(planned.plan.to_bytes()) / 1e6, 2),
    }


def in_a_process(rows: int, *, whole: bool, folder: str = "") -> dict[str, Any]:
    """The figures of one size, taken in a process of its own; ``folder`` holds a parent."""
    words = [sys.executable, "-m", "benchmarks.scale", "--one", str(rows), "--folder", folder]
    done = subprocess.run(
        [*words, *(["--whole"] if whole else [])], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and say by the exit code whether the limits hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROWS} rows")
    parser.add_argument("--once", action="store_true", help="do not plan ten times as many too")
    parser.add_argument("--one", type=int, metavar="ROWS", help=argparse.SUPPRESS)
    parser.add_argument("--whole", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="", help=argparse.SUPPRESS)
    told = parser.parse_args(arguments)
    if told.one:
        folder = Path(told.folder)
        print(
            json.dumps(
                plan_in(folder, told.one)[1] if told.folder else measure(told.one, whole=told.whole)
            )
        )
        return 0
    rows = QUICK_ROWS if told.quick else told.rows
    base = in_a_process(rows, whole=True)
    figures: dict[str, Any] = {"base": base, "grown": base.pop("grown")}
    met = {name: base[name] <= limit for name, limit in LIMITS.items()}
    if not told.once:
        larger = in_a_process(TIMES * rows, whole=False)
        growth = larger["plan_cpu_s"] / max(base["plan_cpu_s"], 0.01)
        figures |= {"larger": larger, "plan_cpu_growth": round(growth, 2)}
        met["grows_linearly"] = growth <= TIMES * 1.1  # a tenth for the noise of a clock
    for name in ("base", "grown", "larger"):
        for key, value in figures.get(name, {}).items():
            print(f"{name:<8} {key:<28} {value:,}")
    print(json.dumps({**figures, "met": met}))
    return 0 if all(met.values()) or told.quick else 1


if __name__ == "__main__":
    sys.exit(main())
