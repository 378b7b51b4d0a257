"""The index: one Parquet row per sample, written beside its shard."""

from typing import Final

import pyarrow as pa

from schemas.columns import field
from schemas.utterance import MEASURE

MEMBER: Final = pa.struct(
    [
        field("suffix", pa.string(), "name of the member after the key's dot"),
        field("offset", pa.int64(), "where its data starts in the shard", unit="bytes"),
        field("size", pa.int64(), "length of its data", unit="bytes"),
    ]
)
INDEXED_TURN: Final = pa.struct(
    [
        field("turn", pa.int32(), "index of the turn", unit="turns"),
        field("role", pa.string(), "user or assistant"),
        field("text", pa.string(), "as the source says it"),
        field("spoken_text", pa.string(), "as it is heard"),
        field("voice", pa.string(), "id in the bank"),
        field("speaker_id", pa.string(), "who is really heard"),
        field("duration_s", pa.float64(), "of the audio", unit="s"),
        field("num_frames", pa.int32(), "of the unit set; 0 without units", unit="frames"),
        field("num_units", pa.int32(), "after collapsing; 0 without units", unit="units"),
        field("measures", pa.list_(pa.field("item", MEASURE, nullable=False)), "by name"),
        field("augmentation", pa.string(), "JSON: what was done to the audio; empty for nothing"),
    ]
)
INDEX: Final = pa.schema(
    [
        field("key", pa.string(), "the sample's key: the source row's id"),
        field("shard", pa.string(), "name of the shard"),
        field("offset", pa.int64(), "where the sample's first header starts", unit="bytes"),
        field("length", pa.int64(), "up to the next sample", unit="bytes"),
        field("crc32c", pa.uint32(), "of that range"),
        field("members", pa.list_(pa.field("item", MEMBER, nullable=False)), "in order"),
        field("split", pa.string(), "train or eval"),
        field("lang", pa.string(), "ISO 639-1 code"),
        field("source", pa.string(), "name of the source"),
        field("source_id", pa.string(), "the row's own id there"),
        field("license", pa.string(), "of the source row"),
        field("duration_s", pa.float64(), "of all turns", unit="s"),
        field("turns", pa.list_(pa.field("item", INDEXED_TURN, nullable=False)), "that ship"),
        field("num_dropped", pa.int32(), "turns of the source row that do not ship", unit="turns"),
        field("lineage", pa.string(), "JSON: the fingerprints of the steps that made it"),
    ]
)
