"""Sources that are not what they should be: whole ones are refused, single rows are accounted."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.outcome import read_outcomes
from schemas.store import FileStore
from tests.jobs.small import (
    Done,
    Ended,
    build_here,
    ended,
    manifest_of,
    row,
    rows,
    voxmill,
    write_job,
    write_rows,
)

MEGABYTE = 1_000_000
# name -> (the row's line, how it must end). None: any end will do, but none that is not accounted.
CASES: dict[str, tuple[dict[str, Any] | str, str, str]] = {
    "missing": ({"id": "missing", "output": "Yes."}, "failed", "MalformedRow"),
    "null": ({**row("null"), "instruction": None}, "failed", "MalformedRow"),
    "number": ({**row("number"), "instruction": 7}, "failed", "MalformedRow"),
    "list": ({**row("list"), "instruction": ["a"]}, "failed", "MalformedRow"),
    "array": ("[1, 2]", "failed", "MalformedRow"),
    "scalar": ("17", "failed", "MalformedRow"),
    "broken": ('{"id": "broken", "instruction": "Why', "failed", "MalformedRow"),
    "surrogate": ({**row("surrogate", "Why \ud83d?")}, "failed", "MalformedRow"),
    "deep": ("[" * 200 + "]" * 200, "failed", "MalformedRow"),
    "empty": ({**row("empty"), "instruction": ""}, "rejected", "empty_instruction"),
    "blank": (row("blank", " \t\n "), "rejected", "empty_instruction"),
    "unanswered": ({"id": "unanswered", "instruction": "Why so?"}, "rejected", ""),
    "punctuation": (row("punctuation", "?!... --"), "rejected", "empty_instruction"),
    "zerowidth": (row("zerowidth", "\u200b\u200d\ufeff"), "rejected", "empty_instruction"),
    "only-emoji": (row("only-emoji", "\U0001f600\U0001f680"), "rejected", ""),
    "control": (row("control", "Wh\x00y is\x07 it \x1b[31mred?"), "", ""),
    "bidi": (row("bidi", "Why is \u202eit \u2066red\u2069?"), "", ""),
    "joined": (row("joined", "Why\u200b is\ufeff it green?"), "accepted", ""),
    "emoji": (row("emoji", "Why is it blue \U0001f600?"), "accepted", ""),
    "long-word": (row("long-word", f"Say {'a' * 5000}."), "rejected", "too_long"),
    "longish-word": (row("longish-word", f"Say {'a' * 90}."), "rejected", "word_too_long"),
    "digits": (row("digits", f"Say {'7' * 3000}."), "rejected", ""),
    "many-words": (row("many-words", "every word counts " * (MEGABYTE // 18)), "rejected", ""),
    "one-megabyte": (row("one-megabyte", "x" * MEGABYTE), "rejected", ""),
    "long-answer": (row("long-answer", answer="river bank, " * (MEGABYTE // 12)), "", ""),
    "klingon": ({**row("klingon"), "lang": "tlh"}, "rejected", "no_voice"),
    "german": ({**row("german"), "lang": "de-DE"}, "rejected", "no_voice"),
    "nonsense-lang": ({**row("nonsense-lang"), "lang": "../../etc"}, "rejected", "no_voice"),
}


@pytest.fixture(scope="module")
def weird(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Done]:
    """A corpus of three good rows and every case above: its job, itself, the command's end."""
    folder = tmp_path_factory.mktemp("weird")
    job = write_job(folder, [*rows(3), *(case[0] for case in CASES.values())])
    return job, folder / "out", build_here(job, folder / "out")


def place_of(output: Path, name: str) -> Ended:
    """A case's end: by id, or by the line on which it stands where it has no id to be read."""
    found = ended(output)
    line = 4 + list(CASES).index(name)
    return found[name] if name in found else found[f"rows.jsonl:{line}"]


@pytest.mark.parametrize("name", CASES)
def test_a_weird_row_ends_as_it_should(weird: tuple[Path, Path, Done], name: str) -> None:
    _, state, why = CASES[name]
    place = place_of(weird[1], name)
    assert state in ("", place.state), place
    assert why in ("", place.why), place
    if place.state != "accepted":
        assert place.message, "it says why"


def test_weird_rows_cost_no_good_row_and_none_is_lost(weird: tuple[Path, Path, Done]) -> None:
    _, output, done = weird
    assert done.code == 0, done.err
    assert done.last_json["rows"] == 3 + len(CASES)
    found = ended(output)
    assert [found[item["id"]].state for item in rows(3)] == ["accepted"] * 3
    assert voxmill("verify", output).code == 0


