"""Replay: equal bytes where nothing changed, and exact words where something did."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.commands import replay as replay_module
from jobs.commands.replay import replay_row
from jobs.recipes.recipe import pipeline_from
from jobs.report.reading import index_rows
from pipelines.compare import difference
from pipelines.graph import Pipeline
from pipelines.plan import read_plan
from schemas.errors import DamageError
from schemas.shard import npy
from tests.jobs.conftest import TinyCorpus
from tests.jobs.small import voxmill
from transforms.audio import encode_flac
from transforms.rewrite import Rewrite


@pytest.fixture
def copy(tiny_corpus: TinyCorpus, tmp_path: Path) -> Path:
    """The tiny corpus, to damage."""
    return Path(shutil.copytree(tiny_corpus.uri, tmp_path / "copy"))


def first_key(corpus: TinyCorpus) -> str:
    return str(next(index_rows(corpus.store, corpus.manifest))["key"])


def test_an_accepted_row_comes_out_byte_for_byte(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    key = first_key(tiny_corpus)
    done = voxmill("replay", tiny_corpus.uri, key[:12], "--save-to", tmp_path)
    assert (done.code, done.err) == (0, "")
    assert f"{key}: accepted again, every byte is equal" in done.out
    stored, made = (sorted((tmp_path / part).iterdir()) for part in ("stored", "made"))
    assert len(stored) == len(made) >= 4
    assert [path.read_bytes() for path in stored] == [path.read_bytes() for path in made]


@pytest.mark.parametrize("code", ["duration_s", "code", "duplicate"])
def test_a_rejected_row_is_rejected_again(tiny_corpus: TinyCorpus, code: str) -> None:
    row = tiny_corpus.rejected(code)
    done = voxmill("replay", tiny_corpus.uri, row["id"], "--json")
    assert done.code == 0, done.out
    assert done.last_json["state"] == "rejected"
    assert done.last_json["differences"] == {}


def test_a_failed_row_fails_again(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    (failed,) = tiny_corpus.corpus.failed
    report = replay_row(tiny_corpus.uri, failed["id"], save_to=tmp_path)
    assert "nothing to save: " in report.text
    assert "nothing to save" not in replay_row(tiny_corpus.uri, failed["id"]).text
    assert report.equal
    assert report.value["state"] == "failed"


def test_a_heard_rejection_can_be_heard_again(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    row = tiny_corpus.rejected("duration_s")
    replay_row(tiny_corpus.uri, row["id"], save_to=tmp_path)
    wanted = {item["flac"] for item in tiny_corpus.exhibits if item["id"] == row["id"]}
    assert {path.read_bytes() for path in (tmp_path / "made").iterdir()} >= wanted


def test_another_pipeline_says_what_differs_and_by_how_much(
    tiny_corpus: TinyCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the rules had changed since: every question gets a filler."""

    def changed(settings: dict[str, Any]) -> Pipeline:
        pipeline = pipeline_from(settings)
        nodes = [
            replace(node, filler_rate=1.0) if isinstance(node, Rewrite) else node
            for node in pipeline.nodes
        ]
        return Pipeline(pipeline.name, tuple(nodes))

    monkeypatch.setattr(replay_module, "pipeline_from", changed)
    reports = [
        replay_row(tiny_corpus.uri, row["key"])
        for row in index_rows(tiny_corpus.store, tiny_corpus.manifest)
        if row["lang"] == "en"
    ]
    other = next(report for report in reports if "00.user.flac" in report.value["differences"])
    differences = other.value["differences"]
    assert not other.equal
    assert "turns[0].spoken_text: stored " in differences["json"]
    assert "samples stored" in differences["00.user.flac"]
    assert "01.assistant.flac" not in differences
    assert "rewrite" in other.value["fingerprints"]
    assert "step     rewrite is not what it was" in other.text


def test_a_row_that_ends_otherwise_says_how(
    tiny_corpus: TinyCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        replay_module,
        "pipeline_from",
        lambda settings: pipeline_from({**settings, "gates": []}),
    )
    row = tiny_corpus.rejected("duration_s")
    done = voxmill("replay", tiny_corpus.uri, row["id"])
    assert done.code == 1
    assert "differs  state: rejected then, accepted here" in done.out


def test_other_reasons_are_told(tiny_corpus: TinyCorpus, monkeypatch: pytest.MonkeyPatch) -> None:
    more = {"measure": "chars_per_s", "max": 0.5}
    monkeypatch.setattr(
        replay_module,
        "pipeline_from",
        lambda settings: pipeline_from({**settings, "gates": [*settings["gates"], more]}),
    )
    row = tiny_corpus.rejected("duration_s")
    report = replay_row(tiny_corpus.uri, row["id"])
    assert not report.equal
    words = report.value["differences"]["reasons"]
    then, here = words.split("; here ")
    assert "chars_per_s" in here
    assert "chars_per_s" not in then


