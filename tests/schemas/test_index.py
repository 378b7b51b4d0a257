"""The index schema: frozen, documented, with units in the metadata of what is measured."""

import io
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.index import INDEX

COLUMNS = (
    "key:string shard:string offset:int64 length:int64 crc32c:uint32 members:list split:string "
    "lang:string source:string source_id:string license:string duration_s:double turns:list "
    "num_dropped:int32 lineage:string"
)
TURN = (
    "turn:int32 role:string text:string spoken_text:string voice:string speaker_id:string "
    "duration_s:double num_frames:int32 num_units:int32 measures:list "
    "augmentation:string"
)


def fields(schema: "pa.Schema | pa.StructType") -> Iterator[pa.Field]:
    for item in schema:
        yield item
        if pa.types.is_list(item.type):
            yield from fields(item.type.value_type)


def shown(schema: "pa.Schema | pa.StructType") -> str:
    return " ".join(f"{item.name}:{str(item.type).partition('<')[0]}" for item in schema)


def test_readers_rely_on_these_columns() -> None:
    assert shown(INDEX) == COLUMNS
    assert shown(INDEX.field("turns").type.value_type) == TURN
    assert shown(INDEX.field("members").type.value_type) == "suffix:string offset:int64 size:int64"


def test_every_column_says_what_it_means_and_numbers_their_unit() -> None:
    for item in fields(INDEX):
        metadata = item.metadata or {}
        assert metadata.get(b"doc"), item.name
        counted = pa.types.is_integer(item.type) or pa.types.is_floating(item.type)
        if counted and item.name not in ("crc32c", "value"):
            assert metadata.get(b"unit"), item.name


def test_only_a_measures_value_may_be_null() -> None:
    assert [item.name for item in fields(INDEX) if item.nullable] == ["value"]


def test_an_index_survives_parquet() -> None:
    row = {
        "key": "k-0",
        "shard": "train-000000-x.tar",
        "offset": 0,
        "length": 4096,
        "crc32c": 2**32 - 1,
        "members": [{"suffix": "json", "offset": 512, "size": 9}],
        **dict.fromkeys(("split", "lang", "source", "source_id", "license", "lineage"), "中👋"),
        "duration_s": 1.5,
        "turns": [
            {
                **dict.fromkeys(("role", "text", "spoken_text", "voice", "speaker_id"), "x"),
                "turn": 0,
                "duration_s": 1.5,
                "num_frames": 0,
                "num_units": 0,
                "measures": [{"name": "mos", "value": None, "status": "unavailable"}],
                "augmentation": "",
            }
        ],
        "num_dropped": 0,
    }
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row], schema=INDEX), sink)
    found = pq.read_table(io.BytesIO(sink.getvalue()))
    assert found.to_pylist() == [row]
    assert found.schema.names == INDEX.names
    assert found.schema.types == INDEX.types