def test_no_message_repeats_a_megabyte_of_a_row(weird: tuple[Path, Path, Done]) -> None:
    for place in ended(weird[1]).values():
        assert len(place.message) <= 600


def test_rejected_rows_are_kept_with_what_they_said(weird: tuple[Path, Path, Done]) -> None:
    manifest = manifest_of(weird[1])
    found = read_outcomes(FileStore(weird[1]), manifest["rejected"])
    kept = {item["source_id"]: item for item in found}
    assert kept["long-word"]["turns"][0]["text"] == f"Say {'a' * 5000}."


def test_weird_rows_give_the_same_corpus_in_another_order(
    weird: tuple[Path, Path, Done], tmp_path: Path
) -> None:
    lines = [*rows(3), *(case[0] for case in CASES.values())]
    job = write_job(tmp_path, [lines[0], *reversed(lines[1:])])
    done = build_here(job, tmp_path / "out")
    assert done.last_json["identity"] == weird[2].last_json["identity"]


def test_a_malformed_line_is_shown_with_its_file_and_line(
    weird: tuple[Path, Path, Done],
) -> None:
    line = 4 + list(CASES).index("broken")
    place = place_of(weird[1], "broken")
    assert place.origin == f"rows.jsonl:{line}"
    assert "not JSON at column" in place.message
    assert "MalformedRow" in weird[2].err, "the table counts it"
    alone = voxmill("inspect", weird[1], place.key)
    assert alone.code == 0, alone.err
    assert f"rows.jsonl:{line}" in alone.out
    assert "not JSON at column" in alone.out


def test_escape_sequences_of_a_terminal_are_not_spoken(weird: tuple[Path, Path, Done]) -> None:
    shown = voxmill("inspect", weird[1], "control")
    assert shown.code == 0
    assert "\x1b" not in shown.out
    assert "thirty-one" not in shown.out


def test_each_reason_is_given_once(weird: tuple[Path, Path, Done]) -> None:
    manifest = manifest_of(weird[1])
    for item in read_outcomes(FileStore(weird[1]), manifest["rejected"]):
        told = [tuple(reason.values()) for reason in item["reasons"]]
        assert len(told) == len(set(told)), item["source_id"]


def test_a_later_turn_that_cannot_be_said_costs_only_the_tail(tmp_path: Path) -> None:
    said = ["What is a river?", "A river is water that flows.", "Say this.", f"{'a' * 90}."]
    turns = [
        {"role": "assistant" if turn % 2 else "user", "content": text}
        for turn, text in enumerate(said)
    ]
    source = {"path": "rows.jsonl", "adapter": "messages", "name": "small", "lang": "en"}
    lines = [{"id": "whole", "messages": turns[:2]}, {"id": "long", "messages": turns}]
    job = write_job(tmp_path, lines, source=source, dedup={"enabled": False})
    done = build_here(job, tmp_path / "out")
    assert done.code == 0, done.err
    assert {name: place.state for name, place in ended(tmp_path / "out").items()} == {
        "whole": "accepted",
        "long": "accepted",
    }


def test_the_same_id_twice_with_other_texts_is_two_rows(tmp_path: Path) -> None:
    job = write_job(tmp_path, [row("same"), row("same", "What else is there?"), *rows(2)])
    done = build_here(job, tmp_path / "out")
    assert (done.last_json["rows"], done.last_json["accepted"]) == (4, 4)


@pytest.mark.parametrize("enabled", [True, False])
def test_exact_duplicates_are_each_accounted(tmp_path: Path, enabled: bool) -> None:
    lines = [row("river"), row("river"), row("river"), row("castle")]
    job = write_job(tmp_path, lines, dedup={"enabled": enabled})
    done = build_here(job, tmp_path / "out")
    assert done.last_json["rows"] == 4
    assert done.last_json["accepted"] == (2 if enabled else 4)
    rejected = read_outcomes(FileStore(tmp_path / "out"), manifest_of(tmp_path / "out")["rejected"])
    assert len({item["id"] for item in rejected}) == len(rejected) == (2 if enabled else 0)
    for item in rejected:
        assert item["reasons"][0]["code"] == "duplicate"
        assert "repeats " in item["reasons"][0]["detail"]


