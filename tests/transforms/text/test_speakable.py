"""What a voice cannot say is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.text.markup import MARK
from transforms.text.speakable import Limits, problems


def codes(text: str, lang: str = "en", limits: Limits | None = None) -> list[str]:
    return [code for code, _ in problems(text, lang, limits or Limits())]


@pytest.mark.parametrize(
    ("lang", "text", "wanted"),
    [
        ("en", "A plain, spoken sentence. Isn't it well-made?", []),
        ("zh", "你好，我用Python。好吗？苹果、梨！", []),
        ("en", "", ["empty"]),
        ("en", "...", ["empty"]),
        ("en", "**bold**", ["markup"]),
        ("en", "- an item", ["markup"]),
        ("en", "one (two)", ["brackets"]),
        ("zh", "你好（是）", ["brackets"]),
        ("en", "room 5", ["digits"]),
        ("zh", "２个", ["digits"]),
        ("en", "Привет you", ["script"]),
        ("en", "a café", ["script"]),
        ("zh", "カタ", ["script"]),
        ("en", "a = b", ["symbols"]),
        ("en", "so " + MARK["code"], ["code"]),
        ("en", "a" * 41, ["word_too_long"]),
    ],
)
def test_each_problem_has_its_code(lang: str, text: str, wanted: list[str]) -> None:
    assert codes(text, lang) == wanted


def test_a_url_is_a_problem() -> None:
    assert "url" in codes("go to www.example dot com")


def test_limits_count_characters_words_and_seconds() -> None:
    assert codes("one two three", limits=Limits(max_chars=12)) == ["too_long"]
    assert codes("one two three", limits=Limits(max_words=2)) == ["too_many_words"]
    assert codes("你好我好", "zh", limits=Limits(max_words=3)) == ["too_many_words"]
    assert codes("a " * 75, limits=Limits(max_seconds=10)) == []
    assert codes("a " * 76, limits=Limits(max_seconds=10)) == ["too_slow"]
    assert codes("好" * 46, "zh", limits=Limits(max_seconds=10)) == ["too_slow"]


@pytest.mark.parametrize("lang", ["en", "zh"])
@given(text=st.text())
def test_details_are_short_and_the_same_each_time(lang: str, text: str) -> None:
    found = problems(text, lang, Limits())
    assert found == problems(text, lang, Limits())
    assert all(len(detail) <= 80 for _, detail in found)