def test_another_environment_is_told(
    tiny_corpus: TinyCorpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {**tiny_corpus.manifest["environment"], "numpy": "9.9.9"}
    monkeypatch.setattr("pipelines.replay.environment", lambda: here)
    report = replay_row(tiny_corpus.uri, first_key(tiny_corpus))
    assert report.equal
    was = tiny_corpus.manifest["environment"]["numpy"]
    assert f"package  numpy was {was}, here it is 9.9.9" in report.text


@pytest.mark.parametrize("damage", ["remove", "change"])
@pytest.mark.parametrize("what", ["partition", "plan", "kmeans", "duplicates", "shard"])
def test_what_is_gone_or_damaged_is_named_with_its_cure(
    tiny_corpus: TinyCorpus, copy: Path, what: str, damage: str
) -> None:
    manifest, key = tiny_corpus.manifest, first_key(tiny_corpus)
    plan = read_plan(tiny_corpus.store, manifest)
    row = next(index_rows(tiny_corpus.store, manifest))
    path = (
        copy
        / {
            "partition": next(item.file for item in plan.partitions if key in item.ids),
            "plan": manifest["plan"]["name"],
            "kmeans": manifest["artifacts"]["kmeans"]["name"],
            "duplicates": manifest["artifacts"]["duplicates"]["name"],
            "shard": f"shards/{row['shard']}",
        }[what]
    )
    if damage == "remove":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[row["offset"] + 700 if what == "shard" else len(data) // 2] ^= 1
        path.write_bytes(bytes(data))
    done = voxmill("replay", copy, key)
    assert done.code == (2 if (what, damage) == ("shard", "remove") else 1)
    assert path.name in done.err
    assert "Traceback" not in done.err
    if what != "shard":
        assert "restore it from a copy, or build again" in done.err
        assert ("damaged" if damage == "change" else "gone") in done.err


def test_members_are_compared_by_what_they_mean() -> None:
    tone = np.arange(1000, dtype=np.int16)
    other = tone.copy()
    other[500] += 7
    flac = encode_flac(tone, 16000)
    assert difference("00.user.flac", flac, flac) == ""
    assert "1 samples differ, by 7 of 32,768 at most, the first at 0.0312 s" in difference(
        "00.user.flac", flac, encode_flac(other, 16000)
    )
    assert "1,000 samples stored, 900 made, equal as far" in difference(
        "00.user.flac", flac, encode_flac(tone[:900], 16000)
    )
    assert "16000 Hz stored, 8000 Hz made" in difference("x.flac", flac, encode_flac(tone, 8000))
    codes = np.array([[1, 2, 3, 4]], np.int16)
    assert "1 of 3 differ, the first at 1: stored [2], made [9]" in difference(
        "u.npy", npy(codes), npy(np.array([[1, 9, 3]], np.int16))
    )
    assert "int16 stored, int32 made" in difference("u.npy", npy(codes), npy(codes.astype("<i4")))
    record = {"turns": [{"text": "a", "n": 1}], "x": 1}
    made = {"turns": [{"text": "b", "n": 1}], "y": [2]}
    words = difference("json", json.dumps(record).encode(), json.dumps(made).encode())
    assert 'turns[0].text: stored "a", made "b"' in words
    assert "x is only in what is stored: 1" in words
    assert "y is only in what is made: [2]" in words
    assert "first at byte" in words
    assert difference("json", b"{}", None) == "is stored and is not made here"
    assert "cannot be read" in difference("x.flac", flac, b"no sound")


def test_bad_input_says_what_was_wanted(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    assert "the nearest" in voxmill("replay", tiny_corpus.uri, "zzz").err
    assert "no version 9" in voxmill("replay", tiny_corpus.uri, "a", "--version", "9").err
    assert "no snapshot there" in voxmill("replay", tmp_path, "a").err
    full = tmp_path / "file"
    full.write_text("")
    done = voxmill("replay", tiny_corpus.uri, first_key(tiny_corpus), "--save-to", full)
    assert done.code == 2
    assert "cannot save to" in done.err


def test_a_damaged_index_is_no_key_error(tiny_corpus: TinyCorpus, copy: Path) -> None:
    for path in (copy / "index").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DamageError):
        replay_row(str(copy), first_key(tiny_corpus))
