"""Two spellings of one utterance are heard as the same words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.text.heard import heard_words


@pytest.mark.parametrize(
    ("lang", "text", "words"),
    [
        ("en", "It's 5 o'clock, Dr. Who!", "it's five o'clock doctor who"),
        ("en", "THIRTY-four (34)", "thirty four thirty four"),
        ("en", "Café “it’s”", "cafe it's"),
        ("zh", "我用Python，有2个！", "我 用 python 有 两 个"),
        ("en", " ... ", ""),
    ],
)
def test_words_without_case_and_punctuation(lang: str, text: str, words: str) -> None:
    assert heard_words(text, lang) == words.split()


@pytest.mark.parametrize("lang", ["en", "zh"])
@given(text=st.text(alphabet="ab Zé.,'?!-12$你好。"))
def test_what_was_heard_is_heard_the_same_again(lang: str, text: str) -> None:
    words = heard_words(text, lang)
    assert heard_words(" ".join(words), lang) == words
    assert all(word == word.casefold() and word.strip("'") == word for word in words)
