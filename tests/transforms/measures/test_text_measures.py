"""Measures of texts, units and pairs whose answers can be counted by hand."""

import math

import pyarrow as pa
import pytest

from schemas.utterance import Measure, taken
from tests.builders import run_step
from transforms.measure_units import MeasureUnits
from transforms.measures.pair import PAIR_MEASURES, content_words, pair_measures
from transforms.measures.text import TEXT_MEASURES, text_measures
from transforms.measures.units import UNIT_MEASURES, unit_measures


def values(found: list[Measure]) -> dict[str, float | None]:
    return {item["name"]: item["value"] for item in found}


def of_text(text: str, lang: str = "en") -> dict[str, float | None]:
    return values(text_measures(text, lang))


def test_each_family_gives_the_measures_of_the_catalogue() -> None:
    assert sorted(of_text("Hello.")) == sorted(TEXT_MEASURES)
    assert sorted(values(unit_measures([1], [2], 2, 1.0))) == sorted(UNIT_MEASURES)
    assert sorted(values(pair_measures(said("a"), said("b")))) == sorted(PAIR_MEASURES)


def test_characters_and_words_are_counted_and_a_chinese_character_is_a_word() -> None:
    assert of_text("Don't go, John.")["text_words"] == 3
    assert of_text("Don't go, John.")["text_chars"] == 15
    assert of_text("今天天气好。", "zh")["text_words"] == 5


@pytest.mark.parametrize(
    ("text", "count"),
    [("A plain text.", 0), ("See **this** one.", 1), ("Take 42 of (them).", 2), ("**4** at 5.", 2)],
)
def test_what_voices_cannot_say_is_counted_by_kind(text: str, count: int) -> None:
    assert of_text(text)["speakable_violations"] == count


def test_a_long_text_is_no_violation_of_its_own() -> None:
    assert of_text("word " * 1000)["speakable_violations"] == 0


@pytest.mark.parametrize(
    ("text", "lang", "match"),
    [
        ("The cat sat on the mat and looked at all of us.", "en", 1.0),
        ("今天的天气非常好，我们去公园。", "en", 0.0),
        ("Der Hund und die Katze sind heute mit dem Auto nach Hause gefahren.", "en", 0.0),
        ("今天的天气非常好，我们去公园。", "zh", 1.0),
        ("The cat sat on the mat.", "zh", 0.0),
        ("Der Hund.", "de", None),
        ("Hi.", "en", None),
        (
            "Speedup, Parallelism, Quantum Simulations, Optimization, Machine Learning, Graph "
            "Search, Sorting, Secret Keys.",
            "en",
            1.0,
        ),  # a list has no words of any language
        ("Woodland streams often have ample vegetation, providing ideal fish habitats.", "en", 1.0),
        ("First, two times three equals? Second, eight times seven equals?", "en", 1.0),
        ("Пять, шесть, семь, восемь, девять, десять, двадцать, тридцать, сорок, сто.", "en", 0.0),
        ("Eins, zwei. Der Hund und die Katze sind heute mit dem Auto gefahren.", "en", 0.0),
    ],
)
def test_a_text_of_another_language_is_told_where_there_is_a_test(
    text: str, lang: str, match: float | None
) -> None:
    assert of_text(text, lang)["lang_match"] == match


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Take the the book.", 1),
        ("The The book book here.", 2),
        ("It had had a topic. Topic two.", 0),  # by rule; another sentence
        ("In twenty twenty one one came.", 0),  # a year
        ("Java and C plus plus.", 0),
        ("今天天气。", 0),
    ],
)
def test_a_word_that_follows_itself_is_counted(text: str, count: int) -> None:
    assert of_text(text)["doubled_words"] == count


