"""The evaluation set: questions alone, picked by category, every other row accounted for."""

import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.sources.read import read_source
from jobs.sources.settings import SourceSettings
from schemas.errors import SourceError
from tests.jobs.small import build_here, manifest_of, voxmill
from tests.pipelines.corpora import ROOT
from transforms.pick import Pick

JOB = ROOT / "examples" / "instructs2s_eval.yaml"
DATA = ROOT.parent / "shared" / "data" / "instructions"
FAST = ("--set", f"voices.bank={ROOT / 'tests' / 'data' / 'voices_fast.yaml'}")


def settings(rows: Path, categories: Path | None) -> SourceSettings:
    return SourceSettings(
        path=rows, adapter="alpaca_eval", name="eval", license="x", categories=categories
    )


@pytest.mark.skipif(not DATA.is_dir(), reason="AlpacaEval is not here: it is not shipped")
def test_199_of_the_209_questions_are_picked() -> None:
    rows = list(
        read_source(settings(DATA / "alpaca_eval_805.json", DATA / "vicuna_questions_80.jsonl"))
    )
    pick = Pick(keep=("helpful_base", "vicuna"), leave=("vicuna/math", "vicuna/coding"))
    own = [row.conversation["source_id"] for row in rows if row.conversation is not None]
    assert len(own) == 805
    ends = Counter(found[0]["code"] if (found := pick._reasons(name)) else "picked" for name in own)
    assert ends == {"not_picked": 596, "left_out": 10, "picked": 199}


def test_the_shipped_job_speaks_questions_alone_and_accounts_for_every_row(tmp_path: Path) -> None:
    done = build_here(JOB, tmp_path / "out", *FAST)
    assert done.code == 0, done.err
    assert [done.last_json[name] for name in ("rows", "accepted", "rejected", "failed")] == [
        8,
        4,
        4,
        0,
    ]
    manifest = manifest_of(tmp_path / "out")
    assert [shard["split"] for shard in manifest["shards"]] == ["eval"]
    assert manifest["unit_sets"] == []
    (index,) = (tmp_path / "out" / "index").glob("*.parquet")
    for row in pq.read_table(index).to_pylist():
        assert [turn["role"] for turn in row["turns"]] == ["user"]
        assert row["num_dropped"] == 0
    assert voxmill("verify", str(tmp_path / "out")).code == 0


def test_a_question_that_the_categories_do_not_know_fails_and_says_so(tmp_path: Path) -> None:
    rows = [{"dataset": "vicuna", "instruction": text} for text in ("Why?", "What else?")]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    known = {"question_id": 1, "text": "Why?", "category": "generic"}
    (tmp_path / "questions.jsonl").write_text(json.dumps(known) + "\n")
    found = list(read_source(settings(tmp_path / "rows.json", tmp_path / "questions.jsonl")))
    assert found[0].conversation is not None
    assert found[0].conversation["source_id"] == "vicuna/generic/1"
    assert found[1].error is not None
    assert "question.jsonl" in found[1].error["message"]


def test_a_file_that_holds_no_questions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text('[{"dataset": "koala", "instruction": "Why?"}]')
    (tmp_path / "questions.jsonl").write_text('{"text": "Why?"}\n')
    with pytest.raises(SourceError, match=r"question_id, text and category"):
        list(read_source(settings(tmp_path / "rows.json", tmp_path / "questions.jsonl")))
