"""A grown, shrunk or edited source: what is new is computed, what stands is named or copied."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import SourceError
from schemas.snapshot import chosen_snapshot, current_version, read_snapshot
from schemas.store import FileStore
from tests.jobs.small import build_here, ended, files, manifest_of, rows, voxmill, write_job
from tests.jobs.small import write_rows as write
from trainers.corpus import open_snapshot

GATES = {"splits": {"eval_fraction": 0.3}, "shards": {"target_mb": 0.2}}
LIMITS = {"limits": {"max_failed_fraction": 0.2, "min_accepted_fraction": 0.9}}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a job and the corpus of its 20 rows."""
    folder = tmp_path_factory.mktemp("first")
    job = write_job(folder, rows(20), **GATES)
    done = build_here(job, folder / "corpus")
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def corpus(first: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(first, tmp_path / "copy"))


def rebuild(folder: Path, lines: list[dict[str, Any]], *more: str) -> dict[str, Any]:
    write(folder / "rows.jsonl", lines)
    done = build_here(folder / "job.yaml", folder / "corpus", *more)
    assert done.code == 0, done.err
    return done.last_json


def names(folder: Path, version: int) -> list[str]:
    return [item["name"] for item in read_snapshot(FileStore(folder / "corpus"), version)["shards"]]


def verified(folder: Path, version: int) -> str:
    done = voxmill("verify", folder / "corpus", "--version", str(version))
    assert done.code == 0, done.out
    return done.out


def test_a_grown_source_computes_the_new_rows_alone_even_without_the_work_store(
    corpus: Path,
) -> None:
    shutil.rmtree(corpus / "corpus" / "work")
    before = files(corpus / "corpus", "shards")
    line = rebuild(corpus, rows(26))
    assert line["snapshot"] == "snapshots/v000002.json"
    assert line["computed_rows"]["rewrite"] == 6
    assert line["computed_rows"]["synthesize"] == 12
    assert line["carried_rows"] == 20
    assert set(names(corpus, 1)) < set(names(corpus, 2))
    after = files(corpus / "corpus", "shards")
    assert {name: after[name] for name in before} == before
    for version in (1, 2):
        verified(corpus, version)
    assert len(ended(corpus / "corpus")) == 26


def test_old_shards_are_named_and_not_written_again(corpus: Path) -> None:
    stamps = {
        path.name: path.stat().st_mtime_ns for path in (corpus / "corpus/shards").glob("*.tar")
    }
    rebuild(corpus, rows(26))
    for name, stamp in stamps.items():
        assert (corpus / "corpus/shards" / name).stat().st_mtime_ns == stamp


def test_a_removed_row_has_its_shard_copied_without_it_and_nothing_is_computed(
    corpus: Path,
) -> None:
    other = Path(shutil.copytree(corpus, corpus.parent / "other"))
    shutil.rmtree(corpus / "corpus" / "work")
    line = rebuild(corpus, rows(20)[1:])
    assert sum(line["computed_rows"].values()) == 0
    assert (line["rows"], line["carried_rows"]) == (19, 19)
    changed = set(names(corpus, 1)) - set(names(corpus, 2))
    assert len(changed) == 1
    verified(corpus, 2)
    assert "river" in ended(corpus / "corpus", read_snapshot(FileStore(corpus / "corpus"), 1))
    assert "river" not in ended(corpus / "corpus")
    # the same bytes as by evaluating every row: with the carrying switched off
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.build.carry_of", lambda *_: None)
        computed = rebuild(other, rows(20)[1:])
    assert computed["carried_rows"] == 0
    assert computed["identity"] == line["identity"]
    assert files(other / "corpus", "shards") == files(corpus / "corpus", "shards")
    assert files(other / "corpus", "index") == files(corpus / "corpus", "index")


def test_an_edited_row_leaves_its_shard_and_comes_with_a_new_one(corpus: Path) -> None:
    lines = rows(20)
    lines[3]["output"] = "Another answer than the one of before."
    line = rebuild(corpus, lines)
    assert line["computed_rows"]["rewrite"] == 1
    assert line["carried_rows"] == 19
    assert len(set(names(corpus, 1)) - set(names(corpus, 2))) == 1
    verified(corpus, 2)


def test_a_repetition_of_an_old_row_is_rejected_and_steps_in_when_the_old_one_goes(
    corpus: Path,
) -> None:
    copy = {**rows(20)[4], "id": "again", "instruction": rows(20)[4]["instruction"].upper()}
    line = rebuild(corpus, [*rows(20), copy])
    assert line["carried_rows"] == 20
    assert ended(corpus / "corpus")["again"].why == "duplicate"
    gone = [row for row in [*rows(20), copy] if row["id"] != rows(20)[4]["id"]]
    line = rebuild(corpus, gone)
    assert line["carried_rows"] == 19
    assert line["computed_rows"]["rewrite"] == 1
    assert ended(corpus / "corpus")["again"].state == "accepted"
    verified(corpus, 3)