def test_runs_that_come_again_are_a_share_of_all_runs() -> None:
    assert of_text("one two three four")["repeated_ngrams"] == 0.0
    assert of_text("go to bed go to bed")["repeated_ngrams"] == pytest.approx(1 / 4)
    assert of_text("go on " * 20)["repeated_ngrams"] == pytest.approx(36 / 38)
    assert of_text("Too short")["repeated_ngrams"] is None


def test_units_are_counted_per_second_and_their_frames_make_the_entropy() -> None:
    found = values(unit_measures([1, 2, 1, 3], [10, 20, 10, 40], 80, 2.0))
    assert found["units_per_s"] == 2.0
    assert found["longest_unit_run_s"] == pytest.approx(1.0)
    assert found["unit_entropy_bits"] == pytest.approx(1.5)  # shares 1/4, 1/4, 1/2
    even = values(unit_measures(list(range(8)), [1] * 8, 8, 1.0))
    assert even["unit_entropy_bits"] == pytest.approx(3.0)
    assert values(unit_measures([5], [80], 80, 2.0))["unit_entropy_bits"] == 0.0


def test_runs_that_were_not_collapsed_are_found_and_lost_ones_are_not_invented() -> None:
    found = values(unit_measures([4, 4, 4, 1], None, 4, 2.0))
    assert found["longest_unit_run_s"] == pytest.approx(1.5)
    assert values(unit_measures([4, 1], None, 4, 2.0))["longest_unit_run_s"] is None


def test_of_several_codebooks_a_frame_is_one_unit() -> None:
    """Two books of four frames in two seconds are two units per second, as the contract counts."""
    books = [[4, 4, 4, 1], [7, 7, 9, 9]]
    found = values(unit_measures([*books[0], *books[1]], None, 4, 2.0, 2))
    assert found["units_per_s"] == 2.0
    assert found["longest_unit_run_s"] == pytest.approx(1.0)  # both stay for two frames
    one = [values(unit_measures(book, None, 4, 2.0))["unit_entropy_bits"] or 0 for book in books]
    assert found["unit_entropy_bits"] == pytest.approx(sum(one) / 2)
    row = {"codes": [*books[0], *books[1]], "durations": None, "num_frames": 4, "num_units": 4}
    sound = {"measures": [], "num_samples": 32000, "sample_rate_hz": 16000}
    step = MeasureUnits()
    (measured,) = run_step(step, pa.RecordBatch.from_pylist([{**row, **sound}], step.reads), {})
    assert values(measured["measures"]) == found


def test_a_turn_without_units_has_none_of_their_measures() -> None:
    assert set(values(unit_measures(None, None, 0, 1.0)).values()) == {None}
    assert values(unit_measures([], [], 0, 1.0)) == {
        "longest_unit_run_s": None,
        "unit_entropy_bits": None,
        "units_per_s": 0.0,
    }


def said(text: str, seconds: float = 1.0, lufs: float | None = -20.0) -> dict[str, object]:
    measures = [taken("duration_s", seconds)]
    if lufs is not None:
        measures.append(taken("loudness_lufs", lufs))
    return {"spoken_text": text, "measures": measures}


def test_a_pair_is_compared_by_length_loudness_and_words() -> None:
    asked = said("Describe the volcano of Naples.", 2.0, -23.0)
    told = said("The volcanoes near Naples are old.", 5.0, -20.0)
    assert values(pair_measures(asked, told)) == {
        "pair_duration_ratio": 2.5,
        "pair_loudness_lu": 3.0,
        "pair_shared_words": pytest.approx(2 / 3),
    }


def test_what_one_side_lacks_makes_the_pairs_measure_unavailable() -> None:
    found = values(pair_measures(said("So it is.", 1.0, None), said("Yes.")))
    assert found["pair_loudness_lu"] is None
    assert found["pair_shared_words"] is None  # the question has no content words
    assert math.isclose(found["pair_duration_ratio"] or 0, 1.0)


def test_chinese_is_compared_by_pairs_of_characters() -> None:
    assert content_words("天气很好") == {"天气", "气很", "很好"}
