"""Sentences end where they end, and only whole ones are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.text.sentences import fit_to_length, sentences


@pytest.mark.parametrize(
    ("lang", "text", "wanted"),
    [
        ("en", "One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("en", "Dr. Smith paid 3.5 dollars. He left.", ["Dr. Smith paid 3.5 dollars.", "He left."]),
        ("en", "J. R. Tolkien wrote. I. E. too.", ["J. R. Tolkien wrote.", "I.", "E. too."]),
        ("en", 'He said "Go." She went.', ['He said "Go."', "She went."]),
        ("en", "Wait... what?! Yes.", ["Wait...", "what?!", "Yes."]),
        ("en", "a line\nanother", ["a line", "another"]),
        ("zh", "你好。再见！好吗？行；走", ["你好。", "再见！", "好吗？", "行；", "走"]),
        ("zh", "他说：“好。”我走了。", ["他说：“好。”", "我走了。"]),
        ("en", " \n ", []),
    ],
)
def test_a_text_is_cut_after_each_sentence(lang: str, text: str, wanted: list[str]) -> None:
    assert sentences(text, lang) == wanted


def test_the_longest_prefix_of_whole_sentences_is_kept() -> None:
    text = "One two. Three four. Five."
    assert fit_to_length(text, "en", 20) == "One two. Three four."
    assert fit_to_length(text, "en", 19) == "One two."
    assert fit_to_length(text, "en", 7) is None
    assert fit_to_length("你好。再见。", "zh", 5) == "你好。"


@pytest.mark.parametrize("lang", ["en", "zh"])
@given(text=st.text() | st.text(alphabet="ab. !?\n。DrI\"'"))
def test_nothing_but_space_is_lost_between_sentences(lang: str, text: str) -> None:
    assert "".join("".join(sentences(text, lang)).split()) == "".join(text.split())


@pytest.mark.parametrize("lang", ["en", "zh"])
@given(text=st.text(alphabet="ab. !?\n。"), max_chars=st.integers(0, 30))
def test_a_fit_never_exceeds_its_limit(lang: str, text: str, max_chars: int) -> None:
    fitted = fit_to_length(text, lang, max_chars)
    assert fitted is None or 0 < len(fitted) <= max_chars
