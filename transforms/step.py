"""What a step is: it says what it reads, writes and needs, and opens a pure batch function."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import pyarrow as pa

from schemas.errors import RowError

BatchFn: TypeAlias = Callable[[pa.RecordBatch], pa.RecordBatch]
Artifacts: TypeAlias = Mapping[str, bytes]
Identity: TypeAlias = Mapping[str, object]
TableName: TypeAlias = Literal["conversations", "utterances"]


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one worker of a step needs. None of it changes a byte of the result."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory_mb: int = 500
    batch_rows: int = 1_000_000  # rows per call; 1 where one row can take long or kill its process


class SomeRowsFailed(Exception):
    """Raised by a batch function of which some rows failed, so that the others are not redone.

    ``rows`` holds for each row of the batch its result, a batch of one, or its own error.
    """

    def __init__(self, rows: Sequence["pa.RecordBatch | RowError"]) -> None:
        failed = [row for row in rows if isinstance(row, RowError)]
        super().__init__(f"{len(failed)} of {len(rows)} rows failed; the first: {failed[0]}")
        self.rows = rows


class Node(ABC):
    """What stands in a pipeline. Subclasses are frozen, picklable dataclasses."""

    name: ClassVar[str]  # the verb that names it, unique in its pipeline
    version: ClassVar[int] = 1  # raised when its bytes change for the same inputs and settings
    table: ClassVar[TableName]  # the table that it reads
    reads: ClassVar[pa.Schema]

    def identity(self) -> Identity:
        """Everything that changes its bytes: settings, seed, checksums of models and libraries.

        Plain JSON values. The engine adds name, version, schemas and artifacts.
        """
        return {}


class Step(Node):
    """A map over one table: same rows, same order, new columns.

    A failed row has an ERROR in the column ``<name>_error``, which the engine adds and fills when
    the batch function raises; a step may write ``<name>_reasons`` to reject a row. Rows with
    either are not shown to later steps.
    """

    writes: ClassVar[pa.Schema]
    memo: ClassVar[bool] = False  # whether its results are kept in the work store
    replaces: ClassVar[frozenset[str]] = frozenset()  # columns of earlier steps it gives anew
    uses: ClassVar[tuple[str, ...]] = ()  # the fit steps whose artifacts ``open`` receives
    resources: Resources = Resources()

    @property
    def first_counts(self) -> bool:
        """Whether results may differ from run to run, so that the first committed ones count."""
        return False

    @abstractmethod
    def open(self, artifacts: Artifacts) -> AbstractContextManager[BatchFn]:
        """Load what is heavy, once per worker, and give the batch function."""


class Explode(Node):
    """The one change of cardinality: a conversation batch becomes an utterance batch.

    The output names its conversation in ``id``; rows of one conversation stay together, in order.
    """

    table: ClassVar[TableName] = "conversations"
    writes: ClassVar[pa.Schema]

    @abstractmethod
    def open(self) -> AbstractContextManager[BatchFn]:
        """Give the batch function."""


@dataclass(frozen=True, kw_only=True)
class Gather(Node):
    """The way back: utterances are nested under their conversation as a list of structs.

    ``reads`` are the utterance columns that travel back: all but the bulky ones.
    """

    name: ClassVar[str] = "gather"
    table: ClassVar[TableName] = "utterances"
    reads: pa.Schema  # type: ignore[misc]
    column: str = "utterances"


class Fit(Node):
    """Reduces the corpus to one artifact: order-free partials, an associative merge, a finalize.

    ``pinned``: a child snapshot takes its parent's artifact unless told to refit.
    """

    pinned: ClassVar[bool] = True

    @abstractmethod
    def partial(self, batch: pa.RecordBatch, num_partitions: int) -> pa.Table:
        """Reduce one partition's live rows, of ``num_partitions`` in the plan."""

    @abstractmethod
    def merge(self, parts: list[pa.Table]) -> pa.Table:
        """Merge partials; the order of ``parts`` and their grouping do not matter."""

    @abstractmethod
    def finalize(self, merged: pa.Table) -> bytes:
        """The artifact, as bytes that are equal for equal rows."""
