"""The spool sorts any number of rows by what they say, however its buckets are cut."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipelines import spool
from schemas.errors import SourceError
from tests.builders import Row, conversation, source_row

ROWS = [source_row(conversation(f"Question {n % 150}?", f"Answer {n % 150}.")) for n in range(200)]


def sorted_keys(rows: list[Row], folder: Path) -> list[str]:
    """The ids as a plan sees them."""
    folder.mkdir()
    assert spool.spool(rows, folder) == len(rows)
    return [row.key for row in spool.sorted_rows(folder)]


def test_rows_come_in_the_order_of_ids_and_equal_rows_are_numbered(tmp_path: Path) -> None:
    found = sorted_keys(ROWS, tmp_path / "a")
    assert found == sorted(f"{row.digest}-{n // 150}" for n, row in enumerate(ROWS))


def test_large_buckets_are_cut_and_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sorted_keys(ROWS, tmp_path / "whole")
    read: list[int] = []
    real = spool._entries

    def seen(path: Path) -> Any:
        entries = list(real(path))
        if path.suffix != ".whole":  # what is cut is read one row at a time
            read.append(len(entries))
        return iter(entries)

    monkeypatch.setattr(spool, "_entries", seen)
    monkeypatch.setattr(spool, "LARGE_BYTES", 300)
    assert sorted_keys(ROWS, tmp_path / "cut") == whole
    assert max(read) == 2  # both copies of a row, which nothing can part
    again = [row.key for row in spool.sorted_rows(tmp_path / "cut")]
    assert again == whole


def test_a_thousand_copies_of_one_row_end_somewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "LARGE_BYTES", 300)
    rows = [source_row(conversation("Again?", "Again."))] * 1000
    assert len(set(sorted_keys(rows, tmp_path / "same"))) == 1000


def test_a_row_that_keeps_the_id_of_another_is_refused(tmp_path: Path) -> None:
    """A row of an earlier corpus, beside the row of the source that it was made from."""
    first = ROWS[0]
    kept = replace(ROWS[1], key=f"{first.digest}-0", origin="a.tar")
    with pytest.raises(SourceError, match=f"a second sample with the key {first.digest}-0"):
        sorted_keys([first, kept], tmp_path / "mixed")
    assert len(sorted_keys([*ROWS[2:9], kept], tmp_path / "fine")) == 8
