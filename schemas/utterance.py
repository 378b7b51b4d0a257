"""The utterance table: one turn to be spoken per row, and what each step adds to it."""

from collections.abc import Iterable
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
WORD: Final = pa.struct(
    [
        field("word", pa.string(), "as compared: no case, no punctuation"),
        field("start_s", pa.float64(), "in the audio that ships", unit="s"),
        field("end_s", pa.float64(), "in the audio that ships", unit="s"),
    ]
)
ATTEMPT: Final = pa.struct(
    [
        field("number", pa.int32(), "0 for the first"),
        field("rate", pa.float64(), "what the voice's rate was multiplied by"),
        field("seed", pa.int64(), "what the backend was given to draw from"),
        field("said", pa.string(), "the text if re-spelled; empty for the spoken text"),
        field("score", pa.float64(), "0 to 1, transforms/attempts.py; 0 for an error"),
        field("kept", pa.bool_(), "whether this attempt is the one that ships"),
        field("error", pa.string(), "why it gave no speech; empty if it did"),
        field("measures", pa.list_(pa.field("item", MEASURE, nullable=False)), "sorted by name"),
    ]
)
VOICE: Final = pa.schema(
    [
        field("voice", pa.string(), "id of the voice in the bank; empty if the source gave audio"),
        field("speaker_id", pa.string(), "who is really heard; empty if unknown"),
        field("voice_digest", pa.string(), "hash of all that the voice's sound depends on"),
    ]
)
MANNER: Final = pa.schema(
    [
        field("style", pa.string(), "as the voice asks for it; empty for none"),
        field("emotion", pa.string(), "as the voice asks for it; empty for none"),
        field(
            "manner_ignored",
            pa.list_(pa.field("item", pa.string(), nullable=False)),
            "of style, emotion and instruction, what the voice's backend does not follow",
        ),
    ]
)
SPEECH: Final = pa.schema(
    [
        field("flac", pa.binary(), "the mono 16-bit FLAC file that ships"),
        field("flac_sha256", pa.string(), "of flac, in hex"),
        field("sample_rate_hz", pa.int32(), "of flac", unit="Hz"),
        field("num_samples", pa.int64(), "of flac", unit="samples"),
        field("audio_provenance", pa.string(), "human, imported or synthesized"),
        field(
            "attempts",
            pa.list_(pa.field("item", ATTEMPT, nullable=False)),
            "in order; empty for audio of the source, and where nothing was checked",
        ),
        field(
            "words",
            pa.list_(pa.field("item", WORD, nullable=False)),
            "where each word is, by forced alignment; empty where there is none",
        ),
        field("augmentation", pa.string(), "JSON: what was done to the audio; empty for nothing"),
    ]
)
HEARD: Final = pa.schema(
    [
        field("heard", pa.list_(pa.field("item", MEASURE, nullable=False)), "sorted by name"),
        field("heard_text", pa.string(), "what speech recognition heard; empty if not asked"),
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
            "unit ids [nq * T'], codebook after codebook; null for roles without units",
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
        field("num_units", pa.int32(), "T' of codes; 0 without units", unit="units"),
    ]
)

OWN_UNITS: Final = pa.schema(
    [
        field(
            "own_codes",
            pa.list_(pa.int32()),
            "tokens [nq * T] from which a speech model made the audio; null where it gave none",
            nullable=True,
        ),
    ]
)


class Measure(TypedDict):
    """One measure of one utterance. ``value`` is None unless ``status`` is "taken"."""

    name: str
    value: float | None
    status: str


class Word(TypedDict):
    """One aligned word and where it is, in seconds."""

    word: str
    start_s: float
    end_s: float


class Attempt(TypedDict):
    """One try at saying an utterance: what the ATTEMPT struct holds."""

    number: int
    rate: float
    seed: int
    said: str
    score: float
    kept: bool
    error: str
    measures: list[Measure]


def taken(name: str, value: float) -> Measure:
    """A measure that was taken."""
    return {"name": name, "value": float(value), "status": TAKEN}


def unavailable(name: str) -> Measure:
    """A measure that nothing here can take for this utterance."""
    return {"name": name, "value": None, "status": UNAVAILABLE}


def not_sampled(name: str) -> Measure:
    """A measure that this utterance was not drawn for."""
    return {"name": name, "value": None, "status": NOT_SAMPLED}


def value_of(measures: Iterable[Measure], name: str) -> float | None:
    """The value of a measure, or None if it was not taken."""
    return next((item["value"] for item in measures if item["name"] == name), None)
