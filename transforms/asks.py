"""What all steps that ask something share: one office a worker, one desk a partition."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar, Protocol

import pyarrow as pa

from transforms.backends.chat.desk import Desk, MemoryDesk
from transforms.backends.chat.office import Office
from transforms.step import Artifacts, BatchFn, Step


class AskFn(Protocol):
    """The batch function of a step that asks: it takes the desk of the rows' partition too."""

    def __call__(self, batch: pa.RecordBatch, desk: Desk) -> pa.RecordBatch:
        """The same rows in the same order, with the columns that the step writes."""


class Asks(Step):
    """A step whose rows ask a model or a service, whose replies are committed at a desk."""

    server_times_rows: ClassVar[bool] = True  # what it waits for has limits of its own

    @abstractmethod
    def open_asking(self, office: Office) -> AbstractContextManager[AskFn]:
        """The batch function, which takes the desk of the rows' partition too."""

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        """With replies that are kept as long as the step is open."""
        office, desk = Office(), MemoryDesk()
        try:
            with self.open_asking(office) as run:
                yield lambda batch: run(batch, desk)
        finally:
            office.close()
