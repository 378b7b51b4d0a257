"""A corpus in a bucket grows, is retokenized and checked there: the bytes of the same on disk."""

import shutil
from pathlib import Path

import pytest

from schemas.store import Store, StoreAddress, open_store
from tests.jobs.small import ROOT, build_here, rows, voxmill, write_job, write_rows
from tests.jobs.sources.heard import pair, samples_tar
from tests.servers import Server

pytestmark = pytest.mark.slow
EXAMPLES = ROOT / "examples"
FEW = ("--set", "units.clusters=6", "--set", "units.max_frames=1000")
LOOSE = ("--set", "gates=[]", "--set", "limits.max_failed_fraction=1")


@pytest.fixture
def bucket(s3: StoreAddress, s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> StoreAddress:
    """An empty place, and the environment leading to it."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3


def shards(store: Store) -> dict[str, bytes]:
    return {path: store.get(path) for path in store.list("shards")}


def test_increments_and_retokenize_from_bucket_to_bucket(
    bucket: StoreAddress, tmp_path: Path
) -> None:
    job = write_job(tmp_path, rows(10), splits={"eval_fraction": 0.3})
    places = [bucket.uri, str(tmp_path / "corpus")]
    for lines, workers in ((rows(10), "0"), (rows(13)[1:], "2")):
        write_rows(tmp_path / "rows.jsonl", lines)
        for place in places:
            done = build_here(job, place, "--workers", workers)
            assert done.code == 0, done.err
    assert done.last_json["carried_rows"] == 9
    assert shards(open_store(bucket)) == shards(open_store(places[1]))
    for version in ("1", "2"):
        assert voxmill("verify", bucket.uri, "--version", version).code == 0
    retokenize = EXAMPLES / "retokenize.yaml"
    outputs = [bucket.uri.replace("corpus", "again"), str(tmp_path / "again")]
    for source, output in zip(places, outputs, strict=True):
        done = build_here(retokenize, output, "--input", source, *FEW)
        assert done.code == 0, done.err
        assert voxmill("verify", output).code == 0
    there = open_store(StoreAddress(outputs[0], bucket.options))
    assert shards(there) == shards(open_store(outputs[1]))
    shutil.rmtree(tmp_path / "again" / "work")
    done = build_here(retokenize, outputs[1], "--input", bucket.uri, *FEW)
    assert sum(done.last_json["computed_rows"].values()) == 0  # the same source by another way


def test_tars_and_tables_are_read_from_a_bucket_by_pattern_and_folder(
    bucket: StoreAddress, tmp_path: Path
) -> None:
    store = open_store(bucket)
    for number in range(3):
        data = samples_tar({f"s{number}": pair(number), f"t{number}": pair(10 + number)})
        store.put(f"tars/t-{number:02d}.tar", data)
        path = tmp_path / "tars" / f"t-{number:02d}.tar"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    check = EXAMPLES / "check.yaml"
    local = build_here(check, tmp_path / "one", "--input", tmp_path / "tars", *LOOSE)
    folder = build_here(check, tmp_path / "two", "--input", f"{bucket.uri}/tars", *LOOSE)
    assert (local.last_json["rows"], local.last_json["accepted"]) == (6, 6), local.err
    assert folder.last_json["identity"] == local.last_json["identity"]
    pattern = f"{bucket.uri}/tars/t-{{00..01}}.tar"
    some = build_here(check, tmp_path / "three", "--input", pattern, *LOOSE)
    assert some.last_json["rows"] == 4
    missing = build_here(check, tmp_path / "four", "--input", f"{bucket.uri}/none", *LOOSE)
    assert (missing.code, "no file of a known kind" in missing.err) == (2, True)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.parquet"])
def test_rows_of_texts_are_read_from_a_bucket_too(
    bucket: StoreAddress, tmp_path: Path, name: str
) -> None:
    import gzip

    import pyarrow as pa
    import pyarrow.parquet as pq

    job = write_job(tmp_path, rows(3))
    data = (tmp_path / "rows.jsonl").read_bytes()
    if name.endswith(".gz"):
        data = gzip.compress(data)
    if name.endswith(".parquet"):
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(rows(3)), sink)
        data = sink.getvalue().to_pybytes()
    open_store(bucket).put(name, data)
    done = build_here(job, tmp_path / "out", "--input", f"{bucket.uri}/{name}")
    assert done.code == 0, done.err
    local = build_here(job, tmp_path / "local")
    assert done.last_json["identity"] == local.last_json["identity"]
