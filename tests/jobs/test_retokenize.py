"""retokenize: one more unit set, and nothing else of a corpus changes by a byte."""

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from schemas.snapshot import read_snapshot, sealed, snapshot_path
from schemas.store import FileStore
from tests.jobs.small import (
    ROOT,
    Done,
    build_here,
    ended,
    files,
    manifest_of,
    rows,
    voxmill,
    write_job,
    write_rows,
)

JOB = ROOT / "examples" / "retokenize.yaml"
FEW = ("--set", "units.clusters=6", "--set", "units.max_frames=1000", "--set", "seed=3")
DIALOGUE = {
    "id": "dialogue",
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "What is a harbor?"},
        {"role": "assistant", "content": "It is a place where ships can rest."},
        {"role": "user", "content": "And what is a quay?"},
        {"role": "assistant", "content": "It is the wall at which they rest."},
    ],
}


def as_messages(row: dict[str, Any]) -> dict[str, Any]:
    said = [("user", row["instruction"]), ("assistant", row["output"])]
    return {"id": row["id"], "messages": [{"role": r, "content": text} for r, text in said]}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a job and its corpus: nine pairs and a dialogue, in both splits."""
    folder = tmp_path_factory.mktemp("first")
    source = {"path": "rows.jsonl", "adapter": "messages", "name": "small", "license": "CC0-1.0"}
    lines = [*map(as_messages, rows(9)), DIALOGUE]
    job = write_job(folder, lines, source=source, splits={"eval_fraction": 0.3})
    done = build_here(job, folder / "corpus")
    assert done.code == 0, done.err
    return folder


@pytest.fixture(scope="module")
def again(first: Path) -> Path:
    """The corpus with the set mfcc6 beside its mfcc4."""
    done = retokenize(first / "corpus", first / "again")
    assert done.code == 0, done.err
    return first / "again"


def retokenize(corpus: Path, output: Path, *more: str) -> Done:
    return build_here(JOB, output, "--input", corpus, *FEW, *more)


def members(corpus: Path) -> dict[str, bytes]:
    """Every member of the current snapshot's shards."""
    found = {}
    for shard in manifest_of(corpus)["shards"]:
        with tarfile.open(corpus / "shards" / shard["name"]) as tar:
            for item in tar:
                file = tar.extractfile(item)
                assert file is not None
                found[item.name] = file.read()
    return found


def test_audio_and_older_units_are_the_same_bytes_under_the_same_keys(
    first: Path, again: Path
) -> None:
    before, after = members(first / "corpus"), members(again)
    assert len(before) == 9 * 5 + 9
    kept = {name: data for name, data in before.items() if not name.endswith(".json")}
    assert {name: after[name] for name in kept} == kept
    added = set(after) - set(before)
    assert len(added) == 2 * 11
    assert all(".assistant.mfcc6." in name for name in added)
    assert [unit["name"] for unit in manifest_of(again)["unit_sets"]] == ["mfcc4", "mfcc6"]


def test_a_records_texts_voices_measures_and_split_stand_and_its_lineage_grows(
    first: Path, again: Path
) -> None:
    before, after = members(first / "corpus"), members(again)
    for name in (name for name in before if name.endswith(".json")):
        old, new = json.loads(before[name]), json.loads(after[name])
        for turn in new["turns"]:
            if turn["role"] == "assistant":
                assert turn["units"].pop("mfcc6")["units"] > 0
        grown = new.pop("lineage")
        lineage = old.pop("lineage")
        assert new == old
        assert {step: grown[step] for step in lineage} == lineage
        assert set(grown) - set(lineage) == {"conform", "units:mfcc6"}


def test_a_dialogue_keeps_the_numbers_of_its_turns(again: Path) -> None:
    key = ended(again)["dialogue"].key
    record = json.loads(members(again)[f"{key}.json"])
    assert [turn["turn"] for turn in record["turns"]] == [1, 2, 3, 4]
    assert record["system"] == "Be kind."


def test_it_is_whole_replayable_and_names_the_snapshot_that_it_read(
    first: Path, again: Path
) -> None:
    assert voxmill("verify", again).code == 0
    for key in (ended(again)["river"].key, ended(again)["dialogue"].key):
        done = voxmill("replay", again, key)
        assert (done.code, "differs" in done.out) == (0, False)
    manifest, source = manifest_of(again), manifest_of(first / "corpus")
    assert manifest["parent"] is None
    settings: Any = manifest["settings"]["source"]
    assert settings["snapshot"] == {"version": 1, "identity": source["identity"]}
    assert str(first) not in json.dumps(manifest["settings"])
    card = (again / "README.md").read_text()
    assert "byte for byte" in card
    assert source["identity"] in card


def test_the_same_bytes_with_workers_and_from_another_place(
    first: Path, again: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(first / "corpus", tmp_path / "moved"))
    done = retokenize(moved, tmp_path / "again", "--workers", "2")
    assert done.last_json["identity"] == manifest_of(again)["identity"]
    assert files(tmp_path / "again", "shards") == files(again, "shards")


def test_a_second_run_does_nothing_and_the_work_store_holds_no_audio_twice(again: Path) -> None:
    done = build_here(JOB, again, "--input", again.parent / "corpus", *FEW)
    assert sum(done.last_json["computed_rows"].values()) == 0
    audio = sum(len(data) for name, data in members(again).items() if name.endswith(".flac"))
    kept = sum(map(len, files(again, "work").values()))
    assert kept < audio / 2


