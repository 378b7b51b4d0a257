"""How each source row ended: accepted, rejected with reasons, or failed with its error."""

from collections.abc import Iterator
from typing import Any, Final, Literal, TypedDict

import pyarrow as pa

from pipelines.tables import live
from schemas.columns import (
    ERROR,
    ERROR_SUFFIX,
    REASON,
    REASONS_SUFFIX,
    Reason,
    RowFailure,
    field,
    reason_codes,
)
from schemas.parquet import iterate, read_table
from schemas.snapshot import FileEntry, read_verified
from schemas.store import Store
from schemas.utterance import ATTEMPT, MEASURE

State = Literal["accepted", "rejected", "failed"]
SHOWN_TURN: Final = pa.struct(
    [
        field("role", pa.string(), ""),
        field("text", pa.string(), "as the source says it"),
        field("input", pa.string(), "as the source says it"),
        field("spoken_text", pa.string(), "as it would have been said; null if it never was"),
        field("voice", pa.string(), "id in the bank; empty if it was not spoken"),
        field("measures", pa.list_(pa.field("item", MEASURE, nullable=False)), "if spoken"),
        field("attempts", pa.list_(pa.field("item", ATTEMPT, nullable=False)), "if spoken"),
    ]
)
OUTCOME: Final = pa.schema(
    [
        field("id", pa.string(), "the row"),
        field("state", pa.string(), "rejected or failed"),
        field("origin", pa.string(), "file and line"),
        field("source_id", pa.string(), "the row's own id in its source"),
        field("lang", pa.string(), "ISO 639-1 code"),
        field("partition", pa.string(), "where it is planned"),
        field("spoken", pa.bool_(), "whether it has audio in the work store"),
        field("turns", pa.list_(pa.field("item", SHOWN_TURN, nullable=False)), "what it says"),
        field("reasons", pa.list_(pa.field("item", REASON, nullable=False)), "why rejected"),
        field("error", ERROR, "how it failed", nullable=True),
    ]
)


class Outcome(TypedDict):
    """One row of the OUTCOME table."""

    id: str
    state: State
    origin: str
    source_id: str
    lang: str
    partition: str
    spoken: bool
    turns: list[dict[str, Any]]
    reasons: list[Reason]
    error: RowFailure | None


def not_accepted(conversations: pa.Table, partition: str) -> list[Outcome]:
    """The rejected and the failed rows of an evaluated partition. A failure outweighs reasons."""
    table = conversations.filter(pa.compute.invert(live(conversations)))
    names = table.column_names
    reasons = [name for name in names if name.endswith(REASONS_SUFFIX)]
    errors = [name for name in names if name.endswith(ERROR_SUFFIX)]
    wanted = ["id", "origin", "source_id", "lang", "turns", "questions", "answers", "utterances"]
    found = []
    there = [name for name in wanted if name in names]  # pipelines differ in what they write
    for row in table.select([*there, *reasons, *errors]).to_pylist():
        error = next((row[name] for name in errors if row[name] is not None), None)
        found.append(
            Outcome(
                id=row["id"],
                state="rejected" if error is None else "failed",
                origin=row["origin"],
                source_id=row["source_id"],
                lang=row["lang"],
                partition=partition,
                spoken=bool(row.get("utterances")) and error is None,
                turns=_shown_turns(row),
                reasons=[item for name in reasons for item in row[name] or []],
                error=error,
            )
        )
    return found


def main_code(outcome: Outcome) -> str:
    """The one word under which a row is counted: its error's class, or its first reason's code."""
    if outcome["error"] is not None:
        return outcome["error"]["error_class"]
    return outcome["reasons"][0]["code"] if outcome["reasons"] else "unknown"


def identity_reasons(outcome: Outcome) -> list[list[object]]:
    """The reasons as they count in an identity: step, code and turn, without wording."""
    triples = {(item["step"], item["code"], item["turn"]) for item in outcome["reasons"]}
    return [list(triple) for triple in sorted(triples)]


def all_codes(outcome: Outcome) -> list[str]:
    """Every distinct reason code of a rejected row."""
    return reason_codes(outcome["reasons"])


def _shown_turns(row: dict[str, Any]) -> list[dict[str, Any]]:
    spoken = {
        item["turn"]: item["spoken_text"]
        for item in [*(row.get("questions") or []), *(row.get("answers") or [])]
    }
    heard = {item["turn"]: item for item in row["utterances"] or []}
    return [
        {
            "role": item["role"],
            "text": item["text"],
            "input": item["input"],
            "spoken_text": spoken.get(turn) or "",
            "voice": heard.get(turn, {}).get("voice") or "",
            "measures": heard.get(turn, {}).get("measures") or [],
            "attempts": heard.get(turn, {}).get("attempts") or [],
        }
        for turn, item in enumerate(row["turns"])
    ]


def each_outcome(store: Store, entry: FileEntry) -> Iterator[Outcome]:
    """The rows of a rejected or failed file, few of them in memory at once."""
    rows: Iterator[Any] = iterate(read_verified(store, entry), OUTCOME, entry["name"], 64)
    yield from rows


def read_outcomes(store: Store, entry: FileEntry) -> list[Outcome]:
    """The rows of a rejected or failed file."""
    table = read_table(read_verified(store, entry), OUTCOME, entry["name"])
    rows: list[Outcome] = table.to_pylist()
    return rows
