"""A build: run the stages, assemble the shards, publish the snapshot. All of it resumable.

The driver holds references and counts. Every result is in a store before its receipt arrives, so a
build that is killed at any moment is continued by running it again.
"""

import contextlib
import heapq
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.asking import HEARING, SPEAKING, add_spent, asked_of, rounds
from pipelines.carry import Carry
from pipelines.commit import Commit, Lost, claim, is_whole
from pipelines.damage import file_damage
from pipelines.engines.engine import Engine, Listener
from pipelines.health import Care, Health
from pipelines.increment import carry_of
from pipelines.lease import holding
from pipelines.memo import Memo, unpack
from pipelines.outcome import each_outcome
from pipelines.plan import write_plan
from pipelines.publish import Ending, point_to_latest, publish
from pipelines.reduction import levels
from pipelines.request import Planned, state_of
from pipelines.stands import check_mended, standing, whole_pins
from pipelines.task import (
    AskAhead,
    AssembleShard,
    Exhibit,
    FinishFit,
    Job,
    MergeParts,
    Receipt,
    RunPartition,
    State,
    Task,
)
from pipelines.telemetry import Telemetry
from pipelines.watch import Poison
from pipelines.work_format import claim_work
from schemas.errors import StoreError, SystemicError
from schemas.snapshot import FileEntry, Manifest
from schemas.store import Store, open_store
from transforms.environment import environment

logger = logging.getLogger(__name__)
MAX_EXHIBITS = 12


@dataclass
class Result:
    """What a build did. ``computed`` and ``reused`` are rows by memo step; times in seconds.

    ``busy_s`` is what workers spent in a step, summed over workers; ``stage_s`` is wall time.
    ``asked`` are the calls and tokens of this very run, by kind (``asked_of``), ``calls`` those
    behind the rows that it judged, by step. ``exhibits`` are the utterances of a few rows that
    were spoken and then rejected: id, turn, role, spoken_text, voice, flac, codes, measures.
    ``lost`` are shards that this run made otherwise than the one that was committed first.
    """

    manifest: Manifest
    unchanged: bool
    computed: dict[str, int]
    reused: dict[str, int]
    busy_s: dict[str, float]
    stage_s: dict[str, float]
    wall_s: float
    asked: dict[str, int] = field(default_factory=dict)
    calls: dict[str, dict[str, int]] = field(default_factory=dict)
    exhibits: list[dict[str, Any]] = field(default_factory=list)
    carried: int = 0  # rows whose verdict and sample are the parent's, taken as they stand
    lost: list[Lost] = field(default_factory=list)


@dataclass
class _Run:
    planned: Planned
    engine: Engine
    listener: Listener
    artifacts: dict[str, FileEntry]
    carry: Carry | None = None
    again: dict[str, list[str]] = field(default_factory=dict)  # old rows that were judged anew
    poison: dict[str, Poison] = field(default_factory=dict)  # by partition, found in the last pass
    rows: dict[str, int] = field(default_factory=dict)
    computed: dict[str, int] = field(default_factory=dict)
    busy_s: dict[str, float] = field(default_factory=dict)
    stage_s: dict[str, float] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    calls: dict[str, dict[str, int]] = field(default_factory=dict)
    lost: list[Lost] = field(default_factory=list)
    health: Health = field(default_factory=lambda: Health(Care()))
    counted: Callable[[Mapping[str, Mapping[str, Any]]], None] = lambda steps: None

    @property
    def state(self) -> State:
        return state_of(self.planned.request.pipeline, self.artifacts)

    def carried(self) -> Iterator[tuple[str, list[str]]]:
        """For each old partition the rows that end as they ended in the parent."""
        for partition in self.planned.plan.partitions:
            if self.carry is not None and partition.name in self.carry.partitions:
                again = set(self.again.get(partition.name, ()))
                yield partition.name, [key for key in partition.ids if key not in again]

    def stage(self, name: str, tasks: Iterable[Task], count: int) -> list[Receipt]:
        """Run the tasks of one stage, take its time, and add up what its steps did."""
        self.listener.stage(name, count)
        began = time.monotonic()
        receipts, rows = [], dict[str, int]()
        for receipt in self.engine.run(tasks):
            add_spent(self.asked, receipt.pop("asked", {}))
            steps = receipt.pop("steps", {})
            self.counted(steps)
            self.health.take(steps)
            for step, stats in steps.items():
                rows[step] = rows.get(step, 0) + stats["rows"]
                self.computed[step] = self.computed.get(step, 0) + stats["computed"]
                self.busy_s[step] = self.busy_s.get(step, 0.0) + stats["busy_s"]
            receipts.append(receipt)
        self.rows |= rows
        self.stage_s[name] = time.monotonic() - began
        return receipts


