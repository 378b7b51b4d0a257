"""What engines carry: small references to work, and the receipts of what was done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pipelines.carry import Carry
from pipelines.graph import Pipeline
from pipelines.health import Care
from pipelines.plan import Partition, PlannedShard
from pipelines.watch import Poison
from schemas.snapshot import FileEntry
from schemas.store import StoreAddress
from schemas.unitset import UnitSet

Receipt: TypeAlias = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What does not change during a build. It is sent to each worker once."""

    pipeline: Pipeline
    output: StoreAddress
    work: StoreAddress
    build_id: str
    scratch: str  # folder of this run in the work store; two runs of one build share none
    generation: int
    environment: Mapping[str, str]
    replies: FileEntry | None = None  # the parent's listing of model replies
    carry: Carry | None = None  # what an increment takes from its parent
    care: Care = field(default=Care(row_attempts=1))  # how it deals with errors


@dataclass(frozen=True, kw_only=True)
class State:
    """What is known by now: the artifacts, the fingerprints that follow, the unit set."""

    artifacts: Mapping[str, FileEntry]
    fingerprints: Mapping[str, str]
    unit_set: UnitSet | None = None
    kept_sets: tuple[UnitSet, ...] = ()  # that the source brings


@dataclass(frozen=True, kw_only=True)
class RunPartition:
    """Evaluate a partition up to the fit step ``until`` and keep its partial; all if None.

    Before a step that asks, nothing but the memo is kept. ``fresh_only``: not the rows that end as
    they ended in the parent.
    """

    state: State
    partition: Partition
    until: str | None
    num_partitions: int
    fresh_only: bool = False

    @property
    def fresh(self) -> bool:
        """Whether rows that stand in the parent are left alone."""
        return self.until is None or self.fresh_only


@dataclass(frozen=True, kw_only=True)
class RunSteps:
    """Evaluate a partition before the node ``until`` and keep nothing but the memo: a piece.

    ``fresh_only``: not the rows that end as they ended in the parent.
    """

    state: State
    partition: Partition
    until: str
    fresh_only: bool


@dataclass(frozen=True, kw_only=True)
class AskAhead:
    """Evaluate many partitions side by side before the node ``until``: the steps that ask models.

    One partition alone keeps a dozen requests in flight, a server wants hundreds. What is asked
    here stands in the memo when the partitions come one by one, or, of speech, at their desks.
    """

    state: State
    partitions: tuple[Partition, ...]
    until: str | None
    fresh_only: bool = False  # not the rows that end as they ended in the parent


@dataclass(frozen=True, kw_only=True)
class MergeParts:
    """Merge some partials of a fit step into the one at ``into``: a knot of the reduction tree.

    Its ``parts`` stay where they are: a worker that dies before its receipt does it once more.
    """

    state: State
    fit: str
    parts: tuple[str, ...]
    into: str


@dataclass(frozen=True, kw_only=True)
class FinishFit:
    """Merge the last partials of a fit step and finalize its artifact."""

    state: State
    fit: str
    parts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AssembleShard:
    """Copy the accepted rows of a shard's partitions into its tar, and commit it."""

    state: State
    shard: PlannedShard
    partitions: tuple[Partition, ...]
    poison: Poison = field(default_factory=dict)  # rows that the last pass has found


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """Fetch the audio of some rejected rows of a partition, for the report."""

    state: State
    partition: Partition
    ids: tuple[str, ...]
    poison: Poison = field(default_factory=dict)  # rows that the last pass has found


Task: TypeAlias = (
    RunPartition | RunSteps | AskAhead | MergeParts | FinishFit | AssembleShard | Exhibit
)
