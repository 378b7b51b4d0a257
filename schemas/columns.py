"""The building blocks of every table: fields that carry their unit, reasons and errors."""

from collections.abc import Iterable
from typing import Final, TypedDict

import pyarrow as pa

REASON: Final = pa.struct(
    [
        pa.field("step", pa.string(), nullable=False),
        pa.field("code", pa.string(), nullable=False),
        pa.field("turn", pa.int32(), nullable=False),  # -1: the whole row
        pa.field("detail", pa.string(), nullable=False),
    ]
)
ERROR: Final = pa.struct(
    [
        pa.field("step", pa.string(), nullable=False),
        pa.field("error_class", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
        pa.field("retryable", pa.bool_(), nullable=False),
        pa.field("generation", pa.int32(), nullable=False),  # of --retry-failed
    ]
)
REASONS_SUFFIX: Final = "_reasons"
ERROR_SUFFIX: Final = "_error"
WHOLE_ROW: Final = -1


class Reason(TypedDict):
    """Why a row, or one of its turns, was rejected. ``turn`` is -1 for the whole row."""

    step: str
    code: str
    turn: int
    detail: str


class RowFailure(TypedDict):
    """Why a row failed: what the ERROR struct holds."""

    step: str
    error_class: str
    message: str
    retryable: bool
    generation: int


def field(
    name: str, dtype: pa.DataType, doc: str, *, unit: str = "", nullable: bool = False
) -> pa.Field:
    """A column with its meaning, and its unit where it has one, in the Arrow metadata."""
    metadata = {"doc": doc, "unit": unit} if unit else {"doc": doc}
    return pa.field(name, dtype, nullable=nullable, metadata=metadata)


def reasons_field(step: str) -> pa.Field:
    """The column in which ``step`` says why it rejects a row; a row with reasons is skipped on."""
    return field(
        step + REASONS_SUFFIX,
        pa.list_(pa.field("item", REASON, nullable=False)),
        f"why {step} rejects the row; empty or null if it does not",
        nullable=True,
    )


def error_field(step: str) -> pa.Field:
    """The column in which the engine or ``step`` says that a row failed there."""
    return field(step + ERROR_SUFFIX, ERROR, f"how the row failed in {step}", nullable=True)


def reason(step: str, code: str, detail: str = "", turn: int = WHOLE_ROW) -> Reason:
    """A reason in the form that the REASON struct holds."""
    return {"step": step, "code": code, "turn": turn, "detail": detail}


def failure(
    step: str, error_class: str, message: str, *, retryable: bool, generation: int = 0
) -> RowFailure:
    """An error in the form that the ERROR struct holds."""
    return {
        "step": step,
        "error_class": error_class,
        "message": message,
        "retryable": retryable,
        "generation": generation,
    }


def reason_codes(reasons: Iterable[Reason]) -> list[str]:
    """The distinct codes, sorted."""
    return sorted({item["code"] for item in reasons})
