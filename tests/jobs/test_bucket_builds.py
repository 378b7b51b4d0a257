"""Builds into a bucket: the bytes of a build to disk, whatever the weather and whoever dies."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.lease import holding, leases
from schemas.canonical import sha256_hex
from schemas.object_store import PART_BYTES
from schemas.snapshot import latest_snapshot, versions
from schemas.store import FileStore, Store, StoreAddress, open_store
from tests import proxy as weather
from tests.jobs.small import (
    ROOT,
    Done,
    build_here,
    finish,
    rows,
    start,
    voxmill,
    write_job,
    write_rows,
)
from tests.killer import killed_build
from tests.proxy import Proxy, proxy
from tests.servers import Server
from tests.weather import EXPIRED, FORBIDDEN, FULL, NO_BUCKET, SLOW_DOWN

pytestmark = pytest.mark.slow
QUICK = ("--set", "output.store.retry_s=2", "--set", "output.store.timeout_s=5")


@dataclass(frozen=True)
class Reference:
    """A job, and what an undisturbed build to a folder makes of it."""

    job: Path
    folder: Path
    line: dict[str, Any]

    @property
    def published(self) -> dict[str, str]:
        return contents(open_store(str(self.folder)))


def contents(store: Store) -> dict[str, str]:
    """Every object that the corpus consists of, by sha256: no memo, no report with its times."""
    skipped = ("work/", "report/", "run.json", "README.md", "croissant.json", "estimate.json")
    return {
        path: sha256_hex(store.get(path)) for path in store.list("") if not path.startswith(skipped)
    }


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("reference")
    job = write_job(folder, splits={"eval_fraction": 0.3})
    done = build_here(job, folder / "out")
    assert done.code == 0, done.err
    return Reference(job, folder / "out", done.last_json)


@pytest.fixture(scope="module")
def front(s3_server: Server) -> Iterator[Proxy]:
    with proxy(s3_server) as running:
        yield running


@pytest.fixture
def through(
    s3: StoreAddress, front: Proxy, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Proxy]]:
    """The address of an empty place, the environment leading through the proxy, and the proxy."""
    for name, value in front.front.environment.items():
        monkeypatch.setenv(name, value)
    front.rules.clear()
    front.seen.clear()
    yield s3.uri, front
    front.rules.clear()


@pytest.fixture
def uri(s3: StoreAddress, s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty place, and the environment leading to it."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3.uri


def bucket_build(job: Path, uri: str, *more: str) -> Done:
    return build_here(job, uri, *QUICK, *more)  # type: ignore[arg-type]


def test_a_bucket_holds_the_bytes_of_a_folder_and_every_command_works_there(
    reference: Reference, uri: str, s3: StoreAddress, tmp_path: Path
) -> None:
    done = voxmill("build", reference.job, "--output", uri, "--workers", "2", "--json")
    assert done.code == 0, done.err
    assert done.last_json["identity"] == reference.line["identity"]
    assert contents(open_store(s3)) == reference.published
    again = bucket_build(reference.job, uri)
    assert sum(again.last_json["computed_rows"].values()) == 0
    (index, *_) = open_store(s3).list("index")
    shown = voxmill("inspect", uri)
    assert shown.code == 0
    key = shown.out.split("first 10 keys")[1].split()[0]
    assert index
    assert "crc32c holds" in voxmill("inspect", uri, key, "--save-to", tmp_path / "ears").out
    assert voxmill("replay", uri, key).out.count("equal") >= 3
    assert "whole by checksums and spot checks" in voxmill("verify", uri).out
    assert ": whole; " in voxmill("verify", uri, "--deep").out
    assert voxmill("plan", reference.job, "--output", uri).code == 0
    assert b"<html" in open_store(s3).get("report/index.html")


def test_verifying_a_bucket_reads_little_and_deep_reads_it_all(
    through: tuple[str, Proxy], s3: StoreAddress, tmp_path: Path
) -> None:
    uri, front = through
    built = bucket_build(write_job(tmp_path, rows(60)), uri)  # eight of them are looked at
    assert built.code == 0, built.err
    assert f"Check every byte: voxmill verify {uri} --deep\n" in built.out + built.err
    read = {}
    for deep in ((), ("--deep",)):
        front.sent.clear()
        assert voxmill("verify", uri, *deep).code == 0
        read[deep] = (front.read_bytes(r"\.tar"), front.read_bytes())
    shards = sum(meta.size for meta in open_store(s3).scan("shards"))
    assert 0 < read[()][0] < shards / 2
    assert read["--deep",][0] >= shards
    assert read[()][1] < read["--deep",][1] / 2


@pytest.mark.parametrize("deep", [(), ("--deep",)], ids=["checksums", "deep"])
def test_a_spoilt_shard_and_an_index_that_disagrees_are_found_in_a_bucket(
    reference: Reference, uri: str, s3: StoreAddress, deep: tuple[str, ...]
) -> None:
    assert bucket_build(reference.job, uri).code == 0
    store = open_store(s3)
    (path, *_) = store.list("shards")
    data = bytearray(store.get(path))
    data[len(data) // 2] ^= 1
    store.put(path, bytes(data))
    done = voxmill("verify", uri, *deep)
    assert done.code == 1
    assert f"{path}: its sha256 is not the manifest's" in done.out
    mended = bucket_build(reference.job, uri)
    assert mended.code == 0, mended.err
    assert voxmill("verify", uri, *deep).code == 0
    indexes = store.list("index")
    store.put(indexes[0], store.get(indexes[1]))
    done = voxmill("verify", uri, *deep)
    assert done.code == 1
    assert f"{indexes[0]}: its sha256 is not the manifest's" in done.out


@pytest.mark.parametrize(
    ("fault", "pattern", "conditional"),
    [
        (weather.answering(409, "ConditionalRequestConflict"), "commits/", True),
        (weather.then_says(412, "PreconditionFailed"), "commits/", True),
        (weather.resetting(after_success=True), "commits/", True),
        (weather.resetting(after_success=True), "snapshots/", True),
        (weather.then_says(500, "InternalError"), "snapshots/", True),
        (weather.cutting_the_upload(), "shards/", None),
        (SLOW_DOWN, "", None),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_storm_over_a_build_changes_no_byte(
    reference: Reference,
    through: tuple[str, Proxy],
    s3: StoreAddress,
    fault: weather.Fault,
    pattern: str,
    conditional: bool | None,
) -> None:
    uri, front = through
    rule = front.break_with(fault, "PUT", pattern, times=2, conditional=conditional)
    done = bucket_build(reference.job, uri)
    assert done.code == 0, done.err
    assert rule.hits >= 1
    assert done.last_json["identity"] == reference.line["identity"]
    assert contents(open_store(s3)) == reference.published


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (NO_BUCKET, "the bucket is not there; create it"),
        (FORBIDDEN, "access is denied"),
        (EXPIRED, "the credentials have expired; renew them"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_bucket_that_cannot_be_used_is_told_at_once(
    reference: Reference, through: tuple[str, Proxy], fault: weather.Fault, words: str
) -> None:
    uri, front = through
    front.break_with(fault, "GET|PUT|HEAD|POST", times=-1)
    done = bucket_build(reference.job, uri)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert "/corpus/corpus/" not in done.err
    assert "Traceback" not in done.err
    assert "test-secret" not in done.err


def test_a_store_that_does_not_answer_has_an_exit_code_that_says_try_again(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
    nowhere = ("--set", "output.store.endpoint=http://127.0.0.1:1")
    options = ("--set", "output.store.allow_http=true", "--set", "output.store.retry_s=0.2")
    done = voxmill(
        *("build", reference.job, "--output", "s3://bucket/corpus", "--workers", "0"),
        *(*nowhere, *options),
    )
    assert done.code == 75, done.err
    assert "no server answers there; check output.store.endpoint" in done.err


def test_memory_is_for_one_process(reference: Reference) -> None:
    done = voxmill("build", reference.job, "--output", "memory://here/x", "--workers", "1")
    assert done.code == 2
    assert "it lives in one process, and workers are others; give --workers 0" in done.err
    done = build_here(reference.job, "memory://here/x")  # type: ignore[arg-type]
    assert done.code == 0, done.err
    assert contents(open_store("memory://here/x")) == reference.published


def test_a_store_that_ignores_conditional_puts_is_refused_before_any_work(
    reference: Reference, through: tuple[str, Proxy], s3: StoreAddress
) -> None:
    uri, front = through
    front.break_with(weather.ignoring_conditions(), "PUT", times=-1, conditional=True)
    done = bucket_build(reference.job, uri)
    assert done.code == 2
    assert "does not honor conditional puts (If-None-Match: *)" in done.err
    assert open_store(s3).list("") == []


@pytest.mark.parametrize("under", ["inputs/", "shards/", "snapshots/"])
def test_a_bucket_that_fills_up_is_told_and_overcome(
    reference: Reference, through: tuple[str, Proxy], s3: StoreAddress, under: str
) -> None:
    uri, front = through
    front.break_with(FULL, "PUT|POST", under, times=-1)
    done = bucket_build(reference.job, uri)
    assert done.code == 2, done.err
    assert "the bucket is full; free some space" in done.err
    assert versions(open_store(s3)) == []
    front.rules.clear()
    again = bucket_build(reference.job, uri)
    assert again.code == 0, again.err
    assert again.last_json["identity"] == reference.line["identity"]


def test_two_drivers_at_once_make_one_corpus_in_a_bucket(
    reference: Reference, uri: str, s3: StoreAddress
) -> None:
    command = ("build", reference.job, "--output", uri, "--workers", "1", "--json")
    for done in [finish(process) for process in [start(*command), start(*command)]]:
        assert done.code == 0, done.err
        assert done.last_json["identity"] == reference.line["identity"]
    assert versions(open_store(s3)) == [1]
    assert contents(open_store(s3)) == reference.published
    assert voxmill("verify", uri, "--deep").code == 0


@pytest.mark.parametrize(
    "point",
    [
        ("bucket", "after", "put_file", "shards/", "1"),
        ("bucket", "before", "put_new", "commits/", "2"),
        ("folder", "after", "put_new", "snapshots/", "1"),
    ],
    ids=" ".join,
)
def test_a_killed_build_is_resumed_to_the_same_corpus_and_leaves_no_debris(
    reference: Reference,
    uri: str,
    s3: StoreAddress,
    tmp_path: Path,
    point: tuple[str, ...],
) -> None:
    place, *moment = point
    output = uri if place == "bucket" else str(tmp_path / "out")
    store = open_store(s3 if place == "bucket" else output)
    died = subprocess.run(
        killed_build(moment, reference.job, output),
        cwd=ROOT,
        capture_output=True,
        env=dict(os.environ),
    )
    assert died.returncode == -9, died.stderr
    assert store.list("running") != []
    done = build_here(reference.job, output)  # type: ignore[arg-type]
    assert done.code == 0, done.err
    assert done.last_json["identity"] == reference.line["identity"]
    assert voxmill("clean", output, "--grace", "0", "--none-running").code == 0
    assert contents(store) == reference.published
    assert store.list("work/builds") == []
    if "snapshots/" not in point:
        assert sum(done.last_json["computed_rows"].values()) == 0, "finished work was done again"


def test_a_kill_inside_a_multipart_upload_leaves_nothing_that_counts(
    through: tuple[str, Proxy], s3: StoreAddress, tmp_path: Path
) -> None:
    uri, front = through
    more = " Some are small and old, others are large and new, and all of them are liked." * 2
    lines = [{**line, "output": line["output"] + more} for line in rows(60)]
    job = write_job(tmp_path, lines)
    whole = build_here(job, tmp_path / "out")
    assert whole.code == 0, whole.err
    (shard,) = FileStore(tmp_path / "out").scan("shards")
    assert shard.size > PART_BYTES
    died: list[subprocess.Popen[bytes]] = []

    async def kill(request: weather.Request, ask: weather.Ask) -> weather.Answer:
        await ask(request)  # the store has this part
        died[0].kill()
        return weather.Answer(0, {}, b"", reset=True)

    rule = front.break_with(weather.Fault("kill", kill), "PUT", r"shards/.*partNumber=1\b")
    command = [sys.executable, "-m", "jobs.cli", "build", str(job), "--output", uri]
    died.append(subprocess.Popen([*command, "--workers", "0", "--quiet"], cwd=ROOT))
    assert died[0].wait(timeout=120) == -9
    assert rule.hits == 1
    store = open_store(s3)
    assert [item.path for item in store.unfinished()] == [shard.path]
    assert store.list("shards") == []
    done = bucket_build(job, uri)
    assert done.code == 0, done.err
    assert done.last_json["identity"] == whole.last_json["identity"]
    assert sum(done.last_json["computed_rows"].values()) == 0, "finished work was done again"
    assert len(list(store.unfinished())) == 1
    assert voxmill("clean", uri, "--grace", "0", "--none-running").code == 0
    assert list(store.unfinished()) == []
    assert contents(store) == contents(open_store(str(tmp_path / "out")))


def test_clean_removes_the_rests_of_a_dead_build_after_a_grace_period_and_nothing_else(
    reference: Reference, uri: str, s3: StoreAddress
) -> None:
    assert bucket_build(reference.job, uri).code == 0
    store = open_store(s3)
    before, everything = contents(store), store.list("")
    rests = [
        f"commits/{'0' * 24}/train-000000.json",
        f"shards/train-000000-{'0' * 12}.tar",
        f"index/train-000000-{'0' * 12}.parquet",
        f"rejected/rejected-{'0' * 12}.parquet",
        f"inputs/p000000-{'0' * 12}.parquet",
        f"inputs/plan-{'0' * 12}.json",
        f"artifacts/kmeans-{'0' * 12}",
        f"work/builds/{'0' * 24}-{'0' * 8}/outcomes/p000000.pack",
        f"probe/{'0' * 16}",
    ]
    others = ["shards/notes.txt", "mine/of-the-user.tar", "artifacts/weights"]
    for path in (*rests, *others):
        store.put(path, b"{}")
    young = voxmill("clean", uri, "--json")
    assert young.last_json["removed"] == 0
    told = voxmill("clean", uri, "--grace", "0", "--dry-run", "--json")
    assert sorted(item["path"] for item in told.last_json["garbage"]) == sorted(
        path.removeprefix("work/") for path in rests
    )
    assert told.last_json["removed"] == 0
    assert set(store.list("")) == {*everything, *rests, *others}
    assert voxmill("clean", uri, "--grace", "0").code == 0
    assert set(store.list("")) == {*everything, *others}
    for path in others:
        store.delete(path)
    assert contents(store) == before


def test_clean_leaves_a_running_build_alone(
    reference: Reference, uri: str, s3: StoreAddress
) -> None:
    assert bucket_build(reference.job, uri).code == 0
    store = open_store(s3)
    manifest = latest_snapshot(store)
    assert manifest is not None
    build_id, token = "a" * 24, "b" * 8
    shard = {"name": f"train-000009-{'c' * 12}.tar", "index": f"train-000009-{'c' * 12}.parquet"}
    committed = {"planned": "train-000009", "shard": shard}
    store.put(f"commits/{build_id}/train-000009.json", json.dumps(committed).encode())
    mine = [f"shards/{shard['name']}", f"index/{shard['index']}"]
    for path in mine:
        store.put(path, b"old, from before it was resumed")
    with holding(store, build_id, f"builds/{build_id}-{token}", manifest["plan"], {}):
        store.put(f"work/builds/{build_id}-{token}/outcomes/p000000.pack", b"x")
        store.put(f"shards/train-000010-{'d' * 12}.tar", b"uploaded, not yet committed")
        here = store.list("")
        done = voxmill("clean", uri, "--grace", "0", "--json")
        assert done.last_json["running"] == 1
        assert store.list("") == here
    done = voxmill("clean", uri, "--grace", "0", "--json")
    assert done.last_json["removed"] == 5


def test_clean_takes_nothing_from_a_build_that_is_being_planned(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.commands import build as builds
    from pipelines import publish

    output = tmp_path / "out"
    real, real_ending = builds.prepare, publish._write_outcomes

    def plan_then_clean(*arguments: Any, **more: Any) -> Any:
        planned = real(*arguments, **more)
        done = voxmill("clean", output, "--grace", "0")
        assert "0 objects removed" in done.out
        assert "one is still being planned: nothing goes" in done.out
        return planned

    def look(*arguments: Any) -> Any:
        (lease,) = leases(open_store(str(output)))
        assert lease.plan is not None, "the build's own sign of life took over"
        return real_ending(*arguments)

    monkeypatch.setattr(builds, "prepare", plan_then_clean)
    monkeypatch.setattr(publish, "_write_outcomes", look)
    done = build_here(reference.job, output)
    assert done.code == 0, done.err
    assert done.last_json["identity"] == reference.line["identity"]
    assert leases(open_store(str(output))) == []


def test_clean_refuses_where_it_cannot_know_what_a_snapshot_names(
    reference: Reference, uri: str, s3: StoreAddress
) -> None:
    assert bucket_build(reference.job, uri).code == 0
    store = open_store(s3)
    store.put("snapshots/v000002.json", b'{"format": "voxmill-snapshot", "schema": 99}')
    before = store.list("")
    done = voxmill("clean", uri, "--grace", "0")
    assert done.code == 2
    assert "use the release that wrote it" in done.err
    assert store.list("") == before


def test_clean_goes_by_the_clock_of_the_store(
    reference: Reference, uri: str, s3: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine's clock is a year ahead; nothing gets older by that."""
    import time

    assert bucket_build(reference.job, uri).code == 0
    store = open_store(s3)
    store.put(f"shards/train-000000-{'0' * 12}.tar", b"young")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 365 * 86400)
    assert voxmill("clean", uri, "--grace", "1h", "--json").last_json["removed"] == 0