def build(
    planned: Planned,
    start: Callable[[Job], Engine],
    listener: Listener,
    shown: Callable[[], None] = lambda: None,
    care: Care = Care(),  # noqa: B008 - frozen
    telemetry: Telemetry | None = None,
) -> Result:
    """Build what was prepared; if its snapshot stands already, check it and mend what is damaged.

    ``shown`` is called as soon as the build shows a sign of life of its own. ``telemetry``, if
    there is one, is the ``listener``: it is told what receipts say, and shown on the output.
    Raises ConflictError for a work store of another release's format; DamageError where a
    published file is damaged and comes out different when recomputed;
    SystemicError where so many rows of a step fail that ``care`` stops the build. Then what was
    done is kept but for those failures: the same call tries their rows again.
    """
    began = time.monotonic()
    request = planned.request
    output = open_store(request.output)
    memo = [step.name for step in request.pipeline.memo_steps()]
    if planned.published and planned.parent is not None:
        listener.stage("check what stands", 1)
        damaged = list(file_damage(output, planned.parent))
        listener.finished()
        if not damaged:
            point_to_latest(output, planned.parent, request)
            return Result(
                manifest=planned.parent,
                unchanged=True,
                computed=dict.fromkeys(memo, 0),
                reused=dict(planned.parent["step_rows"]),
                busy_s={},
                stage_s={},
                wall_s=time.monotonic() - began,
            )
        for damage in damaged:
            listener.note(f"{damage.path}: {damage.problem}; it is computed again")
    claim_work(open_store(request.work))
    plan = write_plan(output, planned.plan)
    carry = carry_of(planned, planned.before, output)
    job = Job(
        pipeline=request.pipeline,
        output=request.output,
        work=request.work,
        build_id=planned.build_id,
        scratch=f"builds/{planned.build_id}-{secrets.token_hex(4)}",
        generation=planned.generation,
        environment=environment(),
        replies=planned.parent.get("replies") if planned.parent else None,
        carry=carry,
        care=care,
    )
    status = telemetry.status if telemetry is not None else dict[str, object]
    with holding(output, job.build_id, job.scratch, plan, planned.pins, status=status):
        shown()
        engine = start(job)
        try:
            run = _Run(planned, engine, listener, whole_pins(output, planned), carry)
            run.health = Health(care)
            if telemetry is not None:
                run.counted = telemetry.counted
            manifest = _run(run, output, open_store(request.work))
            exhibits = _exhibits(run, output, open_store(request.work), manifest)
        except SystemicError:
            engine.close()  # workers must not write while failures are dropped
            _forget_failures(run, Memo(open_store(request.work)))
            raise
        finally:
            engine.close()
            _sweep(open_store(request.work), job.scratch)
    computed = {name: run.computed.get(name, 0) for name in memo}
    return Result(
        manifest=manifest,
        unchanged=False,
        computed=computed,
        reused={name: max(0, run.rows.get(name, 0) - computed[name]) for name in memo},
        busy_s=run.busy_s,
        stage_s=run.stage_s,
        wall_s=time.monotonic() - began,
        asked=run.asked,
        calls=run.calls,
        exhibits=exhibits,
        carried=sum(len(ids) for _, ids in run.carried()),
        lost=run.lost,
    )


def _forget_failures(run: _Run, memo: Memo) -> None:
    """After a stop: the same command shall try again what failed, once its cause is mended."""
    for name, health in run.health.steps.items():
        if health.failed and name in run.state.fingerprints:
            memo.forget_failures(name, run.state.fingerprints[name])


def _sweep(work: Store, scratch: str) -> None:
    """Remove what only this run needed; a store that cannot is not worth a second error."""
    with contextlib.suppress(StoreError):
        work.delete_many(work.list(scratch))


def _exhibits(run: _Run, output: Store, work: Store, manifest: Manifest) -> list[dict[str, Any]]:
    """The first few rejected rows that have audio, by id, with their audio."""
    spoken = (row for row in each_outcome(output, manifest["rejected"]) if row["spoken"])
    chosen = heapq.nsmallest(MAX_EXHIBITS, spoken, key=lambda row: row["id"])
    partitions = {item.name: item for item in run.planned.plan.partitions}
    by_partition: dict[str, list[str]] = {}
    for row in chosen:
        by_partition.setdefault(row["partition"], []).append(row["id"])
    tasks = [
        Exhibit(
            state=run.state,
            partition=partitions[name],
            ids=tuple(ids),
            poison=run.poison.get(name, {}),
        )
        for name, ids in by_partition.items()
    ]
    receipts = run.stage("exhibits", tasks, len(tasks))
    shown: list[dict[str, Any]] = []
    for path in sorted(str(receipt["exhibit"]) for receipt in receipts):
        shown += unpack(work.get(path), path).to_pylist()
    return shown


