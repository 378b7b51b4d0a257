"""Quotas from the bank's file to the plan, the corpus, its report and its expectations."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.report.corpus import Amount, Corpus
from jobs.report.reading import index_rows
from jobs.report.verdict import verdict_of
from jobs.report.views import voice_tables
from pipelines.expectations.tables import write_tables
from schemas.snapshot import read_snapshot
from schemas.store import FileStore
from tests.jobs.conftest import TinyCorpus
from tests.jobs.small import FAST_BANK, build_here, manifest_of, rows, voxmill, write_job
from transforms.quotas import Quota
from transforms.voices import Voice, VoiceBank

ACCENTS = {"en-train-brisk": "quick", "en-train-plain": "plain", "en-eval": "slow"}


def quoted(folder: Path, shares: dict[str, float] | None, **more: Any) -> Path:
    """The fast bank with accents, and a quota by them for English in train."""
    document = yaml.safe_load(FAST_BANK.read_text("utf-8"))
    for voice in document["voices"]:
        if voice["id"] in ACCENTS:
            voice["accent"] = ACCENTS[voice["id"]]
    if shares is not None:
        told = {"by": "accent", "langs": ["en"], "splits": ["train"], "shares": shares}
        document["quotas"] = [told | more]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bank.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return write_job(folder, rows(40), voices={"bank": "bank.yaml"})


def run_of(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "run.json").read_text(encoding="utf-8"))
    return found


def voices_of(output: Path) -> dict[str, str]:
    """The user's voice of each accepted row, by its key."""
    return {
        str(row["key"]): next(turn["voice"] for turn in row["turns"] if turn["role"] == "user")
        for row in index_rows(FileStore(output), manifest_of(output))
    }


def test_a_plan_tells_what_shares_are_expected(tmp_path: Path) -> None:
    job = quoted(tmp_path, {"quick": 0.25, "plain": 0.75})
    done = voxmill("plan", job, "--output", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    (place,) = done.last_json["voice_shares"]
    assert (place["role"], place["lang"], place["split"]) == ("user", "en", "train")
    assert place["voices"] == {"en-train-brisk": 0.25, "en-train-plain": 0.75}
    assert place["by"]["accent"] == {"plain": 0.75, "quick": 0.25}
    assert place["quotas"] == ["accent"]
    assert "user, en, train: gender m 100.0%; accent plain 75.0%, quick 25.0% (quota)" in done.err


def test_a_quota_that_cannot_be_met_stops_plan_and_build_with_the_cure(tmp_path: Path) -> None:
    job = quoted(tmp_path, {"quick": 0.5, "plain": 0.5}, splits=["train", "eval"])
    for command in ("plan", "build"):
        done = voxmill(command, job, "--output", tmp_path / "out")
        assert done.code == 2
        assert "voices of 'en' in eval: the quota by accent has no share for accent 'slow'" in (
            done.err
        )
        assert "bank.yaml" in done.err


@pytest.mark.slow
def test_an_edited_quota_speaks_only_the_rows_whose_voice_it_changes(tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert build_here(quoted(tmp_path / "job", None), output).code == 0
    first = manifest_of(output)
    before = voices_of(output)
    assert "quotas" not in first["settings"]
    job = quoted(tmp_path / "job", {"quick": 0.05, "plain": 0.95})
    done = build_here(job, output)
    assert done.code == 0, done.err
    after = voices_of(output)
    changed = {name for name in before if before[name] != after[name]}
    assert {before[name] for name in changed} == {"en-train-brisk"}
    assert run_of(output)["computed_rows"]["synthesize"] == len(changed) > 5
    # The quota is part of the corpus: its manifest holds it, and replay draws the same voice.
    assert manifest_of(output)["settings"]["quotas"][0]["shares"] == {"plain": 0.95, "quick": 0.05}
    assert "every byte is equal" in voxmill("replay", output, min(changed)).out
    page = (output / "report" / "index.html").read_text("utf-8")
    assert "Quotas ·" in page
    assert "expected by accent: `plain` 95.0%, `quick` 5.0%" in (output / "README.md").read_text()
    path = tmp_path / "tables.sqlite"
    write_tables(path, FileStore(output), read_snapshot(FileStore(output), 2))
    with sqlite3.connect(path) as connection:
        told = connection.execute("SELECT attribute, value, asked, num_samples FROM quotas")
        assert told.fetchall() == [("accent", "plain", 0.95, 40), ("accent", "quick", 0.05, 40)]
    connection.close()


def corpus_of(women: int, men: int) -> Corpus:
    plain: dict[str, Any] = {"lang": "en", "backend": "x", "name": "n", "license": "MIT"}
    bank = VoiceBank(
        (
            Voice(id="anna", speaker_id="a", gender="f", **plain),
            Voice(id="carl", speaker_id="c", gender="m", **plain),
        ),
        (Quota(by="gender", shares=(("f", 0.2), ("m", 0.8))),),
    )
    voices = {
        ("train", "en", "user", "anna", "a"): Amount(women, women, 1.0),
        ("train", "en", "user", "carl", "c"): Amount(men, men, 1.0),
        ("train", "en", "user", "", ""): Amount(50, 50, 1.0),  # of the source: in no quota
    }
    return Corpus(bank, [], voices=voices)


def test_the_report_holds_measured_shares_against_the_quota(tiny_corpus: TinyCorpus) -> None:
    (table,) = voice_tables(corpus_of(30, 70))
    women, men = table.quotas
    assert (women.value, women.asked, women.share, women.num) == ("f", 0.2, 0.3, 100)
    assert women.deviation == pytest.approx(0.04)  # sqrt(0.2 * 0.8 / 100)
    assert not women.odd  # P(30 or more of 100 at 0.2) is 0.011
    assert not men.odd
    # The table's shares are of all 150 samples, a third of which the source spoke.
    asked = [row.asked for row in table.rows if row.voice in ("anna", "carl")]
    assert asked == pytest.approx([0.2 * 100 / 150, 0.8 * 100 / 150])
    (table,) = voice_tables(corpus_of(40, 60))
    assert all(row.odd for row in table.quotas)  # P(40 or more) is 4e-6
    told = _findings(tiny_corpus, corpus_of(40, 60))
    assert "The quota by gender is missed by more than chance: f has 40.0% for 20.0% of the" in told
    assert "quotas hold, within what chance does" in _findings(tiny_corpus, corpus_of(30, 70))


def _findings(tiny: TinyCorpus, corpus: Corpus) -> str:
    from jobs.cards.license import granted_of

    granted = granted_of(tiny.manifest, tiny.corpus)
    verdict = verdict_of(tiny.manifest, corpus, voice_tables(corpus), None, granted)
    return " ".join(item.text for item in verdict.findings)
