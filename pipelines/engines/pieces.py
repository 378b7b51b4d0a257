"""What a task needs, and how it is cut where its steps need different machines.

A partition that a GPU step and CPU steps work on would hold the GPU while CPUs are busy. So its
task is cut after the memo steps at which needs change: each piece goes to a pool of its own and
leaves its results in the memo, where the next finds them. While one pool speaks a partition, the
pool before it asks for the next ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipelines.asking import asking_steps, node_after
from pipelines.graph import Pipeline
from pipelines.task import AskAhead, Receipt, RunPartition, RunSteps, Task
from transforms.step import Resources, Step

Overrides = Mapping[str, Resources]  # by step: what the job says it needs
PLAIN = Resources()


@dataclass(frozen=True)
class Piece:
    """One piece of a chain: the steps before ``until`` that no earlier piece did.

    ``until`` is None for the last, which is the task itself.
    """

    name: str
    until: str | None
    needs: Resources

    def of(self, task: Task) -> Task:
        """This piece of a task."""
        if self.until is None:
            return task
        assert isinstance(task, RunPartition)
        return RunSteps(
            state=task.state,
            partition=task.partition,
            until=self.until,
            fresh_only=task.until is None,
        )


def pieces_of(pipeline: Pipeline, task: Task, overrides: Overrides) -> list[Piece]:
    """The chain for a task and all of its kind."""
    if isinstance(task, AskAhead):
        steps: Sequence[Step] = asking_steps(pipeline, task.until)
        return [Piece("ask", None, together([needs_of(step, overrides) for step in steps]))]
    if not isinstance(task, RunPartition):
        return [Piece(type(task).__name__, None, PLAIN)]
    steps = _memo_steps_before(pipeline, task.until)
    groups: list[list[Step]] = []
    for step in steps:
        if groups and _alike(needs_of(groups[-1][-1], overrides), needs_of(step, overrides)):
            groups[-1].append(step)
        else:
            groups.append([step])
    pieces = [
        Piece(
            "+".join(step.name for step in group),
            node_after(pipeline, group[-1].name),
            together([needs_of(step, overrides) for step in group]),
        )
        for group in groups
    ]
    last = pieces[-1] if pieces else Piece("rows", None, PLAIN)
    return [*pieces[:-1], replace(last, until=None)]


def needs_of(step: Step, overrides: Overrides) -> Resources:
    """What one worker of a step needs; the job's word stands above the step's own."""
    return overrides.get(step.name, step.resources)


def together(needs: Sequence[Resources]) -> Resources:
    """What a worker needs that does several steps, one after the other."""
    if not needs:
        return PLAIN
    return Resources(
        cpus=max(item.cpus for item in needs),
        gpus=max(item.gpus for item in needs),
        memory_mb=max(item.memory_mb for item in needs),
    )


def joined(first: Receipt, second: Receipt) -> Receipt:
    """The receipt of two pieces of one task. Rows are counted once: the later piece sees them all.

    ``computed``, ``busy_s`` and what was asked are of both.
    """
    steps = {name: dict(stats) for name, stats in second.get("steps", {}).items()}
    for name, stats in first.get("steps", {}).items():
        into = steps.setdefault(name, {**stats, "computed": 0, "busy_s": 0.0})
        into["computed"] += stats["computed"]
        into["busy_s"] += stats["busy_s"]
    asked = dict(second.get("asked", {}))
    for name, count in first.get("asked", {}).items():
        asked[name] = asked.get(name, 0) + count
    return {**second, "steps": steps, "asked": asked}


def _memo_steps_before(pipeline: Pipeline, until: str | None) -> list[Step]:
    steps = []
    for node in pipeline.nodes:
        if node.name == until:
            break
        if isinstance(node, Step) and node.memo:
            steps.append(node)
    return steps


def _alike(one: Resources, other: Resources) -> bool:
    """Whether a worker of one has no more than the other: memory does not part them."""
    return (one.cpus, one.gpus) == (other.cpus, other.gpus)
