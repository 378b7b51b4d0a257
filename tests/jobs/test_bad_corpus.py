"""Stores that fill up, refuse or rot: nothing half-written is seen, what can be is mended."""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas import file_store as store_module
from schemas.snapshot import read_snapshot, versions
from schemas.store import FileStore
from tests.jobs.small import (
    Done,
    build_here,
    ended,
    files,
    finish,
    manifest_of,
    row,
    rows,
    start,
    voxmill,
    write_job,
    write_rows,
)

Whole = tuple[Path, Path]


def lines() -> list[dict[str, Any] | str]:
    """Rows that end in all three ways."""
    return [*rows(6), row("punctuation", "?!"), "this line is not JSON"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A job and its corpus: two shards, one row rejected, one failed. Tests work on copies."""
    folder = tmp_path_factory.mktemp("whole")
    job = write_job(folder, lines(), splits={"eval_fraction": 0.5})
    done = build_here(job, folder / "out")
    assert done.code == 0, done.err
    assert len(manifest_of(folder / "out")["shards"]) == 2
    return job, folder / "out"


@pytest.fixture
def corpus(whole: Whole, tmp_path: Path) -> Whole:
    """The job, and a copy of its corpus to be harmed."""
    return whole[0], Path(shutil.copytree(whole[1], tmp_path / "corpus"))


def only(folder: Path, pattern: str) -> Path:
    """The first file that matches."""
    return sorted(folder.glob(pattern))[0]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(bytes(data))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def remove(path: Path) -> None:
    path.unlink()


def fill(path: Path) -> None:
    path.write_bytes(b"not what it was")


def published(folder: Path) -> dict[str, bytes]:
    """The bytes of all that a snapshot stands on."""
    kinds = ("shards", "index", "snapshots", "rejected", "failed", "inputs", "artifacts", "commits")
    return {name: data for kind in kinds for name, data in files(folder, kind).items()}


DAMAGES: list[tuple[str, Callable[[Path], None]]] = [
    ("shards/train-*.tar", flip),
    ("shards/train-*.tar", cut),
    ("shards/eval-*.tar", remove),
    ("index/train-*.parquet", flip),
    ("index/eval-*.parquet", cut),
    ("index/eval-*.parquet", remove),
    ("commits/*/train-*.json", cut),
    ("commits/*/train-*.json", remove),
    ("commits/*/eval-*.json", fill),
    ("artifacts/kmeans-*", flip),
    ("artifacts/kmeans-*", remove),
    ("artifacts/duplicates-*", flip),
    ("inputs/p000000-*.parquet", flip),
    ("inputs/p000000-*.parquet", remove),
    ("inputs/plan-*.json", flip),
    ("inputs/plan-*.json", remove),
    ("rejected/*.parquet", flip),
    ("rejected/*.parquet", remove),
    ("failed/*.parquet", cut),
]
NAMES = [f"{harm.__name__} {pattern.split('*')[0]}" for pattern, harm in DAMAGES]


@pytest.mark.parametrize(("pattern", "harm"), DAMAGES, ids=NAMES)
def test_damage_is_named_by_verify_and_mended_by_the_same_build(
    corpus: Whole, pattern: str, harm: Callable[[Path], None]
) -> None:
    check_mended(*corpus, pattern, harm)


@pytest.mark.parametrize("pattern", ["shards/train-*.tar", "artifacts/kmeans-*"])
def test_damage_is_mended_without_the_work_folder(corpus: Whole, pattern: str) -> None:
    shutil.rmtree(corpus[1] / "work")
    check_mended(*corpus, pattern, remove)


def check_mended(job: Path, output: Path, pattern: str, harm: Callable[[Path], None]) -> None:
    before, identity = published(output), manifest_of(output)["identity"]
    victim = only(output, pattern)
    harm(victim)
    verified = voxmill("verify", output, "--json")
    assert verified.code == 1, verified.out + verified.err
    name = victim.relative_to(output).as_posix()
    folder = name.rsplit("/", 1)[0]  # a commit record that is gone is missed in its folder
    told = [item["path"] for item in verified.last_json["damaged"]]
    assert any(path in (name, folder) for path in told), told
    mended = build_here(job, output)
    assert mended.code == 0, mended.err
    assert mended.last_json["identity"] == identity
    assert mended.last_json["snapshot"] == "snapshots/v000001.json"
    assert voxmill("verify", output).code == 0
    assert published(output) == before


@pytest.mark.parametrize("harm", [cut, fill])
def test_a_snapshot_file_that_is_damaged_is_named_with_a_cure_that_works(
    corpus: Whole, harm: Callable[[Path], None]
) -> None:
    job, output = corpus
    before, victim = published(output), output / "snapshots" / "v000001.json"
    harm(victim)
    verified = voxmill("verify", output)
    assert verified.code == 1, "verify exits 1 on any damage"
    assert str(victim) in verified.out + verified.err
    built = build_here(job, output)
    assert built.code == 2
    assert str(victim) in built.err
    assert "remove it and build again" in built.err
    victim.unlink()
    assert build_here(job, output).code == 0
    assert published(output) == before


@pytest.mark.parametrize("harm", [remove, cut, fill])
def test_the_pointer_is_not_needed_and_comes_back(
    corpus: Whole, harm: Callable[[Path], None]
) -> None:
    job, output = corpus
    pointer = output / "latest.json"
    before = pointer.read_bytes()
    harm(pointer)
    assert voxmill("inspect", output).code == 0
    assert build_here(job, output).code == 0
    assert pointer.read_bytes() == before
    assert voxmill("verify", output).code == 0


def test_verify_says_that_the_pointer_points_nowhere(corpus: Whole) -> None:
    """A reader that starts at latest.json would not find the corpus."""
    fill(corpus[1] / "latest.json")
    verified = voxmill("verify", corpus[1])
    assert verified.code == 1
    assert "latest.json" in verified.out


@pytest.mark.parametrize("harm", [flip, cut, fill])
def test_a_damaged_memo_pack_is_computed_again(
    corpus: Whole, harm: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    job, output = corpus
    harm(only(output, "work/memo/synthesize-*/*/*.pack"))
    assert voxmill("verify", output).code == 0, "work/ belongs to no snapshot"
    remove(only(output, "shards/train-*.tar"))
    before = manifest_of(output)
    mended = build_here(job, output)
    assert mended.code == 0, mended.err
    assert "damaged" in caplog.text
    assert mended.last_json["computed_rows"]["synthesize"] == 12
    assert manifest_of(output) == before
    assert voxmill("verify", output).code == 0


def test_damaged_inputs_of_a_source_that_moved_are_mended_or_refused(
    corpus: Whole, tmp_path: Path
) -> None:
    """The rows are the same, their file's name is not: the partition file has other bytes then."""
    job, output = corpus
    fill(only(output, "inputs/p000000-*.parquet"))
    moved = write_rows(tmp_path / "moved.jsonl", lines())
    done = build_here(job, output, "--input", str(moved))
    if done.code == 0:
        assert voxmill("verify", output).code == 0, "the build said nothing and mended nothing"
    else:
        assert done.code == 2
        assert "inputs/p000000" in done.err


@pytest.mark.parametrize("victim", ["kmeans", "duplicates"])
def test_a_damaged_artifact_of_a_child_is_mended_or_refused_with_a_cure(
    corpus: Whole, victim: str
) -> None:
    """A child's centroids were fitted on its parent's rows; its duplicates on its own."""
    job, output = corpus
    more = ("--set", "rewrite.filler_rate=0.9", "--set", "dedup.scope=instruction")
    assert build_here(job, output, *more).code == 0
    entry = manifest_of(output)["artifacts"][victim]
    assert manifest_of(output)["version"] == 2
    flip(output / entry["name"])
    assert voxmill("verify", output).code == 1
    again = build_here(job, output, *more)
    if victim == "duplicates":
        assert again.code == 0, again.err
    if again.code == 0:
        assert voxmill("verify", output).code == 0
    else:
        assert entry["name"] in again.err
        assert "--refit" in again.err or "copy" in again.err, "building again is no cure here"


def test_the_corpus_of_another_source_is_refused_and_left_as_it_was(
    corpus: Whole, tmp_path: Path
) -> None:
    _, output = corpus
    before = files(output)
    other = write_job(tmp_path / "other", [row(f"other{n}") for n in range(12)])
    done = build_here(other, output)
    assert done.code == 2
    assert str(output) in done.err
    assert "another source" in done.err
    assert "--output" in done.err
    assert "output.same_lineage=true" in done.err
    assert files(output) == before


def test_the_same_lineage_can_be_asserted(corpus: Whole, tmp_path: Path) -> None:
    _, output = corpus
    other = write_job(tmp_path / "other", [row(f"other{n}") for n in range(12)])
    done = build_here(other, output, "--set", "output.same_lineage=true")
    assert done.code == 0, done.err
    assert done.last_json["snapshot"] == "snapshots/v000002.json"
    assert done.last_json["rows"] == 12


def test_other_settings_make_the_next_version_and_leave_the_first_whole(corpus: Whole) -> None:
    job, output = corpus
    first = manifest_of(output)
    done = build_here(job, output, "--set", "speakable.max_words=5")
    assert done.code == 0, done.err
    second = manifest_of(output)
    assert second["version"] == 2
    assert second["parent"] == {"version": 1, "identity": first["identity"]}
    assert second["identity"] != first["identity"]
    assert read_snapshot(FileStore(output), 1) == first
    for version in ("1", "2"):
        assert voxmill("verify", output, "--version", version).code == 0
    assert json.loads((output / "latest.json").read_bytes())["version"] == 2


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/dev/null/corpus", ["a file stands where a folder is wanted", "--output"]),
        ("/proc/voxmill-corpus", ["cannot write", "--output"]),
        ("/sys/voxmill-corpus", ["cannot write", "--output"]),
    ],
)
def test_an_output_that_cannot_be_written_is_refused(
    whole: Whole, path: str, words: list[str]
) -> None:
    done = build_here(whole[0], Path(path))
    assert done.code == 2
    message = done.err[done.err.index("voxmill: error:") :]
    for word in (path, *words):
        assert word in message


