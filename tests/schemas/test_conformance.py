"""Conformance: a message names the step, the column, what was expected and what was found."""

import pyarrow as pa
import pytest

from schemas.columns import field
from schemas.conformance import check_conformance, conform, plain
from schemas.errors import SchemaError

WANTED = pa.schema(
    [
        field("id", pa.string(), "the row"),
        field("seconds", pa.float64(), "its length", unit="s", nullable=True),
    ]
)


def batch(**columns: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


GOOD = batch(id=pa.array(["a", "b"]), seconds=pa.array([1.0, None]))


def test_what_was_declared_passes() -> None:
    check_conformance("cast", "writes", GOOD, WANTED)
    check_conformance("cast", "writes", GOOD.slice(0, 0), WANTED)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (batch(id=GOOD["id"]), ["cast writes", "['id']", "expected ['id', 'seconds']"]),
        (
            batch(id=GOOD["id"], seconds=GOOD["seconds"], more=GOOD["id"]),
            ["cast writes", "['id', 'seconds', 'more']", "expected ['id', 'seconds']"],
        ),
        (batch(seconds=GOOD["seconds"], id=GOOD["id"]), ["cast writes", "['seconds', 'id']"]),
        (
            batch(id=GOOD["id"], seconds=pa.array([1, 2])),
            ["cast writes", "'seconds'", "expected double", "found int64"],
        ),
        (
            batch(id=pa.array(["a", None]), seconds=GOOD["seconds"]),
            ["cast writes", "'id'", "expected no nulls", "found 1 in 2 rows"],
        ),
    ],
    ids=["missing", "extra", "order", "type", "null"],
)
def test_what_was_not_declared_is_named(found: pa.RecordBatch, said: list[str]) -> None:
    with pytest.raises(SchemaError) as caught:
        check_conformance("cast", "writes", found, WANTED)
    for part in said:
        assert part in str(caught.value)


def test_conform_takes_the_columns_it_wants_from_a_table_in_pieces() -> None:
    more = GOOD.append_column("other", pa.array([1, 2]))
    table = pa.Table.from_batches([more, more.slice(1), more.slice(0, 0)])
    result = conform("cast", table.select(["other", "seconds", "id"]), WANTED)
    assert result.schema.names == ["id", "seconds"]
    assert result.to_pydict() == {"id": ["a", "b", "b"], "seconds": [1.0, None, None]}


def test_conform_takes_an_empty_table() -> None:
    assert conform("cast", plain(WANTED).empty_table(), WANTED).num_rows == 0
    assert conform("cast", pa.table({"id": [], "seconds": []}, plain(WANTED)), WANTED).num_rows == 0


def test_conform_names_the_column_that_is_not_there() -> None:
    with pytest.raises(SchemaError, match=r"cast reads column 'seconds', which is not there.*'id'"):
        conform("cast", pa.table({"id": ["a"]}), WANTED)


def test_conform_checks_what_it_takes() -> None:
    with pytest.raises(SchemaError, match="cast reads column 'id': expected no nulls, found 1"):
        conform("cast", pa.table({"id": ["a", None], "seconds": [1.0, 2.0]}), WANTED)


def test_plain_keeps_names_and_types_alone() -> None:
    assert plain(WANTED).names == WANTED.names
    assert plain(WANTED).types == WANTED.types
    assert all(item.nullable and not item.metadata for item in plain(WANTED))
