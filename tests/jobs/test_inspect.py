"""Inspection: every row is found, and says how it ended."""

import json
import shutil
from pathlib import Path

import pytest
import soundfile

from jobs.commands.inspect import inspect
from jobs.report.reading import index_rows
from jobs.saving import save_files
from pipelines.plan import read_plan
from schemas.errors import DamageError, SettingsError
from tests.jobs.conftest import IMAGE, TinyCorpus
from tests.jobs.small import build_here, row, rows, voxmill, write_job


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


def test_measures_stand_beside_their_gates_and_texts_beside_what_was_said(
    tiny_corpus: TinyCorpus,
) -> None:
    texts = [inspect(tiny_corpus.uri, key).text for key in keys(tiny_corpus)]
    assert all(text.count("passes at most 12") == text.count("\nturn ") for text in texts)
    assert any("  changed " in text and " → " in text for text in texts)
    assert all("from rows.jsonl:" in text and "entered in v1" in text for text in texts)


def test_json_has_the_whole_record_or_outcome(tiny_corpus: TinyCorpus) -> None:
    overview = voxmill("inspect", tiny_corpus.uri, "--json").last_json
    assert overview["identity"] == tiny_corpus.manifest["identity"]
    assert overview["first_keys"] == keys(tiny_corpus)[:10]
    accepted = voxmill("inspect", tiny_corpus.uri, keys(tiny_corpus)[0], "--json")
    assert len(accepted.out.splitlines()) == 1
    assert accepted.last_json["record"]["id"] == accepted.last_json["key"] == keys(tiny_corpus)[0]
    rejected = tiny_corpus.rejected("code")
    assert voxmill("inspect", tiny_corpus.uri, rejected["id"], "--json").last_json == {
        **rejected,
        "saved": [],
    }


def test_a_rejected_rows_outcome_is_saved_too(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    row = tiny_corpus.rejected("code")
    text = inspect(tiny_corpus.uri, row["id"], save_to=tmp_path).text
    (path,) = tmp_path.iterdir()
    assert json.loads(path.read_bytes()) == row
    assert f"saved {path}" in text


def test_nothing_is_saved_outside_the_folder(tmp_path: Path) -> None:
    folder, outside = tmp_path / "in", tmp_path / "outside"
    outside.write_bytes(b"mine")
    for name in ("../outside", "/etc/x", "a/b", "..", "", "a\0b", "-x"):
        with pytest.raises(DamageError, match="no plain file name"):
            save_files(folder, {"good.txt": b"1", name: b"2"})
    assert not folder.exists()
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    save_files(folder, {"link": b"new"})
    assert outside.read_bytes() == b"mine"
    assert (folder / "link").read_bytes() == b"new"
    assert [path.name for path in folder.iterdir()] == ["link"]


def test_bad_options_say_what_was_wanted(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="wanted a KEY with it"):
        inspect(tiny_corpus.uri, None, save_to=tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot save to"):
        inspect(tiny_corpus.uri, keys(tiny_corpus)[0], save_to=tmp_path / "file" / "x")


def test_a_row_is_shown_though_its_source_is_gone(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_corpus.uri, tmp_path / "copy"))
    for partition in read_plan(tiny_corpus.store, tiny_corpus.manifest).partitions:
        (copy / partition.file).unlink()
    text = inspect(str(copy), keys(tiny_corpus)[0]).text
    assert "its source row cannot be read" in text
    assert "wave " in text


def test_every_version_can_be_inspected_and_replayed(tmp_path: Path) -> None:
    output = tmp_path / "corpus"
    build_here(write_job(tmp_path / "one", rows(3)), output)
    grown = [*rows(3), row("late", "What came late to the party?")]
    build_here(write_job(tmp_path / "two", grown), output)
    assert voxmill("inspect", output, "late").code == 0
    assert voxmill("inspect", output, "late", "--version", "1").code == 2
    for version in ("1", "2"):
        assert "accepted" in voxmill("inspect", output, "river", "--version", version).out
        done = voxmill("replay", output, "river", "--version", version)
        assert "every byte is equal" in done.out, done
