"""What a task needs, and how it is cut where its steps need different machines.

A partition that a GPU step and CPU steps work on would hold the GPU while CPUs are busy. So its
task is cut after the memo steps at which needs change: each piece goes to a pool of its own and
leaves its results in the memo, where the next finds them. While one pool speaks a partition, the
pool before it asks for the next ones.
"""

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipelines.asking import asking_steps, node_after
from pipelines.graph import Pipeline
from pipelines.task import (
    AskAhead,
    AssembleShard,
    Exhibit,
    FinishFit,
    MergeParts,
    Receipt,
    RunPartition,
    RunSteps,
    Task,
)
from schemas.errors import SettingsError
from transforms.ask import AskingStep
from transforms.step import Resources, Step

PLAIN = Resources()


@dataclass(frozen=True, kw_only=True)
class Pool:
    """What a job says of one step's workers; None is the step's own word, or the engine's."""

    cpus: float | None = None
    gpus: float | None = None
    memory_mb: int | None = None
    min_workers: int | None = None
    max_workers: int | None = None


Pools = Mapping[str, Pool]  # by step
UNSAID = Pool()
KEPT = ("rows", "causes")  # of a step's figures: not numbers to add up


@dataclass(frozen=True)
class Piece:
    """One piece of a chain: the steps before ``until`` that no earlier piece did.

    ``until`` is None for the last, which is the task itself.
    """

    name: str
    until: str | None
    needs: Resources
    min_workers: int | None = None
    max_workers: int | None = None
    asking: bool = False  # it asks models, for many partitions side by side

    def of(self, tasks: Sequence[Task]) -> Task:
        """This piece of one task; of several, where a worker asks models for them side by side."""
        task = tasks[0]
        if self.until is None:
            return task
        assert isinstance(task, RunPartition)
        if self.asking:
            return AskAhead(
                state=task.state,
                partitions=tuple(one.partition for one in tasks if isinstance(one, RunPartition)),
                until=self.until,
                fresh_only=task.fresh,
            )
        return RunSteps(
            state=task.state,
            partition=task.partition,
            until=self.until,
            fresh_only=task.fresh,
        )


def pieces_of(
    pipeline: Pipeline, task: Task, pools: Pools, passed: str | None = None
) -> list[Piece]:
    """The chain for a task and all of its kind.

    ``passed`` is the node up to which an earlier pass of this build has brought all partitions:
    what stands before it is only read from the memo, and needs no worker of its own.
    """
    if isinstance(task, AskAhead):
        asked = _piece("ask", None, asking_steps(pipeline, task.until), pools)
        return [replace(asked, asking=False)]  # the task is the piece
    if not isinstance(task, RunPartition):
        return [Piece(_KINDS.get(type(task), "rows"), None, PLAIN)]
    pieces = _chain(pipeline, _memo_steps(pipeline, passed, task.until), pools)
    if not pieces or pieces[-1].asking:  # the task itself goes partition by partition
        return [*pieces, Piece("rows", None, PLAIN)]
    return [*pieces[:-1], replace(pieces[-1], until=None)]


def all_pieces(pipeline: Pipeline, pools: Pools) -> list[Piece]:
    """Every kind of worker that a build of the pipeline needs at some time."""
    return [*_chain(pipeline, pipeline.memo_steps(), pools), Piece("shards", None, PLAIN)]


def _chain(pipeline: Pipeline, steps: Sequence[Step], pools: Pools) -> list[Piece]:
    groups: list[list[Step]] = []
    for step in steps:
        if groups and _alike(groups[-1][-1], step, pools):
            groups[-1].append(step)
        else:
            groups.append([step])
    return [
        _piece(
            "+".join(step.name for step in group),
            node_after(pipeline, group[-1].name),
            group,
            pools,
        )
        for group in groups
    ]


_KINDS: Mapping[type[Task], str] = {
    MergeParts: "merging",
    FinishFit: "fitting",
    AssembleShard: "shards",
    Exhibit: "exhibits",
}


def check_names(pipeline: Pipeline, pools: Pools) -> None:
    """Raise SettingsError for a pool of a step that the pipeline does not have."""
    known = [step.name for step in pipeline.memo_steps()]
    for name in pools:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise SettingsError(
                f"engine.ray.pools: the pipeline {pipeline.name} has no step '{name}' with workers "
                f"of its own; {hint}wanted one of {', '.join(known)}"
            )


def needs_of(step: Step, pools: Pools) -> Resources:
    """What one worker of a step needs; the job's word stands above the step's own."""
    pool, own = pools.get(step.name, UNSAID), step.resources
    return Resources(
        cpus=own.cpus if pool.cpus is None else pool.cpus,
        gpus=own.gpus if pool.gpus is None else pool.gpus,
        memory_mb=own.memory_mb if pool.memory_mb is None else pool.memory_mb,
    )


def _piece(name: str, until: str | None, steps: Sequence[Step], pools: Pools) -> Piece:
    """A piece whose worker does several steps, one after the other."""
    needs = [needs_of(step, pools) for step in steps]
    told = [pools.get(step.name, UNSAID) for step in steps]
    chats = [step.chat for step in steps if isinstance(step, AskingStep)]
    processes = max((chat.processes for chat in chats), default=None)
    return Piece(
        name,
        until,
        Resources(
            cpus=max((item.cpus for item in needs), default=PLAIN.cpus),
            gpus=max((item.gpus for item in needs), default=PLAIN.gpus),
            memory_mb=max((item.memory_mb for item in needs), default=PLAIN.memory_mb),
        ),
        max((item.min_workers for item in told if item.min_workers), default=None),
        max((item.max_workers for item in told if item.max_workers), default=processes),
        bool(chats),
    )


def joined(first: Receipt, second: Receipt) -> Receipt:
    """The receipt of two pieces of one task. Rows are counted once: the later piece sees them all.

    What was computed, failed, spent and asked is of both.
    """
    steps = dict(second.get("steps", {}))
    for name, stats in first.get("steps", {}).items():
        steps[name] = _added(stats, steps[name]) if name in steps else stats
    asked: Counter[str] = Counter(first.get("asked", {}))
    asked.update(second.get("asked", {}))
    return {**second, "steps": steps, "asked": dict(asked)}


def _added(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """One step's figures of two pieces: all are added up but the rows that it saw."""
    causes = Counter(first.get("causes", {})) + Counter(second.get("causes", {}))
    numbers = {
        name: value + second[name]
        for name, value in first.items()
        if name not in ("rows", "causes")
    }
    return {**second, **numbers, **({"causes": dict(causes)} if "causes" in second else {})}


def _memo_steps(pipeline: Pipeline, start: str | None, until: str | None) -> list[Step]:
    """The memo steps from the node ``start`` on, and before the node ``until``."""
    steps: list[Step] = []
    for node in pipeline.nodes:
        if node.name == start:
            steps = []
        if node.name == until:
            break
        if isinstance(node, Step) and node.memo:
            steps.append(node)
    return steps


def _alike(one: Step, other: Step, pools: Pools) -> bool:
    """Whether one pool can do both without holding what a step does not use. Memory parts none."""

    def kind(step: Step) -> tuple[object, ...]:
        needs, pool = needs_of(step, pools), pools.get(step.name, UNSAID)
        asks = isinstance(step, AskingStep)  # many partitions at once, and waits most of the time
        return needs.cpus, needs.gpus, pool.min_workers, pool.max_workers, asks

    return kind(one) == kind(other)