def test_clean_removes_temporary_files_and_open_uploads(
    reference: Reference, uri: str, s3: StoreAddress, tmp_path: Path
) -> None:
    from schemas.object_uploads import _client

    assert build_here(reference.job, tmp_path / "out").code == 0
    rest = tmp_path / "out" / "shards" / ".tmp-1-abc"
    rest.write_bytes(b"half")
    assert voxmill("clean", tmp_path / "out", "--json").last_json["removed"] == 0
    assert rest.exists()
    assert voxmill("clean", tmp_path / "out", "--grace", "0", "--json").last_json["removed"] == 1
    assert not rest.exists()
    assert bucket_build(reference.job, uri).code == 0
    name = s3.uri.split("/")[2]
    client = _client(s3.uri, s3.options)
    client.create_multipart_upload(Bucket=name, Key="corpus/shards/train-000000-abc.tar")
    assert voxmill("clean", uri, "--grace", "0", "--json").last_json["removed"] == 1
    assert list(open_store(s3).unfinished()) == []


def test_a_shard_that_vanishes_before_the_snapshot_is_told_and_not_published(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something else deletes in the output between the commits and the snapshot."""
    from pipelines import publish

    real = publish._write_outcomes
    output = tmp_path / "out"

    def delete_then_write(*arguments: Any) -> Any:
        for path in output.glob("shards/train-*.tar"):
            path.unlink()
        return real(*arguments)

    monkeypatch.setattr(publish, "_write_outcomes", delete_then_write)
    done = build_here(reference.job, output)
    assert done.code == 2
    assert "committed, and no longer there as it was" in done.err
    assert versions(open_store(str(output))) == []
    monkeypatch.undo()
    assert build_here(reference.job, output).last_json["identity"] == reference.line["identity"]


def test_clean_takes_nothing_from_any_snapshot_of_a_grown_corpus(
    tmp_path: Path, uri: str, s3: StoreAddress
) -> None:
    lines = rows(8)
    job = write_job(tmp_path, lines[:6])
    assert bucket_build(job, uri).code == 0
    write_rows(tmp_path / "rows.jsonl", lines[1:])  # one row gone, two new
    grown = bucket_build(job, uri)
    assert grown.code == 0, grown.err
    assert versions(open_store(s3)) == [1, 2]
    before = contents(open_store(s3))
    done = voxmill("clean", uri, "--grace", "0", "--json")
    assert done.last_json["garbage"] == []
    assert contents(open_store(s3)) == before
    for version in ("1", "2"):
        assert voxmill("verify", uri, "--version", version, "--deep").code == 0
