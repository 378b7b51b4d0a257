"""The dataset card: metadata that the Hub accepts, and code that reads the corpus."""

import io
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import yaml

from jobs.cards.card import render_card, size_category
from jobs.report.corpus import Amount
from schemas.store import FileStore
from tests.jobs.conftest import IMAGE, TinyCorpus


@pytest.fixture(scope="module")
def card(tiny_corpus: TinyCorpus) -> str:
    return render_card(tiny_corpus.store, tiny_corpus.manifest, tiny_corpus.corpus)


def front_matter(card: str) -> dict[str, Any]:
    start, text, _ = card.split("---\n", 2)
    assert start == ""
    value: dict[str, Any] = yaml.safe_load(text)
    return value


def test_the_front_matter_names_exactly_the_shards_of_the_snapshot(
    tiny_corpus: TinyCorpus, card: str
) -> None:
    (config,) = front_matter(card)["configs"]
    named = {item["split"]: item["path"] for item in config["data_files"]}
    wanted: dict[str, list[str]] = {}
    for shard in tiny_corpus.manifest["shards"]:
        wanted.setdefault(shard["split"], []).append(f"shards/{shard['name']}")
    assert named == wanted
    for paths in named.values():
        assert all(tiny_corpus.store.size(path) for path in paths)


def test_the_front_matter_describes_the_corpus(card: str) -> None:
    value = front_matter(card)
    assert value["license"] == "apache-2.0"
    assert value["language"] == ["en", "zh"]
    assert value["size_categories"] == ["n<1K"]


def test_the_hubs_own_library_reads_the_metadata(card: str) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed here")
    data = hub.DatasetCard(card).data
    assert (data.license, data.language) == ("apache-2.0", ["en", "zh"])
    assert data.configs[0]["config_name"] == "default"
    known = set("pretty_name license language task_categories size_categories tags configs".split())
    assert set(data.to_dict()) == known


# webdataset leaves its shards to the garbage collector
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("number", [0, 1])
def test_the_code_on_the_card_reads_the_corpus(
    tiny_corpus: TinyCorpus, card: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(tiny_corpus.store, FileStore)
    monkeypatch.chdir(tiny_corpus.store.root)
    snippet = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[number]
    seen: dict[str, Any] = {}
    exec(snippet.replace("json.load(open(", "json.load(_open("), {"_open": _read}, seen)
    if number == 0:
        assert seen["flac"][:4] == b"fLaC"
        assert {turn["role"] for turn in seen["record"]["turns"]} == {"user", "assistant"}
    else:
        assert seen["rate"] == 16000
        assert len(seen["samples"]) > 0


def test_the_card_is_the_same_again_and_has_no_time_or_place(
    tiny_corpus: TinyCorpus, card: str
) -> None:
    again = render_card(tiny_corpus.store, tiny_corpus.manifest, tiny_corpus.corpus)
    assert card == again
    assert tiny_corpus.uri not in card
    assert not re.search(r"\b20\d\d-\d\d-\d\d\b", card.split("```json")[0])


def test_hostile_names_stay_inside_their_cell(tiny_corpus: TinyCorpus) -> None:
    name = f"`|\n---\n# {IMAGE}"
    hostile = replace(
        tiny_corpus.corpus, sources=Counter({name: 3}), licenses=Counter({name: 3, "": 1})
    )
    hostile.origins = {(name, name): Amount(samples=3), ("b", ""): Amount(samples=1)}
    settings = {**tiny_corpus.manifest["settings"], "name": name}
    manifest: Any = {**tiny_corpus.manifest, "settings": settings}
    card = render_card(tiny_corpus.store, manifest, hostile)
    front_matter(card)
    assert "<img" not in card.split("---\n", 2)[2]
    assert len(re.findall(r"^# ", card, re.MULTILINE)) == 1


def test_size_categories_are_the_hubs() -> None:
    assert [size_category(rows) for rows in (0, 999, 1000, 200_000, 5_000_000)] == [
        "n<1K",
        "n<1K",
        "1K<n<10K",
        "100K<n<1M",
        "1M<n<10M",
    ]


def _read(path: str, encoding: str) -> Any:
    """``open`` that leaves no file open: warnings are errors here."""
    with open(path, encoding=encoding) as file:
        return io.StringIO(file.read())
