"""The exception tree. Every message says who, what arrived, what was wanted and the cure."""

from typing import ClassVar


class VoxmillError(Exception):
    """The root: anything the command line shows as a message and not as a traceback.

    ``passing``: the same command may go through later or elsewhere, though nobody mends anything.
    """

    passing: ClassVar[bool] = False


class SettingsError(VoxmillError):
    """A job file, an option or a voice bank that cannot mean what was written."""


class SourceError(VoxmillError):
    """A source that cannot be read at all (one bad row is a failed row, not this)."""


class BackendError(VoxmillError):
    """A backend, its library or its weights are not there or do not work."""


class LostWorkersError(BackendError):
    """The machines that did the work are lost, and none came in their place."""

    passing = True


class OpeningError(BackendError):
    """A step, a model or a worker did not open in time. Another machine may do better."""

    passing = True


class SilentEndpointError(BackendError):
    """A server that was asked again and again answered nothing for longer than its patience."""

    passing = True


class SchemaError(VoxmillError):
    """A table, a pipeline or a file that breaks its declared schema."""


class StoreError(VoxmillError):
    """The store could not do what was asked: full, read-only, unreachable."""


class UnreachableError(StoreError):
    """The store did not answer, or only with faults of its own, however often it was asked."""

    passing = True


class DamageError(VoxmillError):
    """Stored bytes that are not what was stored: a checksum or a format does not hold."""


class ConflictError(VoxmillError):
    """The output holds something else: another source's corpus, or another build's commit."""


class SystemicError(VoxmillError):
    """So many rows fail in one step that a backend is broken, and not the rows."""


class RowError(VoxmillError):
    """One row could not be processed. It ends as failed, with this error, and the build goes on.

    ``retryable`` says whether the same row might pass another time.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class MalformedRow(RowError):
    """A source row or line that is not what its adapter reads."""


class SynthesisError(RowError):
    """A speech backend returned something that is not speech."""
