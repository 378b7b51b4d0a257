"""croissant.json: what mlcroissant accepts and reads, without a network."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from jobs.cards.croissant import croissant
from jobs.cards.license import Granted, granted_of
from jobs.report.reading import index_rows
from schemas.store import FileStore
from tests.jobs.conftest import TinyCorpus
from tests.jobs.small import voxmill

mlcroissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed here")
# of rdflib, which mlcroissant calls in its old way
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def described(tiny: TinyCorpus) -> tuple[dict[str, Any], Granted]:
    granted = granted_of(tiny.manifest, tiny.corpus)
    return croissant(tiny.manifest, tiny.corpus, granted), granted


def test_a_build_writes_what_mlcroissant_reads_back(tiny_corpus: TinyCorpus) -> None:
    assert isinstance(tiny_corpus.store, FileStore)
    dataset = mlcroissant.Dataset(jsonld=str(tiny_corpus.store.root / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    wanted = {row["key"]: row for row in index_rows(tiny_corpus.store, tiny_corpus.manifest)}
    seen = {}
    for record in dataset.records(record_set="samples"):
        key = record["samples/key"].decode()
        seen[key] = record
        for name in ("duration_s", "offset", "length", "num_dropped"):
            assert record[f"samples/{name}"] == wanted[key][name]
        for name in ("split", "lang", "shard", "license"):
            assert record[f"samples/{name}"].decode() == wanted[key][name]
    assert seen.keys() == wanted.keys()


def test_every_shard_is_there_with_its_checksum(tiny_corpus: TinyCorpus) -> None:
    value, _ = described(tiny_corpus)
    files = {item["@id"]: item.get("sha256") for item in value["distribution"]}
    for shard in tiny_corpus.manifest["shards"]:
        assert files[f"shards/{shard['name']}"] == shard["sha256"]
        assert files[f"index/{shard['index']}"] == shard["index_sha256"]


def test_the_description_is_the_same_again_and_names_no_place(tiny_corpus: TinyCorpus) -> None:
    value, _ = described(tiny_corpus)
    assert isinstance(tiny_corpus.store, FileStore)
    stored = json.loads((tiny_corpus.store.root / "croissant.json").read_text())
    assert stored == value
    assert tiny_corpus.uri not in json.dumps(value)


def test_a_corpus_without_a_row_is_described(tiny_corpus: TinyCorpus, tmp_path: Path) -> None:
    manifest: Any = {**tiny_corpus.manifest, "shards": []}
    _, granted = described(tiny_corpus)
    path = tmp_path / "croissant.json"
    path.write_text(json.dumps(croissant(manifest, tiny_corpus.corpus, granted)))
    assert not mlcroissant.Dataset(jsonld=str(path)).metadata.ctx.issues.errors


def test_an_unknown_license_is_said_in_the_description(tiny_corpus: TinyCorpus) -> None:
    granted = Granted((), "unknown", (), ["source x: none given"], ())
    value = croissant(tiny_corpus.manifest, tiny_corpus.corpus, granted)
    assert value["license"] == "unknown - may not be published"


def test_the_card_command_writes_both_files_and_checks_the_license(
    tiny_corpus: TinyCorpus, tmp_path: Path
) -> None:
    done = voxmill("card", tiny_corpus.uri, "--output", tmp_path, "--for-publication", "--json")
    assert done.code == 0, done.err
    assert done.last_json["license"] == "apache-2.0"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "croissant.json"]
    told = voxmill("card", tiny_corpus.uri, "--license", "voxmill-sample=cc-by-nc-4.0")
    assert "license: cc-by-nc-4.0" in told.out
    stopped = voxmill(
        "card", tiny_corpus.uri, "--license", "voxmill-sample=cc-by-nd-4.0", "--for-publication"
    )
    assert stopped.code == 1
    assert "may not be published: source voxmill-sample" in stopped.err
