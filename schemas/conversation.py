"""The conversation table: one source row as a table row, and what identifies it."""

import hashlib
import json
from typing import Final, NotRequired, TypedDict

import pyarrow as pa

from schemas.columns import error_field, field

TURN: Final = pa.struct(
    [
        field("role", pa.string(), "system, user or assistant"),
        field("text", pa.string(), "what the source says in this turn, as it stands there"),
        field("input", pa.string(), "the material that an instruction works on; empty if none"),
        field("audio", pa.binary(), "an encoded audio file that the turn carries", nullable=True),
        field("provenance", pa.string(), "human, imported or synthesized; empty without audio"),
    ]
)
IMPORTED: Final = pa.struct(
    [
        field("turn", pa.int32(), "index of the turn", unit="turns"),
        field("set", pa.string(), "name of the unit set, whose contract the pipeline knows"),
        field("codes", pa.list_(pa.int32()), "unit ids [T'] of one codebook"),
        field("durations", pa.list_(pa.int32()), "run lengths [T']", unit="frames", nullable=True),
    ]
)
CONVERSATION: Final = pa.schema(
    [
        field("id", pa.string(), "content hash and occurrence number: 24 hex digits, '-', number"),
        field("source", pa.string(), "name of the source, from the job"),
        field("source_id", pa.string(), "the row's own id in its source; empty if it has none"),
        field("license", pa.string(), "licence of the row, SPDX where there is one"),
        field("lang", pa.string(), "ISO 639-1 code of the row's language"),
        field("turns", pa.list_(pa.field("item", TURN, nullable=False)), "the turns in order"),
        field("image", pa.string(), "reference to the image that the row speaks of", nullable=True),
        field(
            "record", pa.string(), "KEY.json of the Voxmill sample that it came from", nullable=True
        ),
        field(
            "imported",
            pa.list_(pa.field("item", IMPORTED, nullable=False)),
            "units that the source gives",
            nullable=True,
        ),
        field("origin", pa.string(), "file and line; never part of an identity"),
        error_field("source"),
    ]
)
HASH_DIGITS: Final = 24


class Turn(TypedDict):
    """One turn of a conversation. ``audio`` is an encoded file (WAV, FLAC, ...) or None."""

    role: str
    text: str
    input: str
    audio: bytes | None
    provenance: str


class ImportedUnits(TypedDict):
    """Units of one turn, as the source gives them. ``durations`` is None where it has none."""

    turn: int
    set: str
    codes: list[int]
    durations: list[int] | None


class Conversation(TypedDict):
    """A source row after its adapter, before it has an id."""

    source_id: str
    license: str
    lang: str
    turns: list[Turn]
    image: str | None
    record: NotRequired[str]
    imported: NotRequired[list[ImportedUnits]]


def turn(role: str, text: str, *, input: str = "") -> Turn:
    """A turn of text alone."""
    return {"role": role, "text": text, "input": input, "audio": None, "provenance": ""}


def content_hash(row: Conversation) -> str:
    """The first 96 bits of the sha256 of everything that the row says, in hex.

    File names and positions are not part of it, so re-ordering a source changes no id.
    """
    turns = [
        {**item, "audio": hashlib.sha256(item["audio"]).hexdigest() if item["audio"] else None}
        for item in row["turns"]
    ]
    text = json.dumps({**row, "turns": turns}, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:HASH_DIGITS]


def row_id(digest: str, occurrence: int) -> str:
    """The id of the ``occurrence``-th row (from 0) with this content."""
    return f"{digest}-{occurrence}"
