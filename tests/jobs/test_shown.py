"""What the page and the terminal show of a turn: changes, judged measures, units, the rest."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.report.diff import changes, differences
from jobs.report.extras import MAX_ROWS, extras
from jobs.report.filters import facets
from jobs.report.judged import Rules, judged
from jobs.report.samples import ShownSample
from jobs.report.strip import MAX_STROKES, strip_path
from jobs.report.words import MAX_TEXT, clipped, fact, visible
from schemas.utterance import taken, unavailable
from transforms.gate import Gate
from transforms.norms import Norms

TEXTS = st.text(alphabet="ab 1.,\n中文é", max_size=40)
GATES = [
    Gate(measure="duration_s", min=1, max=4),
    Gate(measure="duration_s", max=2, roles=("user",)),
    Gate(measure="asr_wer", max=0.5),
    Gate(measure="chars_per_s", min=3, langs=("zh",)),
]


@given(st.lists(TEXTS, min_size=1, max_size=2), TEXTS)
def test_marked_parts_join_to_the_texts_again(before: list[str], after: str) -> None:
    shown, spoken = differences(before, after)
    assert ["".join(text for _, text in parts) for parts in shown] == before
    assert "".join(text for _, text in spoken) == after
    assert before != [after] or not any(mark for mark, _ in spoken)


def test_what_was_not_said_and_what_was_put_in_are_marked() -> None:
    (before, _), after = differences(
        ["1. He has **206** bones.", ""], "He has two hundred six bones."
    )
    assert [text for mark, text in before if mark] == ["1.", "**206**"]
    assert [text for mark, text in after if mark] == ["two hundred six"]
    assert changes(["It is 5 km.", ""], "So, it is five kilometers.") == [
        ("It", "So, it"),
        ("5 km", "five kilometers"),
    ]


def test_chinese_is_compared_letter_by_letter() -> None:
    assert changes(["他有3只猫。"], "他有三只猫。") == [("3", "三")]


@pytest.mark.parametrize("after", ["quite another thing was said", "word " * 5000, ""])
def test_texts_with_little_in_common_are_not_marked(after: str) -> None:
    (before,), spoken = differences(["Tell me about Rome."], after)
    assert (before, spoken) == ([(False, "Tell me about Rome.")], [(False, after)] if after else [])


def test_each_gate_that_covers_a_measure_gives_its_verdict() -> None:
    measures = [taken("duration_s", 3.0), unavailable("asr_wer"), taken("chars_per_s", 1.0)]
    found = [
        (row.name, row.value, row.gate, row.verdict)
        for row in judged(measures, Rules(GATES), "user", "en")
    ]
    assert found == [
        ("duration_s", "3", "at most 2", "fails"),
        ("duration_s", "3", "1 to 4", "passes"),
        ("asr_wer", "unavailable", "at most 0.5", "unchecked"),
        ("chars_per_s", "1", "", ""),
    ]
    assert [row.verdict for row in judged(measures, Rules(GATES), "assistant", "zh")] == [
        "fails",
        "passes",
        "unchecked",
    ]


def test_an_outlier_has_failed_where_the_rows_reasons_say_so() -> None:
    """The reasons are what was judged then, whatever is usual by now."""
    gates = [
        Gate(measure="loudness_lufs", outlier_mad=6, tolerance=3),
        Gate(measure="loudness_lufs", min=-40),
    ]

    def verdicts(value: float, *named: str) -> dict[str, str]:
        rules = Rules(gates, Norms(b'{"norms": {"loudness_lufs/en/a": [-30, 1, 20]}}'))
        found = judged([taken("loudness_lufs", value)], rules, "user", "en", "a", named)
        return {row.gate: row.verdict for row in found}

    outlier, bound = gates[0].bounds(), gates[1].bounds()
    assert verdicts(-30.0) == {outlier: "passes", bound: "passes"}
    assert verdicts(-30.0, "snr_db") == {outlier: "passes", bound: "passes"}
    assert verdicts(-30.0, "loudness_lufs") == {outlier: "fails", bound: "passes"}
    assert verdicts(-50.0, "loudness_lufs") == {outlier: "passes", bound: "fails"}
    assert verdicts(-50.0, "loudness_lufs", "loudness_lufs") == {outlier: "fails", bound: "fails"}


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 9)), max_size=50))
def test_the_strip_has_a_stroke_per_unit_and_ends_at_the_edge(units: list[tuple[int, int]]) -> None:
    codes, lengths = [code for code, _ in units], [length for _, length in units]
    strokes = re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)", strip_path(codes, lengths, 100, (300, 26)))
    assert len(strokes) == len(units)
    assert all(0 <= float(y) <= 26 for _, y, _ in strokes)
    if strokes:
        assert float(strokes[-1][0]) + float(strokes[-1][2]) == pytest.approx(300, abs=0.8)


def test_a_long_clips_strip_stays_small() -> None:
    path = strip_path([1] * 100_000, None, 2, (300, 26))
    assert path.count("M") == MAX_STROKES


def test_what_else_a_record_holds_is_shown_as_tables() -> None:
    record = {
        "turn": 0,
        "attempts": [
            {"seed": 123456789, "measures": {"asr_wer": 0.5}, "kept": False},
            {"seed": 2, "rate": 0.9},
        ],
        "augmentation": json.dumps({"snr_db": 12.25, "noise": "white"}),
        "words": [["a", 0.0, 0.25]] * (MAX_ROWS + 5),
        "heard_text": "shown in its own place",
        "note": "x" * 5000,
        "nothing": None,
    }
    found = {extra.name: extra for extra in extras(record)}
    assert list(found) == ["attempts", "augmentation", "note", "words"]
    assert found["attempts"].columns == ["kept", "seed", "asr_wer", "rate"]
    assert found["attempts"].rows == [["no", "123456789", "0.5", ""], ["", "2", "", "0.9"]]
    assert found["augmentation"].rows == [["snr_db", "12.25"], ["noise", "white"]]
    assert found["words"].hidden == 5
    assert found["words"].rows[0] == ["a", "0", "0.25"]
    assert len(found["note"].rows[0][1]) < 300


def test_no_text_of_a_row_is_in_a_filters_mark() -> None:
    evil = '"><script>'
    sample = ShownSample(key="k", state="failed", lang=evil, facts=[], turns=[], codes=[evil, "b"])
    filters = facets([sample])
    assert filters.marks == ["s0 r0 r1 l0"]
    assert [item.label for item in filters.choices["reason"]] == [evil, "b"]


def test_what_cannot_be_seen_is_shown_and_the_rest_left_alone() -> None:
    assert visible("a\x00\u202eb\u200b\ud800") == "a‹U+0000›‹U+202E›b‹U+200B›\ufffd"
    assert visible("naïve 中文 👩\u200d👧 שלום\n\t") == "naïve 中文 👩\u200d👧 שלום\n\t"
    assert clipped("x" * (MAX_TEXT + 3)).endswith("… (3 more characters)")
    assert "\n" not in fact("a\nb")


def test_where_nothing_is_usual_an_outlier_gate_is_unchecked_and_its_bounds_are_not() -> None:
    gates = [
        Gate(measure="loudness_lufs", outlier_mad=6),
        Gate(measure="loudness_lufs", outlier_mad=6, min=-40),
        Gate(measure="loudness_lufs", outlier_mad=6, per="lang"),
    ]
    for_lang = Norms(b'{"norms": {"loudness_lufs/en": [-30, 1, 20]}}')
    for norms, last in ((None, "unchecked"), (for_lang, "passes")):
        rules = Rules(gates, norms)
        found = judged([taken("loudness_lufs", -30.0)], rules, "user", "en", "rare")
        assert [row.verdict for row in found] == ["unchecked", "passes", last]
        again = judged(
            [taken("loudness_lufs", -30.0)], rules, "user", "en", "rare", [found[0].name]
        )
        assert {row.verdict for row in again} == {"fails"}