def _run(run: _Run, output: Store, work: Store) -> Manifest:
    planned = run.planned
    memo = [step.name for step in planned.request.pipeline.memo_steps()]
    for fit in planned.request.pipeline.fits():
        if fit.name in run.artifacts:
            continue
        _ask_ahead(run, fit.name)
        receipts = _pass(run, fit.name)
        _fit(run, work, fit.name, [str(receipt["part"]) for receipt in receipts])
    _ask_ahead(run, None)
    receipts = sorted(_pass(run, None), key=lambda receipt: str(receipt["partition"]))
    for receipt in receipts:
        for step, spent in receipt.get("calls", {}).items():
            add_spent(run.calls.setdefault(step, {}), spent)
    run.again = {receipt["partition"]: receipt["again"] for receipt in receipts}
    run.poison = {
        receipt["partition"]: {(step, key): (kind, why) for step, key, kind, why in found}
        for receipt in receipts
        if (found := receipt.get("poison"))
    }
    commits = _assemble(run, output)
    run.listener.stage("publish", 1)
    began = time.monotonic()
    if planned.published and planned.parent is not None:
        check_mended(planned.parent, run.artifacts, commits)
    manifest = publish(
        output,
        work,
        Ending(
            planned=planned,
            state=run.state,
            receipts=receipts,
            commits=commits,
            step_rows={name: run.rows.get(name, 0) for name in memo},
            carried=dict(run.carried()),
        ),
    )
    run.listener.finished()
    run.stage_s["publish"] = time.monotonic() - began
    return manifest


def _ask_ahead(run: _Run, until: str | None) -> None:
    """Ask models and services for all partitions, side by side, before those pass one by one."""
    pipeline, partitions = run.planned.request.pipeline, run.planned.plan.partitions
    for one in rounds(pipeline, until) if partitions else ():
        if one.name in run.stage_s:
            continue
        if one.name == "ask" and getattr(run.engine, "asks_itself", False):
            continue  # while others speak what was answered
        if one.waits_for is not None:
            if not _anything_to_ask(run, one.waits_for):
                continue
            _pass(run, one.waits_for, fresh_only=until is None)
        services = (service for step in one.steps for service in step.services)
        count = min(len(partitions), max(service.processes for service in services))
        tasks = [
            AskAhead(
                state=run.state,
                partitions=partitions[number::count],
                until=one.after,
                fresh_only=until is None,
            )
            for number in range(count)
        ]
        run.stage(one.name, tasks, count)


def _anything_to_ask(run: _Run, step: str) -> bool:
    """Whether speech that was not there before may be sent: worth a pass that reads all of it."""
    memo = Memo(open_store(run.planned.request.work))
    known = memo.partitions(step, run.state.fingerprints[step])
    everything = {partition.name for partition in run.planned.plan.partitions}
    return bool(everything - known) or any(
        asked_of(run.asked, kind)["calls"] for kind in ("", SPEAKING, HEARING)
    )


def _pass(run: _Run, until: str | None, *, fresh_only: bool = False) -> list[Receipt]:
    """Every partition up to a fit step or a step that asks, or to the end."""
    plan, state = run.planned.plan, run.state
    tasks = (
        RunPartition(
            state=state,
            partition=partition,
            until=until,
            num_partitions=len(plan.partitions),
            fresh_only=fresh_only,
        )
        for partition in plan.partitions
    )
    name = f"rows to {until}" if until else "rows to verdicts"
    return run.stage(name, tasks, len(plan.partitions))


def _fit(run: _Run, work: Store, fit: str, parts: list[str]) -> None:
    """Reduce partials to the artifact of a fit step, level by level, then finalize it."""
    folder = parts[0].rpartition("/")[0] if parts else ""
    for level, knots in enumerate(levels(parts, folder), 1):
        merges = [
            MergeParts(state=run.state, fit=fit, parts=knot.parts, into=knot.into) for knot in knots
        ]
        run.stage(f"merge {fit} {level}", merges, len(merges))
        for knot in knots:
            work.delete_many(knot.parts)
        parts = [knot.into for knot in knots]
    finish = FinishFit(state=run.state, fit=fit, parts=tuple(sorted(parts)))
    (receipt,) = run.stage(f"fit {fit}", [finish], 1)
    work.delete_many(parts)
    run.artifacts[fit] = receipt["artifact"]


def _assemble(run: _Run, output: Store) -> list[Commit]:
    """Every planned shard: committed before and still whole, or assembled now."""
    planned = run.planned
    partitions = {item.name: item for item in planned.plan.partitions}
    commits: list[Commit] = []
    tasks = []
    for shard in planned.plan.shards:
        commit = standing(output, planned, shard)
        if commit is not None:
            commits.append(commit)
            continue
        if run.carry is not None and run.carry.untouched(shard, run.again):
            entry = run.carry.shards.get(shard.name)
            if entry is None or is_whole(output, entry):
                record: Commit = {"planned": shard.name, "shard": entry}
                commits.append(claim(output, planned.build_id, shard, record))
                continue
        members = tuple(partitions[name] for name in shard.partitions)
        poison = {
            row: end for item in members for row, end in run.poison.get(item.name, {}).items()
        }
        tasks.append(AssembleShard(state=run.state, shard=shard, partitions=members, poison=poison))
    receipts = run.stage("shards", tasks, len(tasks))
    commits += [receipt["commit"] for receipt in receipts]
    run.lost += [receipt["lost"] for receipt in receipts if receipt["lost"] is not None]
    return sorted(commits, key=lambda commit: commit["planned"])