def test_a_grown_corpus_is_retokenized_row_by_row_and_keeps_the_centroids(
    first: Path, again: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(first, tmp_path / "copy"))
    write_rows(folder / "rows.jsonl", [*map(as_messages, rows(11)), DIALOGUE])
    assert build_here(folder / "job.yaml", folder / "corpus").code == 0
    done = retokenize(folder / "corpus", folder / "again")
    assert done.code == 0, done.err
    assert (done.last_json["rows"], done.last_json["carried_rows"]) == (12, 10)
    assert done.last_json["computed_rows"]["units"] == 4
    one, two = (read_snapshot(FileStore(folder / "again"), n) for n in (1, 2))
    assert one["artifacts"] == two["artifacts"]
    assert {item["name"] for item in one["shards"]} < {item["name"] for item in two["shards"]}
    assert voxmill("verify", folder / "again").code == 0
    old = retokenize(folder / "corpus", tmp_path / "old", "--set", "source.version=1")
    assert old.last_json["identity"] == manifest_of(again)["identity"]


def test_a_sample_that_changed_under_the_same_key_is_not_taken_for_the_old_one(
    first: Path, tmp_path: Path
) -> None:
    """Keys of a corpus name source rows: another voice makes another sample of the same key."""
    folder = Path(shutil.copytree(first, tmp_path / "copy"))
    assert retokenize(folder / "corpus", folder / "again").code == 0
    bank = (ROOT / "tests" / "data" / "voices_fast.yaml").read_text()
    (folder / "voices.yaml").write_text(bank.replace("rate: 0.9", "rate: 0.7"))
    changed = ("--set", f"voices.bank={folder / 'voices.yaml'}")
    assert build_here(folder / "job.yaml", folder / "corpus", *changed).code == 0
    done = retokenize(folder / "corpus", folder / "again")
    assert done.code == 0, done.err
    after = {n: d for n, d in members(folder / "corpus").items() if n.endswith(".flac")}
    assert {name: members(folder / "again")[name] for name in after} == after
    before = {n: d for n, d in members(first / "corpus").items() if n.endswith(".flac")}
    moved = {name.partition(".")[0] for name in after if after[name] != before[name]}
    assert 0 < len(moved) < 10
    assert done.last_json["carried_rows"] == 10 - len(moved)
    assert voxmill("verify", folder / "again").code == 0


def test_the_set_that_is_there_already_is_refused(first: Path, tmp_path: Path) -> None:
    done = retokenize(first / "corpus", tmp_path / "out", "--set", "units.clusters=4")
    assert done.code == 2
    assert "has a unit set 'mfcc4' already" in done.err
    assert "units.clusters" in done.err


def test_the_source_itself_is_no_output(first: Path) -> None:
    before = files(first / "corpus")
    done = retokenize(first / "corpus", first / "corpus")
    assert done.code == 2
    assert "it is the source" in done.err
    assert files(first / "corpus") == before


def test_a_corpus_of_a_newer_version_is_refused_with_the_cure(first: Path, tmp_path: Path) -> None:
    corpus = Path(shutil.copytree(first / "corpus", tmp_path / "corpus"))
    newer: Any = {**manifest_of(corpus), "schema": 2}
    (corpus / snapshot_path(1)).write_text(json.dumps(sealed(newer)))
    done = retokenize(corpus, tmp_path / "out")
    assert done.code == 2
    assert "schema 2, this version reads 1; use the release that wrote it" in done.err


def test_a_damaged_sample_is_a_failed_row_and_a_damaged_index_an_error(
    first: Path, tmp_path: Path
) -> None:
    corpus = Path(shutil.copytree(first / "corpus", tmp_path / "corpus"))
    shard = max((corpus / "shards").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(shard.read_bytes())
    data[5000] ^= 1
    shard.write_bytes(data)
    done = retokenize(corpus, tmp_path / "out", "--set", "limits.max_failed_fraction=1")
    assert (done.last_json["accepted"], done.last_json["failed"]) == (9, 1)
    (failed,) = (row for row in ended(tmp_path / "out").values() if row.state == "failed")
    assert failed.origin.startswith(shard.name)
    assert "its crc32c is not the index's; run `voxmill verify`" in failed.message
    index = corpus / "index" / shard.with_suffix(".parquet").name
    index.write_bytes(index.read_bytes()[:-1] + b"x")
    done = retokenize(corpus, tmp_path / "other")
    assert done.code == 2
    assert index.name in done.err


def test_an_index_that_disagrees_with_its_shard_is_said_sample_by_sample(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checksum holds, the members are others: as after a writer's fault."""
    from jobs.sources import voxmill as source

    real = source.split_sample
    monkeypatch.setattr(source, "split_sample", lambda data, name: {"odd": b"", **real(data, name)})
    done = retokenize(first / "corpus", tmp_path / "out")
    assert done.code == 2
    assert "its members are not those that the index names" in done.err


def test_an_unknown_setting_of_this_pipeline_names_its_nearest(first: Path, tmp_path: Path) -> None:
    done = retokenize(first / "corpus", tmp_path / "out", "--set", "unit.clusters=9")
    assert done.code == 2
    assert "unknown setting 'unit'; did you mean 'units'?" in done.err
    assert "rewrite" not in done.err
    done = retokenize(first / "corpus", tmp_path / "out", "--set", "pipeline=retokenise")
    assert "did you mean 'retokenize'?" in done.err
