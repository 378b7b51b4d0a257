"""`voxmill report` and the other commands for people, on a corpus in a bucket."""

from pathlib import Path

import pytest

from schemas.store import open_store
from tests.jobs.conftest import TinyCorpus
from tests.jobs.small import voxmill
from tests.servers import Server


@pytest.fixture
def bucket(tiny_corpus: TinyCorpus, s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The corpus, copied into a bucket; its address."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    uri = s3_server.bucket("reported")
    there = open_store(s3_server.address(uri))
    for path in tiny_corpus.store.list(""):
        if not path.startswith(("work/", "report/")):
            there.put(path, tiny_corpus.store.get(path))
    return uri


def test_a_corpus_in_a_bucket_is_reported_compared_and_described(
    tiny_corpus: TinyCorpus, bucket: str, tmp_path: Path
) -> None:
    pages = []
    for name, uri in (("bucket", bucket), ("folder", tiny_corpus.uri)):
        done = voxmill("report", uri, "--output", tmp_path / f"{name}.html", "--json")
        assert done.code == 0, done.err
        assert done.last_json["identity"] == tiny_corpus.manifest["identity"]
        pages.append((tmp_path / f"{name}.html").read_text("utf-8"))
    assert pages[0] == pages[1]
    assert pages[0].count("<audio") > 10
    done = voxmill("diff", tiny_corpus.uri, f"{bucket}@v000001")
    assert done.code == 0, done.err
    assert voxmill("card", bucket, "--json").last_json["publishable"]
    assert open_store(tiny_corpus.uri).size("report/index.html") is not None  # left alone


def test_the_page_of_a_snapshot_alone_says_what_it_lacks(
    tiny_corpus: TinyCorpus, tmp_path: Path
) -> None:
    done = voxmill("report", tiny_corpus.uri, "--output", tmp_path)
    assert done.code == 0, done.err
    (page,) = tmp_path.iterdir()
    assert "MB, open it in a browser" in done.out
    assert "busy, s" in page.read_text("utf-8")
