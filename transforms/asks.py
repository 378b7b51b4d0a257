"""What all steps that ask something share: one office a worker, one desk a partition."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import ClassVar, Final, Protocol

import pyarrow as pa

from transforms.backends.chat.desk import Desk, MemoryDesk
from transforms.backends.chat.office import Office
from transforms.backends.chat.protocol import ChatBackend
from transforms.step import Artifacts, BatchFn, Step

TURNS_PER_ROW: Final = 2.0  # a user and an assistant


class AskFn(Protocol):
    """The batch function of a step that asks: it takes the desk of the rows' partition too."""

    def __call__(self, batch: pa.RecordBatch, desk: Desk) -> pa.RecordBatch:
        """The same rows in the same order, with the columns that the step writes."""


class SendFn(Protocol):
    """What sends a step's requests ahead of it: see `AsksSpeech`."""

    def __call__(self, batch: pa.RecordBatch, desk: Desk) -> None:
        """Ask what these rows will surely ask; their replies are at the desk, and nowhere else."""


class Asks(Step):
    """A step whose rows ask a model or a service, whose replies are committed at a desk."""

    server_times_rows: ClassVar[bool] = True  # what it waits for has limits of its own

    @property
    @abstractmethod
    def services(self) -> tuple[ChatBackend, ...]:
        """What it asks, each once."""

    @property
    def requests_per_row(self) -> float:
        """How many requests a source row has under way at a time, about."""
        return 1.0

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


class AsksSpeech(Asks):
    """A step over speech that asks: its requests are sent ahead, and its work is done later.

    What a reply is worth takes a processor's time (decoding, measuring, aligning), which is for
    many workers; waiting for a server is for one. So one sends, and keeps nothing but what is
    committed at the desk, where the step finds it when the rows come to it.
    """

    @property
    def requests_per_row(self) -> float:
        return TURNS_PER_ROW

    @abstractmethod
    def open_ahead(self, office: Office) -> AbstractContextManager[SendFn]:
        """What sends the first requests of rows. It loads no model and no local voice."""
