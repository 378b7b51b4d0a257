"""What does tasks: the one thing that every engine wraps.

A worker takes rows and artifacts from the stores by reference, keeps its results there, and gives
counts and paths: never audio.
"""

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from pipelines.asking import Desks, ask_ahead, calls_of
from pipelines.carry import ParentShard, Standing
from pipelines.commit import assemble
from pipelines.evaluate import Evaluator
from pipelines.graph import CONVERSATIONS
from pipelines.memo import Memo, pack_bytes, unpack
from pipelines.outcome import OUTCOME, not_accepted
from pipelines.plan import Partition, load_partition
from pipelines.replies import publish_replies
from pipelines.sample import Shipped, samples
from pipelines.tables import Tables, conform_live
from pipelines.task import (
    AskAhead,
    AssembleShard,
    Exhibit,
    FinishFit,
    Job,
    MergeParts,
    Receipt,
    RunPartition,
    RunSteps,
    State,
    Task,
)
from pipelines.watch import Opening, StepStats, Watch, unwatched
from schemas.canonical import sha256_hex
from schemas.errors import SchemaError
from schemas.snapshot import FileEntry, read_verified
from schemas.store import open_store
from transforms.environment import environment
from transforms.step import Fit

MERGED_BYTES = 4_000_000  # of partials that are merged in one go
MAX_CAUSES = 8  # of a step's errors, in one receipt
EXHIBITED = (
    *("id", "turn", "role", "spoken_text", "voice", "speaker_id", "flac", "codes", "durations"),
    *("num_frames", "measures", "attempts", "words", "augmentation", "heard_text"),
)


def counted(stats: Mapping[str, StepStats]) -> dict[str, dict[str, Any]]:
    """What was done in each step, as a receipt carries it."""
    return {
        name: {
            "rows": item.rows,
            "computed": item.computed,
            "busy_s": item.busy_s,
            "failed": item.failed,
            "retried": item.retried,
            "causes": dict(item.causes.most_common(MAX_CAUSES)),
        }
        for name, item in stats.items()
    }