def test_a_file_in_the_place_of_the_output_is_refused(whole: Whole, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    done = build_here(whole[0], tmp_path / "out")
    assert done.code == 2
    assert "a file stands where a folder is wanted" in done.err
    assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "permission denied; choose another --output"),
        (errno.EROFS, "the file system is read-only; choose another --output"),
    ],
)
def test_a_folder_that_may_not_be_written_is_refused(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def refuse(path: Path, data: bytes) -> None:
        raise OSError(number, "no", str(path))

    monkeypatch.setattr(store_module, "_write", refuse)
    done = build_here(whole[0], tmp_path / "out")
    assert done.code == 2
    assert words in done.err


def full_disk(monkeypatch: pytest.MonkeyPatch, method: str, under: str) -> None:
    """``FileStore.method`` writes half of an object below ``under``, then the disk is full."""
    real = getattr(FileStore, method)

    def put(store: FileStore, path: str, what: Any, **more: Any) -> None:
        if not path.startswith(under):
            return real(store, path, what, **more)
        with store._explained("write", path), store._temporary(path) as (temporary, _):
            data = what.read_bytes() if isinstance(what, Path) else what
            temporary.write_bytes(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device", str(temporary))

    monkeypatch.setattr(FileStore, method, put)


@pytest.mark.parametrize(
    ("method", "under"),
    [
        ("put", "inputs/"),
        ("put", "memo/synthesize"),
        ("put", "memo/units"),
        ("put", "artifacts/kmeans"),
        ("put_file", "shards/"),
        ("put", "index/"),
        ("put_new", "commits/"),
        ("put_file", "rejected/"),
        ("put_new", "snapshots/"),
    ],
)
def test_a_full_disk_is_told_leaves_nothing_half_written_and_is_overcome(
    whole: Whole, tmp_path: Path, method: str, under: str
) -> None:
    job, undisturbed = whole
    output = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        full_disk(patch, method, under)
        done = build_here(job, output)
    assert done.code == 2, done.err
    assert done.out == ""
    assert "the disk is full; free some space" in done.err
    assert "Traceback" not in done.err
    assert versions(FileStore(output)) == []
    assert list(output.rglob(".tmp-*")) == []
    if under in ("shards/", "inputs/"):
        assert files(output, under) == {}
    again = build_here(job, output)
    assert again.code == 0, again.err
    assert published(output) == published(undisturbed)
    if under not in ("inputs/", "memo/synthesize"):
        assert again.last_json["computed_rows"]["synthesize"] == 0


def no_space(*arguments: object, **named: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    "writer", ["pipelines.spool.marshal.dump", "schemas.shard.ShardWriter.add"]
)
def test_a_full_scratch_disk_is_told_with_a_cure(whole: Whole, tmp_path: Path, writer: str) -> None:
    """The source is spooled and shards are put together in TMPDIR."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, no_space)
        done = build_here(whole[0], tmp_path / "out")
    assert done.code == 2, done.err
    assert "TMPDIR" in done.err
    assert versions(FileStore(tmp_path / "out")) == []
    assert build_here(whole[0], tmp_path / "out").code == 0


def test_a_full_scratch_disk_at_the_end_is_told_with_a_cure(corpus: Whole) -> None:
    """So are the rejected and failed rows."""
    job, output = corpus
    remove(output / "snapshots" / "v000001.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.publish.pq.ParquetWriter", no_space)
        done = build_here(job, output)
    assert done.code == 2, done.err
    assert "TMPDIR" in done.err
    assert build_here(job, output).code == 0


def two_at_once(job: Path, output: Path, *more: str) -> list[Done]:
    """Two builds of one job on one output; ``more`` goes to the second."""
    command = ("build", job, "--output", output, "--workers", "0", "--json")
    running = [start(*command), start(*command, *more)]
    return [finish(process) for process in running]


def test_two_equal_builds_at_once_make_one_snapshot(whole: Whole, tmp_path: Path) -> None:
    job, undisturbed = whole
    output = tmp_path / "out"
    for done in two_at_once(job, output):
        assert done.code == 0, done.err
        assert done.last_json["identity"] == manifest_of(undisturbed)["identity"]
    assert versions(FileStore(output)) == [1]
    assert published(output) == published(undisturbed)
    assert voxmill("verify", output).code == 0


def test_two_different_builds_at_once_make_whole_snapshots_only(
    whole: Whole, tmp_path: Path
) -> None:
    job, _ = whole
    output = tmp_path / "out"
    ends = two_at_once(job, output, "--set", "rewrite.filler_rate=0.9")
    assert 0 in {done.code for done in ends}
    for done in ends:
        if done.code == 0:
            told = json.loads((output / done.last_json["snapshot"]).read_bytes())
            assert told["identity"] == done.last_json["identity"], "its snapshot was replaced"
        else:
            assert done.code == 2
            assert "another build published version 1" in done.err
            assert "run the same command again" in done.err
    for version in versions(FileStore(output)):
        assert voxmill("verify", output, "--version", str(version)).code == 0
    again = build_here(job, output, "--set", "rewrite.filler_rate=0.9")
    assert again.code == 0, again.err
    assert sum(1 for _ in ended(output)) == len(lines())
