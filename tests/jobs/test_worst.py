"""Which accepted rows are shown as the worst, and what the verdict makes of a corpus."""

from collections.abc import Sequence
from typing import Any

import pytest

from jobs.cards.license import outcome
from jobs.report.corpus import Corpus
from jobs.report.counting import see
from jobs.report.expected import Expected, Result
from jobs.report.gate_use import GateUse
from jobs.report.verdict import Verdict, verdict_of
from jobs.report.views import voice_tables
from jobs.report.worst import Worst
from tests.jobs.conftest import TinyCorpus
from tests.jobs.indexed import flat_of, indexed
from transforms.gate import Gate
from transforms.voices import VoiceBank

GATES = (
    Gate(measure="loudness", min=-40),
    Gate(measure="rate", max=30, roles=("assistant",)),
)


def rows(count: int = 200) -> list[dict[str, Any]]:
    """Usual rows, and three that stand out: k7 and k9 at their gates, k11 in no gate's measure."""
    found = []
    for number in range(count):
        usual = {"loudness": -20 - number % 5, "rate": 10.0 + number % 3, "hum": number % 4 * 0.1}
        odd = {7: {"loudness": -39.5}, 11: {"hum": 50.0}}.get(number, {})
        answer = {**usual, "rate": 29.0} if number == 9 else usual
        found.append(indexed(f"k{number}", measures=[{**usual, **odd}, answer]))
    return found


def seen(lines: Sequence[dict[str, Any]], cut: int = 50) -> Worst:
    worst = Worst(GATES)
    for start in range(0, len(lines), cut):
        worst.see(flat_of(lines[start : start + cut]))
    return worst


def test_rows_at_their_gates_and_far_from_the_usual_come_first() -> None:
    found = seen(rows()).rows(6)
    assert {item.row["key"] for item in found[:3]} == {"k7", "k9", "k11"}
    why = {item.row["key"]: item.why[0] for item in found}
    assert why["k7"] == "loudness -39.5 (user), nearest to its gate (at least -40)"
    assert why["k9"] == "rate 29 (assistant), nearest to its gate (at most 30)"
    assert why["k11"].startswith("hum 50 (user), the median is")


@pytest.mark.parametrize("cut", [1, 7, 200])
def test_how_the_index_is_cut_changes_nothing(cut: int) -> None:
    assert seen(rows(), cut).rows(12) == seen(rows()).rows(12)


def test_a_gate_looks_only_where_it_judges() -> None:
    lines = [indexed("k0", measures=[{"rate": 29.9}, {"rate": 12.0}])]
    (only,) = seen(lines).rows(5)
    assert only.why == ("rate 12 (assistant), nearest to its gate (at most 30)",)


def judged(
    tiny: TinyCorpus,
    lines: Sequence[dict[str, Any]],
    *,
    expected: Expected | None = None,
    **manifest: Any,
) -> Verdict:
    corpus = Corpus(VoiceBank(()), [GateUse(gate) for gate in GATES])
    if lines:
        see(corpus, flat_of(lines))
    counts = {"rows": len(lines), "accepted": len(lines), "rejected": 0, "failed": 0}
    value: Any = {**tiny.manifest, "counts": counts, "limits": {}, **manifest}
    return verdict_of(value, corpus, voice_tables(corpus), expected, outcome([]))


def texts(verdict: Verdict, level: Any) -> str:
    return " | ".join(item.text for item in verdict.of(level))


def test_nothing_to_train_on_stops(tiny_corpus: TinyCorpus) -> None:
    verdict = judged(tiny_corpus, [])
    assert verdict.level == "stop"
    assert "No row was accepted" in texts(verdict, "stop")
    assert verdict.title.startswith("Not fit")


def test_missed_limits_stop(tiny_corpus: TinyCorpus) -> None:
    verdict = judged(
        tiny_corpus,
        rows(8),
        counts={"rows": 10, "accepted": 8, "rejected": 0, "failed": 2},
        limits={"max_failed_fraction": 0.01, "min_accepted_fraction": 0.0},
    )
    assert "at most 0.01 of the rows may fail" in texts(verdict, "stop")


@pytest.mark.parametrize(("held", "level"), [(True, "look"), (False, "stop")])
def test_failed_expectations_stop(tiny_corpus: TinyCorpus, held: bool, level: str) -> None:
    result = Result("samples", "expect_x", "a", "", "", held)
    verdict = judged(tiny_corpus, rows(8), expected=Expected([result]))
    assert verdict.level == level
    assert ("1 of 1 expectations failed" in texts(verdict, "stop")) != held


def test_what_no_gate_could_see_is_to_be_looked_at(tiny_corpus: TinyCorpus) -> None:
    lines = [indexed(f"k{n}", measures={"loudness": None, "rate": 9.0}) for n in range(8)]
    words = texts(judged(tiny_corpus, lines), "look")
    assert "-40 ≤ loudness, taken of 0 of 16 utterances" in words
    assert "Nothing compared what is heard with the text in en" in words
    assert "No eval split" in words


def test_findings_name_sections_of_the_page(tiny_corpus: TinyCorpus) -> None:
    places = {"rows", "expectations", "measures", "voices", "license"}
    assert {item.place for item in judged(tiny_corpus, rows(8)).findings} <= places