@dataclass
class Worker:
    """One worker's state: the stores, and the steps it has opened, of which ``opening`` is told."""

    job: Job
    opening: Opening = field(default=unwatched, repr=False)
    _evaluator: Evaluator | None = field(default=None, repr=False)
    _standing: Standing | None = field(default=None, repr=False)
    _state: State | None = field(default=None, repr=False)
    _desks: Desks | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        here = environment()
        differing = {
            name: (here.get(name), wanted)
            for name, wanted in self.job.environment.items()
            if here.get(name) != wanted
        }
        if differing:
            raise SchemaError(
                "this worker's environment is not the driver's, so its bytes could differ: "
                f"{differing}; install the same locked requirements on every machine"
            )
        self.output = open_store(self.job.output)
        self.work = open_store(self.job.work)

    def run(self, task: Task, watch: Watch) -> Receipt:
        """Do one task. What it computed is in the store before this returns."""
        evaluator = self._at(task.state)
        if isinstance(task, RunPartition):
            return self._partition(evaluator, task, watch)
        if isinstance(task, AskAhead):
            standing = self._rows_standing if task.fresh_only else lambda partition: frozenset()
            stats = ask_ahead(
                evaluator,
                self.output,
                task.partitions,
                task.until,
                watch,
                standing,
                self.job.care,
            )
            return {"steps": counted(stats), "asked": self._asking().take_spent()}
        if isinstance(task, RunSteps):
            return self._steps(evaluator, task, watch)
        if isinstance(task, MergeParts):
            merged = merge_parts(self._fit(task.fit), self._parts(task.parts))
            self.work.put(task.into, pack_bytes(merged))
            return {"part": task.into}
        if isinstance(task, FinishFit):
            return self._finish(task)
        if isinstance(task, AssembleShard):
            commit, lost = assemble(
                self.output,
                self.job.build_id,
                task.shard,
                self._samples(evaluator, task, watch),
            )
            return {"commit": commit, "lost": lost}
        return self._exhibit(evaluator, task, watch)

    def close(self) -> None:
        """Close what is open."""
        if self._evaluator is not None:
            self._evaluator.close()
        if self._standing is not None:
            self._standing.close()

    def _at(self, state: State) -> Evaluator:
        """The evaluator for a state; steps opened for an earlier one are closed."""
        if self._evaluator is None or self._state != state:
            self.close()
            with self.opening("what was fitted"):
                artifacts = {
                    name: read_verified(self.output, entry)
                    for name, entry in state.artifacts.items()
                }
            self._evaluator = Evaluator(
                self.job.pipeline,
                Memo(self.work),
                state.fingerprints,
                artifacts,
                generation=self.job.generation,
                desk=self._asking().desk,
                row_attempts=self.job.care.row_attempts,
                opening=self.opening,
            )
            self._standing = Standing(self.job.carry, self.job.pipeline, self.output, artifacts)
            self._state = state
        return self._evaluator

    def _asking(self) -> Desks:
        if self._desks is None:
            self._desks = Desks(self.work, self.output, self.job.replies, self.job.scratch)
        return self._desks

    def _rows_standing(self, partition: Partition) -> frozenset[str]:
        """The rows of a partition that end as they ended in the parent."""
        assert self._standing is not None
        return self._standing.rows(partition, lambda: load_partition(self.output, partition))

    def _evaluate(
        self,
        evaluator: Evaluator,
        partition: Partition,
        until: str | None,
        watch: Watch,
        ids: Collection[str] | None = None,
    ) -> tuple[Tables, dict[str, StepStats]]:
        """``ids``: of these rows alone; steps judge row by row, so the others do not matter."""
        rows = load_partition(self.output, partition)
        if ids is not None and len(ids) < rows.num_rows:
            wanted = pa.array(sorted(ids), pa.string())
            rows = rows.filter(pa.compute.is_in(rows.column("id"), wanted))
        return evaluator.evaluate(rows, partition.name, until, watch)

    def _partition(self, evaluator: Evaluator, task: RunPartition, watch: Watch) -> Receipt:
        receipt: Receipt
        ids: list[str] | None = None
        again: list[str] = []  # rows that the parent knew and that are judged anew
        if task.fresh and (standing := self._rows_standing(task.partition)):
            ids = again = [key for key in task.partition.ids if key not in standing]
        elif task.until is None and self._is_old(task.partition):
            again = list(task.partition.ids)
        if ids == []:
            receipt = {"partition": task.partition.name, "outcomes": None, "accepted": 0}
            if task.until is not None:
                return receipt
            return {**receipt, "again": [], **self._replies(task.partition, set(), carried=True)}
        tables, stats = self._evaluate(evaluator, task.partition, task.until, watch, ids)
        receipt = {
            "partition": task.partition.name,
            "steps": counted(stats),
            "asked": self._asking().take_spent(),
        }
        if task.until is not None:
            if not isinstance(self.job.pipeline.node(task.until), Fit):
                return receipt
            fit = self._fit(task.until)
            table = tables[fit.table]
            batch = conform_live(fit, table)
            partial = fit.partial(batch, task.num_partitions)
            path = f"{self.job.scratch}/fit-{fit.name}/{task.partition.name}.pack"
            self.work.put(path, pack_bytes(partial))
            return {**receipt, "part": path}
        conversations = tables[CONVERSATIONS]
        calls, keys = calls_of(tables)
        receipt |= {"calls": calls, **self._replies(task.partition, keys, carried=ids is not None)}
        rows = not_accepted(conversations, task.partition.name)
        path = f"{self.job.scratch}/outcomes/{task.partition.name}.pack"
        self.work.put(path, pack_bytes(pa.Table.from_pylist(rows, schema=OUTCOME)))
        accepted = conversations.num_rows - len(rows)
        if watch.poison:
            receipt["poison"] = [[*row, *end] for row, end in watch.poison.items()]
        return {**receipt, "outcomes": path, "accepted": accepted, "again": again}

    def _replies(self, partition: Partition, keys: set[str], *, carried: bool) -> Receipt:
        """The published replies of a partition, those behind its ``carried`` rows among them."""
        desk = self._asking().desk(partition.name)
        if carried and desk.entry is not None:
            keys = keys | desk.published().keys()
        if not keys:
            return {}
        return {"replies": publish_replies(self.output, partition.name, desk, keys)}

    def _is_old(self, partition: Partition) -> bool:
        return self.job.carry is not None and partition.name in self.job.carry.partitions

    def _steps(self, evaluator: Evaluator, task: RunSteps, watch: Watch) -> Receipt:
        ids: list[str] | None = None
        if task.fresh_only and (standing := self._rows_standing(task.partition)):
            ids = [key for key in task.partition.ids if key not in standing]
        if ids == []:
            return {"partition": task.partition.name}
        _, stats = self._evaluate(evaluator, task.partition, task.until, watch, ids)
        asked = self._asking().take_spent()
        return {"partition": task.partition.name, "steps": counted(stats), "asked": asked}

    def _finish(self, task: FinishFit) -> Receipt:
        fit = self._fit(task.fit)
        data = fit.finalize(merge_parts(fit, self._parts(task.parts)))
        sha256 = sha256_hex(data)
        entry: FileEntry = {"name": f"artifacts/{fit.name}-{sha256[:12]}", "sha256": sha256}
        self.output.put(entry["name"], data)
        return {"artifact": entry}

    def _fit(self, name: str) -> Fit:
        fit = self.job.pipeline.node(name)
        assert isinstance(fit, Fit)
        return fit

    def _parts(self, paths: Iterable[str]) -> Iterator[pa.Table]:
        return (unpack(self.work.get(path), path) for path in paths)

    def _samples(
        self, evaluator: Evaluator, task: AssembleShard, watch: Watch
    ) -> Iterator[Shipped]:
        """The accepted rows, in the order of their partitions."""
        carry = self.job.carry
        entry = None if carry is None else carry.shards.get(task.shard.name)
        parent = None if entry is None else ParentShard(self.output, entry)
        for partition in task.partitions:
            # A call of its own, so that a partition's audio is let go before the next one comes.
            yield from self._partition_samples(evaluator, task, partition, parent, watch)

    def _partition_samples(
        self,
        evaluator: Evaluator,
        task: AssembleShard,
        partition: Partition,
        parent: ParentShard | None,
        watch: Watch,
    ) -> Iterator[Shipped]:
        """Rows that stand are copied from the parent's shard; the others, and damaged, are made."""
        standing = self._rows_standing(partition)
        copied: list[Shipped] = []
        ids = [key for key in partition.ids if key not in standing]
        if parent is not None:
            found, damaged = parent.copies([key for key in partition.ids if key in standing])
            copied += found
            ids += damaged
        made: Iterator[Shipped] = iter(())
        if ids:
            lineage = {
                step.name: task.state.fingerprints[step.name][:16]
                for step in self.job.pipeline.memo_steps()
            }
            tables, _ = self._evaluate(evaluator, partition, None, _knowing(watch, task), ids)
            sets = (task.state.unit_set, task.state.kept_sets)
            made = samples(tables, task.shard.split, *sets, lineage)
            del tables
        place = {key: number for number, key in enumerate(partition.ids)}
        yield from heapq.merge(copied, made, key=lambda sample: place[sample.key])

    def _exhibit(self, evaluator: Evaluator, task: Exhibit, watch: Watch) -> Receipt:
        watch = _knowing(watch, task)
        tables, _ = self._evaluate(evaluator, task.partition, None, watch, task.ids)
        utterances = tables["utterances"]
        mask = pa.compute.is_in(utterances.column("id"), pa.array(task.ids, pa.string()))
        shown = utterances.filter(mask).select(
            [name for name in EXHIBITED if name in utterances.column_names]
        )
        path = f"{self.job.scratch}/exhibits/{task.partition.name}.pack"
        self.work.put(path, pack_bytes(shown))
        return {"exhibit": path}


def _knowing(watch: Watch, task: AssembleShard | Exhibit) -> Watch:
    """With the rows that the last pass has found to be poison: it said how they end.

    The memo keeps those of memo steps; of other steps nothing else does.
    """
    return replace(watch, poison={**task.poison, **watch.poison})


def merge_parts(fit: Fit, parts: Iterable[pa.Table]) -> pa.Table:
    """Partials of a fit step as one, few of which are in memory unmerged."""
    merged = fit.merge([])
    group: list[pa.Table] = []
    size = 0
    for part in parts:
        group.append(part)
        size += part.nbytes
        if size >= MERGED_BYTES:
            merged, group, size = fit.merge([merged, *group]), [], 0
    return fit.merge([merged, *group])
