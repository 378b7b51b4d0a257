"""A source ends as rows and failures; its digests depend on nothing but what the rows say."""

import json
import os
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.sources.read import HEAD_ROWS, read_source
from schemas.errors import SettingsError, SourceError
from tests.jobs.sources.builders import ROW, alpaca_rows, read, settings, write_lines

REAL = Path(__file__).parents[4] / "shared" / "data" / "instructions"
BAD: list[object] = [{"instruction": 5}, {"instruction": None}, [1], {"instruction": "\ud800"}]


def refusal(path: Path, adapter: str = "alpaca") -> str:
    with pytest.raises(SourceError) as error:
        read(path, adapter)
    return str(error.value)


def test_good_and_malformed_rows_all_come_out_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_lines(path, [ROW, *BAD])
    path.write_bytes(path.read_bytes() + b"{broken\n")
    rows = read(path)
    assert [row.error is None for row in rows] == [True] + [False] * 5
    assert [row.conversation is None for row in rows] == [False] + [True] * 5
    assert [row.origin for row in rows] == [f"a.jsonl:{number}" for number in range(1, 7)]
    error = rows[1].error
    assert error is not None
    assert (error["step"], error["error_class"]) == ("source", "MalformedRow")
    assert not error["retryable"]
    assert "'instruction' is the number 5" in error["message"]
    assert len({row.digest for row in rows}) == 6
    assert all(len(row.digest) == 24 and int(row.digest, 16) >= 0 for row in rows)


def test_every_field_of_every_row_can_be_stored(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jsonl")
    write_lines(tmp_path / name, [ROW, *BAD])
    for row in read(tmp_path):
        pa.array([row.origin, row.digest, row.source, *(row.error or {})], pa.string())
        assert "\\xe9" in row.origin


def test_digests_do_not_depend_on_order_file_names_or_format(tmp_path: Path) -> None:
    rows = [*alpaca_rows(30), *BAD[:2], {"instruction": "a", "output": 1}]
    write_lines(tmp_path / "a.jsonl", rows)
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "b.json").write_text(json.dumps(rows[::-1], indent=3))
    one, other = read(tmp_path / "a.jsonl"), read(tmp_path / "z")
    assert [row.digest for row in one] == [row.digest for row in other][::-1]
    assert [row.error for row in one] == [row.error for row in other][::-1]


def test_a_parquet_row_has_the_digest_of_the_same_json_row(tmp_path: Path) -> None:
    rows = [{"instruction": "a", "output": "b"}, {"instruction": "c", "input": "d"}]
    table = pa.Table.from_pylist([{"input": None, "output": None, **row} for row in rows])
    pq.write_table(table, tmp_path / "a.parquet")
    write_lines(tmp_path / "a.jsonl", [*rows])
    parquet, lines = read(tmp_path / "a.parquet"), read(tmp_path / "a.jsonl")
    assert [row.digest for row in parquet] == [row.digest for row in lines]


def test_a_malformed_parquet_row_of_bytes_and_times_has_a_digest(tmp_path: Path) -> None:
    table = pa.table({"instruction": ["a", None], "raw": [b"\xff", b"\0"], "n": [1.5, None]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert [row.error is None for row in read(tmp_path / "a.parquet")] == [True, False]


def test_limit_counts_rows_good_and_bad(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [*BAD, *alpaca_rows(30)])
    assert len(read(path, limit=6)) == 6
    assert sum(row.error is None for row in read(path, limit=6)) == 2
    assert len(read(path, limit=2)) == 2
    assert len(read(path, limit=100)) == 34


def test_a_rows_own_source_is_kept(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [ROW, {**ROW, "source": "mine"}, {"source": "x"}])
    assert [row.source for row in read(path)] == ["test", "mine", "test"]


@pytest.mark.parametrize(
    ("adapter", "row", "words"),
    [
        ("sharegpt", ROW, ["wrong adapter 'sharegpt'", "instruction, input", "adapter 'alpaca'"]),
        ("messages", {"conversations": []}, ["keys conversations", "use adapter 'sharegpt'"]),
        ("alpaca", {"messages": []}, ["keys messages", "use adapter 'messages'"]),
        ("alpaca", {"instruction": "a", "response": "b"}, ["use adapter 'plain'"]),
        ("plain", ROW, ["use adapter 'alpaca'"]),
        ("alpaca", {"text": "x"}, ["keys text", "no adapter fits", "messages: role, content"]),
        ("alpaca", {"instruction": 5}, ["all of the first 20 rows", "'instruction' is the num"]),
        ("alpaca", [1], ["the first row is a list of 1"]),
    ],
)
def test_a_head_without_any_good_row_names_the_fitting_adapter(
    tmp_path: Path, adapter: str, row: object, words: list[str]
) -> None:
    path = write_lines(tmp_path / "a.jsonl", [row] * (HEAD_ROWS + 1))
    text = refusal(path, adapter)
    assert str(path) in text
    for word in words:
        assert word in text


def test_one_good_row_in_the_head_is_enough(tmp_path: Path) -> None:
    bad: list[object] = [{"text": "x"}]
    path = write_lines(tmp_path / "a.jsonl", [*bad * (HEAD_ROWS - 1), ROW, *bad * 40])
    assert sum(row.error is None for row in read(path)) == 1
    assert "wrong adapter" in refusal(write_lines(path, [*bad * HEAD_ROWS, ROW]))


def test_the_verdict_on_the_head_does_not_depend_on_the_limit(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [*BAD, ROW])
    assert [row.error is None for row in read(path, limit=1)] == [False]


def test_lines_that_are_no_json_at_all_are_an_error_with_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("# notes\nhello there\n")
    text = refusal(path)
    assert "none of the first 2 rows is readable (a.jsonl:1: not JSON at column 1" in text


@pytest.mark.parametrize(("name", "text"), [("a.json", "[]"), ("a.jsonl", "\n \n")])
def test_a_source_without_rows_is_an_error(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert "no rows; wanted at least one row" in refusal(tmp_path / name)


def test_an_unknown_adapter_is_refused_before_reading(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="wanted one of alpaca"):
        next(read_source(settings(tmp_path / "none", adapter="csv"), None))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real data lies outside the repository")
@pytest.mark.parametrize(
    ("name", "adapter", "num_rows", "num_duplicates", "langs"),
    [
        ("alpaca_en_1k.json", "alpaca", 999, 14, {"en"}),
        ("alpaca_zh_1k.json", "alpaca", 1000, 8, {"zh", "en"}),
        ("alpaca_eval_805.json", "alpaca", 805, 0, {"en"}),
        ("dpo_en_300.json", "sharegpt", 300, None, {"en"}),
    ],
)
def test_real_files_are_read_whole(
    name: str, adapter: str, num_rows: int, num_duplicates: int | None, langs: set[str]
) -> None:
    rows = read(REAL / name, adapter)
    assert len(rows) == num_rows
    assert [row.error for row in rows if row.error] == []
    if num_duplicates is not None:
        assert num_rows - len({row.digest for row in rows}) == num_duplicates
    counted = Counter(row.conversation["lang"] for row in rows if row.conversation)
    assert set(counted) <= langs


@pytest.mark.skipif(not REAL.is_dir(), reason="the real data lies outside the repository")
def test_a_real_file_that_no_adapter_reads_is_refused() -> None:
    text = refusal(REAL / "vicuna_questions_80.jsonl")
    assert "question_id, text, category" in text
    assert "no adapter fits" in text
