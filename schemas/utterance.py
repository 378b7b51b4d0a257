"""The utterance table: one turn to be spoken per row, and what each step adds to it."""

from typing import Final, TypedDict

import pyarrow as pa

from schemas.columns import field

TAKEN: Final = "taken"
NOT_SAMPLED: Final = "not_sampled"
UNAVAILABLE: Final = "unavailable"

MEASURE: Final = pa.struct(
    [
        field("name", pa.string(), "the measure, its unit as suffix"),
        field("value", pa.float64(), "null unless the measure was taken", nullable=True),
        field("status", pa.string(), "taken, not_sampled or unavailable"),
    ]
)
UTTERANCE: Final = pa.schema(
    [
        field("id", pa.string(), "the conversation's id, which is the sample's key"),
        field("turn", pa.int32(), "index of the turn in its conversation", unit="turns"),
        field("role", pa.string(), "user or assistant"),
        field("lang", pa.string(), "ISO 639-1 code"),
        field("split", pa.string(), "train or eval"),
        field("text", pa.string(), "what the source says in this turn"),
        field("spoken_text", pa.string(), "what is to be said"),
        field("audio", pa.binary(), "an encoded audio file from the source", nullable=True),
        field("audio_sha256", pa.string(), "of audio; empty without", nullable=False),
        field("provenance", pa.string(), "of audio: human, imported or synthesized"),
    ]
)
VOICE: Final = pa.schema(
    [
        field("voice", pa.string(), "id of the voice in the bank; empty if the source gave audio"),
        field("speaker_id", pa.string(), "who is really heard; empty if unknown"),
        field("voice_digest", pa.string(), "hash of all that the voice's sound depends on"),
    ]
)
SPEECH: Final = pa.schema(
    [
        field("flac", pa.binary(), "the mono 16-bit FLAC file that ships"),
        field("flac_sha256", pa.string(), "of flac, in hex"),
        field("sample_rate_hz", pa.int32(), "of flac", unit="Hz"),
        field("num_samples", pa.int64(), "of flac", unit="samples"),
        field("audio_provenance", pa.string(), "human, imported or synthesized"),
    ]
)
MEASURES: Final = pa.schema(
    [
        field(
            "measures",
            pa.list_(pa.field("item", MEASURE, nullable=False)),
            "sorted by name",
        )
    ]
)
UNITS: Final = pa.schema(
    [
        field(
            "codes",
            pa.list_(pa.int32()),
            "unit ids [T'], null for roles without units",
            nullable=True,
        ),
        field(
            "durations",
            pa.list_(pa.int32()),
            "run lengths [T'] in frames; null if not collapsed",
            unit="frames",
            nullable=True,
        ),
        field(
            "num_frames",
            pa.int32(),
            "frames(num_samples) of the unit set; 0 without units",
            unit="frames",
        ),
        field("num_units", pa.int32(), "length of codes; 0 without units", unit="units"),
    ]
)


class Measure(TypedDict):
    """One measure of one utterance. ``value`` is None unless ``status`` is "taken"."""

    name: str
    value: float | None
    status: str


def taken(name: str, value: float) -> Measure:
    """A measure that was taken."""
    return {"name": name, "value": float(value), "status": TAKEN}


def unavailable(name: str) -> Measure:
    """A measure that nothing here can take for this utterance."""
    return {"name": name, "value": None, "status": UNAVAILABLE}