def test_rejected_and_failed_rows_are_carried_with_their_reasons(tmp_path: Path) -> None:
    lines: list[Any] = [
        *rows(12),
        {"id": "code", "instruction": "Say it.", "output": "```\nx = 1\n```"},
        {"id": "broken", "instruction": 5},
    ]
    job = write_job(tmp_path, lines, **GATES)
    assert build_here(job, tmp_path / "corpus").code == 0
    before = ended(tmp_path / "corpus")
    shutil.rmtree(tmp_path / "corpus" / "work")
    line = rebuild(tmp_path, [*lines, *rows(14)[12:]])
    after = ended(tmp_path / "corpus")
    assert line["carried_rows"] == 14
    assert {name: after[name] for name in before} == before
    assert (after["code"].state, after["rows.jsonl:14"].state) == ("rejected", "failed")
    verified(tmp_path, 2)


@pytest.mark.parametrize("what", ["shards", "index"])
def test_a_damaged_parent_shard_is_computed_again_and_never_copied(corpus: Path, what: str) -> None:
    other = Path(shutil.copytree(corpus, corpus.parent / "other"))
    path = max((corpus / "corpus" / what).iterdir(), key=lambda item: item.stat().st_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    rebuild(corpus, rows(22))
    rebuild(other, rows(22))
    assert manifest_of(corpus / "corpus")["identity"] == manifest_of(other / "corpus")["identity"]
    verified(corpus, 2)


def test_a_changed_setting_carries_nothing(corpus: Path) -> None:
    line = rebuild(corpus, rows(22), "--set", "rewrite.filler_rate=0.9")
    assert line["carried_rows"] == 0
    assert line["rows"] == 22


def test_a_snapshot_that_misses_its_limits_is_written_and_latest_stays(tmp_path: Path) -> None:
    job = write_job(tmp_path, rows(10), **LIMITS)
    output = tmp_path / "corpus"
    assert build_here(job, output).code == 0
    card = (output / "README.md").read_bytes()
    bad = [{"id": f"bad{n}", "instruction": "Say it.", "output": "```\nx\n```"} for n in range(5)]
    write(tmp_path / "rows.jsonl", [*rows(10), *bad])
    done = build_here(job, output)
    assert done.code == 1
    assert "min_accepted_fraction" in done.err
    assert "latest.json stays at version 1" in done.err
    assert json.loads((output / "latest.json").read_text())["version"] == 1
    assert (output / "README.md").read_bytes() == card
    assert "10 samples" in voxmill("verify", output).out
    assert open_snapshot(str(output)).manifest["version"] == 1  # what a trainer gets
    assert open_snapshot(str(output), 2).manifest["version"] == 2
    for version, samples in ((1, 10), (2, 10)):
        assert f"{samples} samples" in verified(tmp_path, version)
    assert "v2" in voxmill("inspect", output, "--version", "2").out
    assert "v1" in voxmill("inspect", output).out
    # the same build under looser limits is fit: nothing is built, the pointer moves
    done = build_here(job, output, "--set", "limits.min_accepted_fraction=0.5")
    assert done.code == 0
    assert sum(done.last_json["computed_rows"].values()) == 0
    assert json.loads((output / "latest.json").read_text())["version"] == 2
    assert (output / "README.md").read_bytes() != card


def test_a_later_passing_build_stands_on_the_failing_one_and_moves_latest(tmp_path: Path) -> None:
    job = write_job(tmp_path, [*rows(6), *({"instruction": n} for n in range(4))], **LIMITS)
    output = tmp_path / "corpus"
    assert build_here(job, output).code == 3
    assert not (output / "latest.json").exists()
    assert current_version(FileStore(output)) is None
    with pytest.raises(SourceError, match=r"none of its snapshots \[1\] met the limits"):
        open_snapshot(str(output))
    assert chosen_snapshot(FileStore(output), None)["version"] == 1  # to see what was wrong
    line = rebuild(tmp_path, rows(12))
    assert (line["snapshot"], line["carried_rows"]) == ("snapshots/v000002.json", 6)
    assert json.loads((output / "latest.json").read_text())["version"] == 2


@pytest.mark.parametrize("pointer", [b"", b"[]", b'{"version": 9}', b'{"version": "1"}'])
def test_a_pointer_that_leads_nowhere_is_derived_from_the_snapshots(
    first: Path, tmp_path: Path, pointer: bytes
) -> None:
    output = Path(shutil.copytree(first / "corpus", tmp_path / "corpus"))
    (output / "latest.json").write_bytes(pointer)
    assert current_version(FileStore(output)) == 1
    (output / "latest.json").unlink()
    assert current_version(FileStore(output)) == 1
    assert "latest.json: missing" in voxmill("verify", output).out
