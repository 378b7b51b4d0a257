"""A third language builds end to end: its rules, its voices, its shards."""

from pathlib import Path

import pytest

from jobs.cli import main
from schemas.index import INDEX
from schemas.parquet import read_table
from schemas.snapshot import latest_snapshot
from schemas.store import open_store

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "sample_german.jsonl"


@pytest.mark.slow
def test_the_german_sample_becomes_a_corpus(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    words = ["build", str(ROOT / "examples" / "instruct_s2s.yaml"), "--output", str(corpus)]
    words += ["--input", str(SAMPLE), "--set", "source.adapter=alpaca", "--quiet"]
    words += ["--set", "voices.bank=voices_espeak.yaml", "--set", "units.clusters=10"]
    assert main([*words, "--workers", "1"]) == 0
    assert main(["verify", str(corpus)]) == 0
    store = open_store(str(corpus))
    manifest = latest_snapshot(store)
    assert manifest is not None
    assert manifest["counts"]["accepted"] == len(SAMPLE.read_text("utf-8").splitlines())
    rows = [
        row
        for shard in manifest["shards"]
        for row in read_table(
            store.get(f"index/{shard['index']}"), INDEX, shard["index"]
        ).to_pylist()
    ]
    said = [turn["spoken_text"] for row in rows for turn in row["turns"]]
    assert "Drei bekannte Flüsse sind Rhein, Elbe und Donau." in said
    assert {row["lang"] for row in rows} == {"de"}
