"""Inspection: every row is found, and says how it ended."""

from pathlib import Path

import pytest
import soundfile

from jobs.inspect import inspect
from jobs.report.reading import index_rows
from schemas.errors import SettingsError
from tests.jobs.conftest import IMAGE, TinyCorpus


def keys(corpus: TinyCorpus) -> list[str]:
    return [row["key"] for row in index_rows(corpus.store, corpus.manifest)]


def test_the_overview_has_the_counts_and_the_first_keys(tiny_corpus: TinyCorpus) -> None:
    text = inspect(tiny_corpus.uri, None).text
    counts = tiny_corpus.manifest["counts"]
    assert tiny_corpus.manifest["identity"] in text
    assert f"{counts['accepted']} accepted, {counts['rejected']} rejected" in text
    assert all(key in text for key in keys(tiny_corpus)[:10])


def test_the_beginning_of_a_key_is_enough(tiny_corpus: TinyCorpus) -> None:
    key = keys(tiny_corpus)[0]
    text = inspect(tiny_corpus.uri, key[:12]).text
    assert text == inspect(tiny_corpus.uri, key).text
    assert text.startswith(f"{key}: accepted")
    assert f"{key}.00.user.flac" in text
    assert "KEY.json" in text
    assert "mfcc8, " in text


def test_a_rows_own_id_finds_it(tiny_corpus: TinyCorpus) -> None:
    rows = index_rows(tiny_corpus.store, tiny_corpus.manifest)
    found = [row for row in rows if row["source_id"] == IMAGE]
    text = inspect(tiny_corpus.uri, IMAGE).text
    assert text.startswith(found[0]["key"])


@pytest.mark.parametrize("code", ["duration_s", "code", "duplicate"])
def test_a_rejected_row_says_why_and_where_from(tiny_corpus: TinyCorpus, code: str) -> None:
    row = tiny_corpus.rejected(code)
    text = inspect(tiny_corpus.uri, row["id"]).text
    assert text.startswith(f"{row['id']}: rejected")
    assert row["origin"] in text
    for item in row["reasons"]:
        assert f"{item['step']}, {item['code']}" in text
        assert item["detail"] in text


def test_a_failed_row_says_what_failed(tiny_corpus: TinyCorpus) -> None:
    (row,) = tiny_corpus.corpus.failed
    text = inspect(tiny_corpus.uri, row["id"]).text
    assert "failed in source: MalformedRow" in text
    assert "rows.jsonl:3" in text
    assert "correct the row" in text


def test_an_unknown_key_names_the_nearest(tiny_corpus: TinyCorpus) -> None:
    key = keys(tiny_corpus)[3]
    wrong = key[:10] + ("0" if key[10] != "0" else "1") + key[11:]
    with pytest.raises(SettingsError, match=rf"the nearest: {key} \(accepted\)"):
        inspect(tiny_corpus.uri, wrong)


def test_a_beginning_of_several_keys_asks_for_more(tiny_corpus: TinyCorpus) -> None:
    with pytest.raises(SettingsError, match="could be several rows"):
        inspect(tiny_corpus.uri, "")


def test_the_saved_files_can_be_heard(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    row = next(index_rows(tiny_corpus.store, tiny_corpus.manifest))
    inspect(tiny_corpus.uri, row["key"], save_to=tmp_path / "ears")
    saved = {path.name: path.stat().st_size for path in (tmp_path / "ears").iterdir()}
    assert saved == {f"{row['key']}.{m['suffix']}": m["size"] for m in row["members"]}
    heard = soundfile.info(str(tmp_path / "ears" / f"{row['key']}.00.user.flac"))
    assert heard.duration == pytest.approx(row["turns"][0]["duration_s"])


def test_what_is_not_there_is_said(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no snapshot there"):
        inspect(str(tmp_path), None)
    with pytest.raises(SettingsError, match="no version 7; there are 1"):
        inspect(tiny_corpus.uri, None, version=7)


def test_control_characters_do_not_reach_the_terminal(tiny_corpus: TinyCorpus) -> None:
    with pytest.raises(SettingsError):
        inspect(tiny_corpus.uri, "\x1b[31m")
    for key in [None, *keys(tiny_corpus)]:
        text = inspect(tiny_corpus.uri, key).text
        assert not [char for char in text if ord(char) < 32 and char != "\n"]
