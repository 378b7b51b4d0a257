"""The streaming reader equals json.loads, whatever the chunks."""

import io
import json
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.sources.json_array import read_array
from jobs.sources.raw import MAX_DEPTH, BadRow, RawRow
from schemas.errors import SourceError

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"]))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


def read_all(data: bytes, chunk_bytes: int = 1 << 16) -> list[RawRow | BadRow]:
    return list(read_array(io.BytesIO(data), "f.json", chunk_bytes=chunk_bytes))


def values_of(rows: list[RawRow | BadRow]) -> list[object]:
    return [row.value for row in rows if isinstance(row, RawRow)]


@given(
    rows=st.lists(VALUES, max_size=6),
    chunk_bytes=st.integers(1, 80),
    indent=st.sampled_from([None, 0, 2]),
    ascii_only=st.booleans(),
)
def test_any_array_in_any_chunks_equals_json_loads(
    rows: list[object], chunk_bytes: int, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(rows, indent=indent, ensure_ascii=ascii_only)
    data = text.encode("utf-8", "surrogatepass" if ascii_only else "strict")
    read = values_of(read_all(data, chunk_bytes))
    assert json.dumps(read) == json.dumps(json.loads(text))  # 1 and 1.0 and True differ here


@given(
    rows=st.lists(VALUES, min_size=1, max_size=6),
    gaps=st.lists(st.sampled_from(["", "\n", " \n\n", "\r\n\t"]), min_size=12, max_size=12),
    chunk_bytes=st.integers(1, 40),
)
def test_every_row_is_named_by_the_line_on_which_it_starts(
    rows: list[object], gaps: list[str], chunk_bytes: int
) -> None:
    text, wanted = "[", []
    for index, row in enumerate(rows):
        text += gaps[2 * index]
        wanted.append(f"f.json:{text.count(chr(10)) + 1}")
        text += json.dumps(row, indent=1) + gaps[2 * index + 1]
        text += "," if index < len(rows) - 1 else "]\n"
    assert [row.origin for row in read_all(text.encode(), chunk_bytes)] == wanted


@given(cut=st.integers(1, 60), chunk_bytes=st.integers(1, 30))
def test_a_cut_array_gives_its_whole_rows_and_then_an_error(cut: int, chunk_bytes: int) -> None:
    data = '[{"a": "é, \\u00e9"}, -12.5e3, [true, null],\n "x", {"b": [{}]}]'.encode()
    cut = min(cut, len(data) - 1)
    rows: list[RawRow | BadRow] = []
    with pytest.raises(SourceError, match=r"cut|malformed"):
        rows.extend(read_array(io.BytesIO(data[:cut]), "f.json", chunk_bytes=chunk_bytes))
    wanted = json.loads(data)
    got = values_of(rows)
    assert len(got) == len(rows)
    assert got == wanted[: len(got)]


@pytest.mark.parametrize("chunk_bytes", [1, 7, 1 << 16])
def test_a_row_that_is_not_utf8_fails_alone(chunk_bytes: int) -> None:
    rows = read_all(b'[{"a": "x"},\n{"a": "caf\xe9"},\n{"a": "y"}]', chunk_bytes)
    assert values_of(rows) == [{"a": "x"}, {"a": "y"}]
    assert isinstance(rows[1], BadRow)
    assert rows[1].raw == b'{"a": "caf\xe9"}'
    assert rows[1].origin == "f.json:2"
    assert "not UTF-8" in rows[1].message


@pytest.mark.parametrize("chunk_bytes", [3, 1 << 16])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 100_000])
def test_a_row_that_nests_too_deep_fails_alone(depth: int, chunk_bytes: int) -> None:
    deep = b"[" * (depth - 1) + b'{"]": "\\"]"}' + b"]" * (depth - 1)
    rows = read_all(b"[1,\n" + deep + b",\n2]", chunk_bytes)
    assert values_of(rows) == [1, 2]
    assert isinstance(rows[1], BadRow)
    assert rows[1].raw == deep
    assert "nested deeper" in rows[1].message
    assert rows[2].origin == "f.json:3"


def test_a_row_of_the_greatest_depth_is_read() -> None:
    row = json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert values_of(read_all(json.dumps([row]).encode())) == [row]


def test_deep_brackets_that_never_close_are_an_error_with_their_place() -> None:
    with pytest.raises(SourceError, match="never closes"):
        read_all(b"[1,\n" + b"[" * 100_000)


def test_an_integer_beyond_pythons_limit_of_digits_is_a_number() -> None:
    assert values_of(read_all(b"[" + b"9" * 5000 + b", 7]")) == [float("inf"), 7]


def test_a_byte_order_mark_is_passed_over() -> None:
    assert values_of(read_all(b"\xef\xbb\xbf[1]", 1)) == [1]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", ["f.json", "empty", "wanted a JSON array"]),
        (b" \n ", ["empty"]),
        (b"hello", ["not JSON at line 1 column 1"]),
        (b"\n  this is text", ["not JSON at line 2 column 3"]),
        (b"\xff\xfe[\x00", ["not UTF-8", "save the file as UTF-8"]),
        (b'{"instruction": "x"}', ["single JSON object", "name it .jsonl"]),
        (b'"text"', ["single JSON value", "put the rows into an array"]),
        (b"true", ["single JSON value"]),
        (b"12", ["single JSON value"]),
        (b"[1,\n2", ["cut", "line 2", "fetch or write the file again"]),
        (b'[1,\n {"a": "xyz', ["cut", "line 2"]),
        (b'[{"a": 1},\n {"a" 1}, {"a": 2}]', ["malformed at line 2 column 7", "':' delimiter"]),
        (b"[1 2]", ["malformed at line 1 column 4", "',' delimiter"]),
        (b"[1,]", ["malformed at line 1 column 4"]),
        (b"[1] []", ["malformed at line 1 column 5", "after the array's end"]),
        (b'[{"a": "x\ny"}]', ["malformed", "control character"]),
    ],
)
def test_what_is_no_array_is_named_with_its_place_and_cure(data: bytes, words: list[str]) -> None:
    for chunk_bytes in (1, 1 << 16):
        with pytest.raises(SourceError) as error:
            read_all(data, chunk_bytes)
        for word in words:
            assert word in str(error.value)


def test_an_error_in_the_middle_is_found_without_reading_on() -> None:
    stream = io.BytesIO(b"[1, {]," + b" " * 10_000_000)
    with pytest.raises(SourceError, match="malformed at line 1 column 6"):
        list(read_array(stream, "f.json"))
    assert stream.tell() < 1_000_000


class _Endless(io.RawIOBase):
    """A JSON array of about ``size`` bytes that is never held as a whole."""

    def __init__(self, size: int) -> None:
        row = json.dumps({"instruction": "Say a thing.", "output": "A thing. " * 90}).encode()
        self._pieces: Iterator[bytes] = iter(
            [b"[" + row, *([b",\n" + row] * (size // len(row))), b"]"]
        )

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return next(self._pieces, b"")


def test_memory_does_not_grow_with_the_file() -> None:
    stream = _Endless(50_000_000)
    tracemalloc.start()
    count = sum(1 for _ in read_array(stream, "f.json"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count > 50_000
    assert peak < 8_000_000
