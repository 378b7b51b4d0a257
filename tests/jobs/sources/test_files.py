"""Every file format, and every way in which a source can be unreadable."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.sources.files import EXTENSIONS, find_files, read_raw
from jobs.sources.raw import MAX_DEPTH, BadRow, RawRow
from schemas.errors import SourceError
from tests.jobs.sources.builders import alpaca_rows, write_lines

ROWS: list[object] = [*alpaca_rows(200)]


def write(path: Path, rows: list[object]) -> Path:
    """``rows`` in the format that the name says."""
    if path.name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=70)
        return path
    is_array = ".json" in path.suffixes
    text = json.dumps(rows, indent=1) if is_array else "\n".join(map(json.dumps, rows)) + "\n"
    data = text.encode()
    if path.suffix == ".gz":
        data = gzip.compress(data)
    elif path.suffix == ".zst":
        data = pa.compress(data, codec="zstd", asbytes=True)
    path.write_bytes(data)
    return path


def values(path: Path) -> list[object]:
    return [row.value for row in read_raw(path) if isinstance(row, RawRow)]


def message(path: Path) -> str:
    with pytest.raises(SourceError) as error:
        list(read_raw(path))
    return str(error.value)


@pytest.mark.parametrize("extension", [*EXTENSIONS, ".JSONL"])
def test_every_format_gives_the_same_rows(tmp_path: Path, extension: str) -> None:
    path = write(tmp_path / f"rows{extension}", ROWS)
    assert values(path) == ROWS


@pytest.mark.parametrize(
    ("name", "origin"),
    [("a.json", "a.json:7"), ("a.jsonl.gz", "a.jsonl.gz:2"), ("a.parquet", "a.parquet:row 2")],
)
def test_a_row_is_named_by_file_and_place(tmp_path: Path, name: str, origin: str) -> None:
    assert [row.origin for row in read_raw(write(tmp_path / name, ROWS))][1] == origin


def test_a_folder_is_walked_in_sorted_order_and_hidden_files_are_passed_over(
    tmp_path: Path,
) -> None:
    for name in ("b/2.jsonl", "a.jsonl", "b/10.jsonl", ".hidden.jsonl", ".git/x.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_lines(tmp_path / name, [name])
    (tmp_path / "README.md").write_text("no rows")
    assert [row.origin for row in read_raw(tmp_path)] == [
        "a.jsonl:1",
        "b/10.jsonl:1",
        "b/2.jsonl:1",
    ]


def test_links_to_files_and_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    write_lines(outside / "rows.jsonl", [1])
    (inside / "circle").symlink_to(inside)
    (inside / "folder").symlink_to(outside)
    (inside / "link.jsonl").symlink_to(outside / "rows.jsonl")
    assert [name for _, name in find_files(inside)] == ["folder/rows.jsonl", "link.jsonl"]


def test_a_malformed_line_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    deep = b"[" * 50_000 + b"]" * 50_000
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\n{"a": \n{"a": "caf\xe9"}\n' + deep + b'\n{"a": 2}')
    rows = list(read_raw(path))
    assert [row.origin for row in rows] == [f"a.jsonl:{number}" for number in (1, 3, 4, 5, 6)]
    assert values(path) == [{"a": 1}, {"a": 2}]
    bad = [row for row in rows if isinstance(row, BadRow)]
    assert [row.raw for row in bad] == [b'{"a":', b'{"a": "caf\xe9"}', deep]
    assert "not JSON at column 6" in bad[0].message
    assert "not UTF-8 at byte 11" in bad[1].message
    assert f"deeper than {MAX_DEPTH}" in bad[2].message


def test_the_verdict_on_depth_does_not_hang_on_pythons_stack(tmp_path: Path) -> None:
    rows = ["[" * depth + "]" * depth for depth in (MAX_DEPTH, MAX_DEPTH + 1)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(rows))
    assert [type(row) for row in read_raw(path)] == [RawRow, BadRow]


def test_broken_text_in_parquet_fails_its_row_alone(tmp_path: Path) -> None:
    offsets, data = pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"x\xff")
    column = pa.Array.from_buffers(pa.string(), 2, [None, offsets, data])
    pq.write_table(pa.table({"instruction": column}), tmp_path / "a.parquet")
    good, bad = read_raw(tmp_path / "a.parquet")
    assert isinstance(good, RawRow)
    assert isinstance(bad, BadRow)
    assert bad.origin == "a.parquet:row 2"
    assert "UTF-8" in bad.message


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    text = message(tmp_path / "none.json")
    assert "none.json" in text
    assert "no such file or folder" in text
    assert "copy the bucket" in message(Path("s3://bucket/rows"))


@pytest.mark.parametrize("name", ["notes.txt", ".rows.jsonl"])
def test_a_folder_without_known_files_lists_the_extensions(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("x")
    text = message(tmp_path)
    assert "no file of a known kind" in text
    assert all(extension in text for extension in EXTENSIONS)


def test_a_file_of_an_unknown_kind_lists_the_extensions(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("x")
    assert "unknown file extension" in message(tmp_path / "rows.csv")
    assert ".jsonl.zst" in message(tmp_path / "rows.csv")


def test_an_empty_file_is_named_before_anything_is_read(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", [1])
    (tmp_path / "b.jsonl").touch()
    with pytest.raises(SourceError, match=r"b\.jsonl.*empty \(0 bytes\)"):
        next(read_raw(tmp_path))


def test_an_array_in_a_file_of_lines_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('\n[\n  {"instruction": "x"}\n]')
    assert "name the file .json" in message(path)


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.json.gz", "a.jsonl.zst", "a.json.zst"])
def test_cut_compressed_data_is_an_error_and_never_a_short_source(
    tmp_path: Path, name: str
) -> None:
    path = write(tmp_path / name, [f"{index} {os.urandom(60).hex()}" for index in range(9000)])
    path.write_bytes(path.read_bytes()[:-5000])
    text = message(path)
    assert name in text
    assert "damaged, cut" in text
    assert "fetch or write the file again" in text


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("a.jsonl.gz", "gzip"), ("a.json.zst", "Zstandard"), ("a.parquet", "Parquet")],
)
def test_a_file_of_another_kind_than_its_name_says_is_an_error(
    tmp_path: Path, name: str, wanted: str
) -> None:
    (tmp_path / name).write_bytes(b'{"instruction": "x"}\n' * 40)
    text = message(tmp_path / name)
    assert "not of the kind that its name says" in text
    assert wanted in text


def test_compressed_files_of_several_members_are_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b"1\n") + gzip.compress(b"2\n"))
    frames = [pa.compress(data, codec="zstd", asbytes=True) for data in (b"1\n", b"2\n")]
    (tmp_path / "b.jsonl.zst").write_bytes(b"".join(frames))
    assert values(tmp_path) == [1, 2, 1, 2]


def test_a_damaged_parquet_file_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", ROWS)
    path.write_bytes(path.read_bytes()[:-100])
    assert "damaged" in message(path)


def test_a_link_to_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").symlink_to(tmp_path / "gone")
    assert "a link to nothing" in message(tmp_path)


def test_a_folder_or_file_without_permission_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_lines(tmp_path / "a.jsonl", [1])

    def refuse(*_: object, **__: object) -> Iterator[object]:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    with monkeypatch.context() as patch:  # root, as in a container, may read everything
        patch.setattr(Path, "open", refuse)
        assert "a.jsonl: the file cannot be read (no permission)" in message(path)
    monkeypatch.setattr(os, "scandir", refuse)
    text = message(tmp_path)
    assert f"source {tmp_path}: the folder cannot be read (Permission denied)" in text
    assert "grant permission" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.zst", "a.json.gz", "a.parquet"])
def test_memory_does_not_grow_with_a_file_of_any_format(tmp_path: Path, name: str) -> None:
    rows: list[object] = [{"instruction": f"{index} " + "word " * 100} for index in range(40_000)]
    path = write(tmp_path / name, rows)
    program = (
        "import sys, resource; from pathlib import Path; from jobs.sources.files import read_raw\n"
        "it = read_raw(Path(sys.argv[1])); next(it)\n"
        "usage = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = usage(); n = sum(1 for _ in it); print(n, usage() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    count, growth_kib = map(int, done.stdout.split())
    assert count == len(rows) - 1
    assert growth_kib < 16 * 1024  # the text is 20 MB; as Python objects 23 MB