def refused(job: Path, tmp_path: Path, *words: str, more: tuple[str, ...] = ()) -> None:
    """Exit code 2, every word in one message, and no output made."""
    done = build_here(job, tmp_path / "out", *more)
    assert done.code == 2, done.err
    assert done.out == ""
    message = done.err[done.err.index("voxmill: error:") :]
    for word in words:
        assert word in message, f"{word!r} is not in: {message}"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.jsonl", b"", ["empty.jsonl", "0 bytes", "fill it"]),
        ("blank.jsonl", b"\n\n", ["blank.jsonl", "no rows"]),
        ("none.json", b"[]", ["none.json", "no rows", "at least one row"]),
        ("text.json", b"hello", ["text.json", "not JSON at line 1", "JSON array"]),
        ("text.jsonl", b"hello\n", ["text.jsonl:1", "not JSON", "one per line"]),
        ("array.jsonl", b'[{"a": 1}]', ["array.jsonl", "JSON array", "name the file .json"]),
        ("lines.json", b'{"a": 1}\n{"a": 2}\n', ["lines.json", "name it .jsonl"]),
        ("cut.json", b'[{"instruction": "a"}, {"ins', ["cut.json", "cut", "ends with ]"]),
        ("x.jsonl.gz", b"not gzip", ["x.jsonl.gz", "whole gzip data"]),
        ("x.parquet", b"not Parquet", ["x.parquet", "wanted Parquet"]),
        ("rows.csv", b"a,b\n", ["rows.csv", "unknown file extension", ".jsonl"]),
        ("binary.jsonl", bytes(range(256)), ["binary.jsonl"]),
    ],
)
def test_a_source_that_cannot_be_read_is_refused(
    tmp_path: Path, name: str, data: bytes, words: list[str]
) -> None:
    job = write_job(tmp_path)
    (tmp_path / name).write_bytes(data)
    refused(job, tmp_path, *words, more=("--input", str(tmp_path / name)))


def test_a_gzip_file_that_is_cut_is_refused_and_leaves_no_rows(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    whole = gzip.compress((tmp_path / "rows.jsonl").read_bytes())
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) * 2 // 3])
    words = ("cut.jsonl.gz", "damaged, cut", "fetch or write the file again")
    refused(job, tmp_path, *words, more=("--input", str(tmp_path / "cut.jsonl.gz")))


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    where = tmp_path / "nowhere.jsonl"
    refused(job, tmp_path, str(where), "no such file", "check", more=("--input", str(where)))


@pytest.mark.parametrize(
    "address",
    [
        "https://u:s3cret@host/rows.jsonl",
        "https://host/rows.jsonl?token=s3cret",
        "s3://u:s3cret@bucket/rows.jsonl",
    ],
)
def test_a_secret_in_an_address_is_refused_and_not_repeated(tmp_path: Path, address: str) -> None:
    job = write_job(tmp_path)
    done = voxmill("plan", job, "--output", tmp_path / "out", "--input", address)
    assert done.code == 2
    assert "***@" in done.err or "?..." in done.err
    assert "an address holds" in done.err
    assert "s3cret" not in done.err


def test_an_address_of_no_store_is_shown_as_it_was_typed(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    address = "nowhere://host/rows.jsonl"
    refused(job, tmp_path, f"source {address}", "address of a bucket", more=("--input", address))


def test_a_folder_without_rows_is_refused(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "readme.txt").write_text("no rows here", encoding="utf-8")
    refused(job, tmp_path, "folder", ".jsonl", more=("--input", str(tmp_path / "folder")))


@pytest.mark.parametrize("adapter", ["messages", "sharegpt", "plain"])
def test_the_wrong_adapter_is_refused_with_the_right_one(tmp_path: Path, adapter: str) -> None:
    job = write_job(tmp_path)
    more = ("--set", f"source.adapter={adapter}")
    refused(job, tmp_path, f"'{adapter}'", "'alpaca'", more=more)


def test_only_malformed_rows_are_refused(tmp_path: Path) -> None:
    job = write_job(tmp_path, [{"id": "a", "instruction": None}, {"id": "b", "instruction": 4}])
    refused(job, tmp_path, "rows.jsonl:1", "'instruction' is null", "correct the rows")


def test_a_folder_of_several_formats_is_read_whole(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    folder = tmp_path / "folder"
    (folder / "deeper").mkdir(parents=True)
    good = rows(6)
    write_rows(folder / "a.jsonl", good[:2])
    (folder / "b.json").write_text(json.dumps(good[2:4]), encoding="utf-8")
    lines = "".join(json.dumps(item) + "\n" for item in good[4:])
    (folder / "deeper" / "c.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    whole = build_here(job, tmp_path / "out")
    parts = build_here(job, tmp_path / "parts", "--input", str(folder))
    assert parts.code == 0, parts.err
    assert parts.last_json["identity"] == whole.last_json["identity"]
