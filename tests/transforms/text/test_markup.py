"""Markup becomes sentences, and what cannot be said is reported."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.text.markup import MARKED, MARKS, strip_markup


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("# Title\nText", "Title:\nText."),
        ("learn C#", "learn C#."),
        ("**bold** and *soft* and _so_ and `word`", "bold and soft and so and word."),
        ("see [the page](http://x.org/a_b)", "see the page."),
        ("<b>strong</b> text<br>next one", "strong text, next one."),
        ("1. Red\n2. Blue!\n3) Green", "Red.\nBlue!\nGreen."),
        ("- one\n* two\n• three", "one.\ntwo.\nthree."),
        ("1、苹果\n2、梨", "苹果。\n梨。"),
        ("Tips:\n\n1. **Plan**: Do it.", "Tips:\nPlan:\nDo it."),
        ("A. Paris\nB. Rome", "A, Paris.\nB, Rome."),
        ("always odd. This stays", "always odd. This stays."),
        ("the wind,\nthe sea", "the wind, the sea."),
        ("2 * 3 is 6 and 2**3 is 8", "2 * 3 is 6 and 2**3 is 8."),
        ("a\n---\nb", "a.\nb."),
        ("> quoted", "quoted."),
        ("a note[^1] here[2].\n[^1]: the note", "a note here."),
        ("take x[0], then", "take x[0], then."),
        ("fish &amp; chips &eacute;", "fish & chips é."),
        ("call `get_user()` and `userName`", "call get user and user Name."),
        ("mail me@example.com", "mail me@example.com."),
        ("see https://www.example.com/ now", "see example.com now."),
        (r"so \(x^{2} \times \frac{1}{2}\) is", "so x^2 × 1/2 is."),
        (r"it is $y = 5$ or \boxed{7}", "it is y = 5 or 7."),
        ("| Fruit | Color |\n|---|---|\n| Apple | red |\n| Plum | blue |",
         "Fruit, Color:\nApple:\nred.\nPlum:\nblue."),
        ("Name: Joe\ngood cook", "Name: Joe, good cook."),
        ("1. Red\nAll are colors", "Red.\nAll are colors."),
        ("1. Red,\n   a color", "Red, a color."),
    ],
)  # fmt: skip
def test_marks_for_the_eye_become_sentences(marked: str, plain: str) -> None:
    found = strip_markup(marked)
    assert found.text == plain
    assert found.problems == ()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Do:\n```python\nx = 1\n```\nDone", "code"),
        ("def f(x):\n    return x", "code"),
        ("call `x[0] = 1` now", "code"),
        ("call range(10) now", "code"),
        ("the <table> tag", "code"),
        ("| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |", "table"),
        ("| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 9, "table"),
        ("a | b | c", "table"),
        ("the color #FFD1DC", "code"),
        ("see https://example.com/x for it", "url"),
        ("get http://example.com?q=1", "url"),
        ("the sum $x_1 + x_2$ is", "math"),
        (r"so \(x_1 + 1\) is", "math"),
        (r"so \sum_{i} x is", "math"),
        ("(85 + 44 + 102) / 3 = 77", "math"),
        ("(2x + 3y) - (3x + 3y)", "math"),
    ],
)
def test_what_cannot_be_said_leaves_its_mark_and_is_reported(text: str, code: str) -> None:
    found = strip_markup(text)
    assert {problem for problem, _ in found.problems} == {code}
    assert {MARKS[mark] for mark in MARKED.findall(found.text)} == {code}


@pytest.mark.parametrize(
    "text", ["the government(USA) said", "word(s) and bus(es)", "costs $5 or $6"]
)
def test_ordinary_brackets_and_money_are_not_code(text: str) -> None:
    assert strip_markup(text).problems == ()


@given(text=st.text() | st.text(alphabet="*_`[]()#-1. \n|<>$\\^ab"))
def test_every_problem_has_a_mark_and_every_mark_a_problem(text: str) -> None:
    found = strip_markup(text)
    marked = {MARKS[mark] for mark in MARKED.findall(found.text)}
    assert marked <= {code for code, _ in found.problems}
    assert all(len(detail) <= 80 for _, detail in found.problems)


@pytest.mark.parametrize(
    "unit",
    ["*", "_", "`", "[", "](", "[](", "<a", "$", "$^", "\\(", "#", "|", "\n", "- a\n", "(1+"],
)
def test_long_hostile_text_completes(unit: str) -> None:
    assert isinstance(strip_markup(unit * 20_000).text, str)


@given(text=st.text() | st.text(alphabet="*_`[]()#-1. \n|<>$\\^ab:A"))
def test_every_line_has_its_kind(text: str) -> None:
    found = strip_markup(text)
    assert len(found.lines) == found.text.count("\n") + 1


def test_lines_know_their_place_in_a_list() -> None:
    lines = strip_markup("Tips:\n\n1. **Plan**: Do it.\n   - sub\n2. Eat.\n\nDone.").lines
    assert [(line.kind, line.number) for line in lines] == [
        ("text", None),
        ("label", 1),
        ("more", None),
        ("item", None),
        ("item", 2),
        ("text", None),
    ]
