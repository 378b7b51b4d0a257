"""A request against what an output holds: the plan, the parent, the pins, the build id."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pipelines.expectations.judge import Expectations
from pipelines.fingerprint import fingerprint, pipeline_fingerprint
from pipelines.graph import Pipeline
from pipelines.outcome import each_outcome
from pipelines.plan import Plan, read_plan, write_plan
from pipelines.planning import make_plan
from pipelines.spool import SourceRow
from pipelines.task import State
from schemas.canonical import digest, sha256_hex
from schemas.errors import DamageError, StoreError
from schemas.snapshot import FileEntry, Manifest, latest_snapshot
from schemas.store import Store, StoreAddress, open_store
from transforms.environment import environment
from transforms.import_units import ImportUnits
from transforms.unit_step import UnitStep


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for. ``settings`` is kept in the manifest, so it holds no secret.

    ``limits`` are those of schemas.snapshot.within_limits: a snapshot that misses them is written,
    and latest.json stays. ``target_bytes`` is the size of a shard. ``retry_failed`` starts a new
    generation, in which retryable failures are tried again. ``refit`` takes no artifact from the
    parent. ``expects`` must be met, as the limits, before latest.json names the snapshot.
    """

    pipeline: Pipeline
    rows: Callable[[], Iterable[SourceRow]]
    output: StoreAddress
    work: StoreAddress
    settings: Mapping[str, object]
    target_bytes: int
    eval_fraction: float
    limits: Mapping[str, float] = field(default_factory=dict)
    same_lineage: bool = False
    rows_per_partition: int | None = None  # of new partitions; None: as their number asks for
    retry_failed: bool = False
    refit: bool = False
    expects: Expectations | None = None


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A request with its plan. ``asked`` is the digest of all but plan, parent and pins."""

    request: Request
    plan: Plan
    parent: Manifest | None
    pins: Mapping[str, FileEntry]
    asked: str
    build_id: str
    generation: int
    published: bool  # the newest snapshot is the answer to this very request
    before: Plan | None = None  # the parent's plan


def prepare(
    request: Request,
    output: Store | None = None,
    writing: Callable[[], None] = lambda: None,
) -> Planned:
    """Read the source, plan it against the newest snapshot, and name the build.

    ``output`` stands in for the request's own output, for a look that writes nothing.
    ``writing`` is called before the first write of a new plan.
    """
    output = output or open_store(request.output)
    parent = latest_snapshot(output)
    before = _parent_plan(request, output, parent) if parent else None
    plan = make_plan(
        request.rows(),
        output,
        before,
        parent["version"] + 1 if parent else 1,
        target_bytes=request.target_bytes,
        eval_fraction=request.eval_fraction,
        same_lineage=request.same_lineage,
        rows_per_partition=request.rows_per_partition,
        writing=writing,
    )
    generation = parent["generation"] if parent else 0
    if request.retry_failed and parent and _can_be_retried(output, parent):
        generation += 1
    asked = digest(
        {
            "pipeline": pipeline_fingerprint(request.pipeline),
            "target_bytes": request.target_bytes,
            "eval_fraction": request.eval_fraction,
            "environment": dict(environment()),
            "generation": generation,
        }
    )
    published = (
        parent is not None
        and before is not None
        and not request.refit
        and parent["request"] == asked
        and before.digest == plan.digest
    )
    if published and before is not None:
        _check_rewritten(output, before, plan)
    pins = _pins(request, parent, everything=published)
    build_id = digest(
        {
            "request": asked,
            "plan": plan.digest,
            "parent": parent["identity"] if parent else None,
            "pins": {name: entry["sha256"] for name, entry in pins.items()},
        }
    )[:24]
    return Planned(
        request=request,
        plan=plan,
        parent=parent,
        pins=pins,
        asked=asked,
        build_id=parent["build_id"] if parent and published else build_id,
        generation=generation,
        published=published,
        before=before,
    )


def state_of(pipeline: Pipeline, artifacts: Mapping[str, FileEntry]) -> State:
    """What follows from the artifacts there are: fingerprints, and the unit sets."""
    hashes = {name: entry["sha256"] for name, entry in artifacts.items()}
    known = {
        step.name: fingerprint(step, hashes)
        for step in pipeline.steps()
        if all(name in hashes for name in step.uses)
    }
    unit_set = None
    for step in pipeline.steps():
        if isinstance(step, UnitStep) and step.name in known:
            unit_set = step.unit_set(hashes[step.uses[0]] if step.uses else "")
    kept = tuple(
        item for step in pipeline.steps() if isinstance(step, ImportUnits) for item in step.sets
    )
    return State(artifacts=artifacts, fingerprints=known, unit_set=unit_set, kept_sets=kept)


def _parent_plan(request: Request, output: Store, parent: Manifest) -> Plan:
    """The parent's plan. A damaged one is planned again, which a first snapshot allows.

    Raises DamageError if what is planned now is not what the manifest names.
    """
    try:
        return read_plan(output, parent)
    except (DamageError, StoreError):
        if parent["parent"] is None:
            again = make_plan(
                request.rows(),
                output,
                None,
                parent["version"],
                target_bytes=request.target_bytes,
                eval_fraction=request.eval_fraction,
                rows_per_partition=request.rows_per_partition,
            )
            if sha256_hex(again.to_bytes()) == parent["plan"]["sha256"]:
                write_plan(output, again)
                return again
    raise DamageError(
        f"{output.uri}/{parent['plan']['name']}: damaged or gone, and the source as it is now does "
        "not plan to the same bytes; restore the file from a copy, or build into another --output"
    )


def _check_rewritten(output: Store, before: Plan, plan: Plan) -> None:
    """Raise DamageError if a source partition was damaged and came out with other bytes."""
    now = {partition.name: partition for partition in plan.partitions}
    for partition in before.partitions:
        if now[partition.name].sha256 != partition.sha256:
            raise DamageError(
                f"{output.uri}/{partition.file}: damaged or gone, and it cannot be written again: "
                "its rows stand in other files or lines than they did; restore it from a copy, or "
                "give the source its former file names"
            )


def _can_be_retried(output: Store, parent: Manifest) -> bool:
    """Whether any row of the parent failed in a way that may pass another time."""
    failed = each_outcome(output, parent["failed"])
    return any(row["error"] is not None and row["error"]["retryable"] for row in failed)


def _pins(request: Request, parent: Manifest | None, *, everything: bool) -> dict[str, FileEntry]:
    """The parent's artifacts of fit steps whose settings did not change since."""
    if parent is None or request.refit:
        return {}
    return {
        fit.name: parent["artifacts"][fit.name]
        for fit in request.pipeline.fits()
        if (fit.pinned or everything)
        and fit.name in parent["artifacts"]
        and parent["fingerprints"].get(fit.name) == fingerprint(fit, {})
    }
