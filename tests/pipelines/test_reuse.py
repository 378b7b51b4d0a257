"""Finished work is not done again: what each change of settings or rows computes, and no more."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines import corpora
from tests.pipelines.corpora import NUM_ROWS, ROOT, shards

pytestmark = pytest.mark.slow
SAMPLE = ROOT / "examples" / "sample_instructions.jsonl"
ROWS = SAMPLE.read_text().splitlines()[-NUM_ROWS:]  # the duplicates are among them


def build(output: Path, *options: str) -> dict[str, Any]:
    source = output.parent.parent / "rows.jsonl"
    if not source.exists():
        source.write_text("\n".join(ROWS) + "\n")
    return corpora.build(output, "--input", str(source), *options)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    output = tmp_path_factory.mktemp("built") / "corpus"
    return output, build(output)


@pytest.fixture
def corpus(built: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A copy of a finished corpus, to change."""
    return Path(shutil.copytree(built[0], tmp_path / "corpus"))


def test_a_gate_synthesizes_nothing(corpus: Path, built: tuple[Path, dict[str, Any]]) -> None:
    gate = "gates=[{measure: duration_s, max: 9}]"
    line = build(corpus, "--set", gate)
    assert line["snapshot"].endswith("v000002.json")
    assert sum(line["computed_rows"].values()) == 0
    assert 0 < line["accepted"] < built[1]["accepted"]


def test_the_cluster_count_redoes_units_alone(
    corpus: Path, built: tuple[Path, dict[str, Any]]
) -> None:
    line = build(corpus, "--set", "units.clusters=12")
    assert line["computed_rows"]["units"] == built[1]["computed_rows"]["units"]
    assert sum(line["computed_rows"].values()) == line["computed_rows"]["units"]


def test_editing_one_row_recomputes_that_row_alone(corpus: Path, tmp_path: Path) -> None:
    rows = ROWS.copy()
    place = next(i for i, row in enumerate(rows) if len(json.loads(row)["messages"]) == 2)
    row = json.loads(rows[place])
    row["messages"][0]["content"] = "Could you tell me what a lighthouse is for?"
    row["messages"][1]["content"] = "It warns ships of rocks, and shows them where the coast is."
    rows[place] = json.dumps(row)
    source = tmp_path / "edited.jsonl"
    source.write_text("\n".join(rows) + "\n")
    line = build(corpus, "--input", str(source))
    assert line["rows"] == len(rows)
    assert line["computed_rows"] == {
        "rewrite": 1,
        "respond": 1,
        "synthesize": 2,
        "listen": 2,
        "transcribe": 2,
        "measure": 2,
        "units": 2,
    }


def test_a_looser_dedup_computes_only_the_rows_it_lets_in(
    corpus: Path, built: tuple[Path, dict[str, Any]]
) -> None:
    line = build(corpus, "--set", "dedup.enabled=false")
    let_in = line["reused_rows"]["rewrite"] + line["computed_rows"]["rewrite"]
    new = let_in - built[1]["computed_rows"]["rewrite"]
    assert new >= 2
    assert line["computed_rows"]["rewrite"] == new
    assert line["computed_rows"]["synthesize"] <= 2 * new


def test_workers_and_shard_size_recompute_nothing(corpus: Path) -> None:
    line = build(corpus, "--workers", "3", "--set", "shards.target_mb=1")
    assert sum(line["computed_rows"].values()) == 0


def test_a_faster_voice_resynthesizes_its_own_utterances_alone(
    corpus: Path, built: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    bank = (ROOT / "tests" / "data" / "voices_fast.yaml").read_text()
    assert bank.count("rate: 0.9") == 1
    changed = tmp_path / "voices.yaml"
    changed.write_text(bank.replace("rate: 0.9", "rate: 0.8"))
    line = build(corpus, "--set", f"voices.bank={changed}")
    manifest = json.loads((corpus / "snapshots/v000001.json").read_text())
    evals = sum(shard["samples"] for shard in manifest["shards"] if shard["split"] == "eval")
    assert 0 < line["computed_rows"]["synthesize"] < built[1]["computed_rows"]["synthesize"] / 2
    assert line["computed_rows"]["synthesize"] >= evals / 2
    assert line["computed_rows"]["rewrite"] == 0


def test_without_the_work_store_the_same_bytes_are_computed_again(
    corpus: Path, built: tuple[Path, dict[str, Any]]
) -> None:
    before = shards(corpus)
    shutil.rmtree(corpus / "work")
    (next((corpus / "shards").iterdir())).unlink()
    line = build(corpus)
    assert line["snapshot"] == built[1]["snapshot"]
    assert line["identity"] == built[1]["identity"]
    assert shards(corpus) == before


def test_a_child_is_a_function_of_its_parent_and_not_of_the_memo(corpus: Path) -> None:
    """The same two steps with the work store gone in between give the same second snapshot."""
    other = corpus.parent / "other"
    shutil.copytree(corpus, other)
    shutil.rmtree(other / "work")
    change = ("--set", "rewrite.filler_rate=0.9")
    first, second = build(corpus, *change), build(other, *change)
    assert first["identity"] == second["identity"]
    assert shards(corpus) == shards(other)
    assert second["computed_rows"]["synthesize"] > first["computed_rows"]["synthesize"]
