"""A text as it is heard: the words that both sides of a WER or CER comparison are made of."""

import re
from functools import cache
from typing import Any

from transforms.text.clean import clean
from transforms.text.language import base_code
from transforms.text.verbalize import verbalize

# A Chinese character is a unit of its own; elsewhere a word with its inner apostrophes.
_WORD = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff〇]|[^\W\d_\u3400-\u9fff]+(?:'[^\W\d_]+)*")


def heard_words(text: str, lang: str) -> list[str]:
    """The words of ``text`` without case and punctuation, numbers and signs as words.

    A hyphen parts two words, an apostrophe inside a word stays ("it's"). Chinese comes character
    by character in simplified script, a Latin name in it as one word. The same text written in
    digits or in words gives the same list; what holds nothing to hear gives the empty one. Raises
    SettingsError on an unknown language.
    """
    if base_code(lang) == "zh":
        text = simplified(text)
    said = verbalize(clean(text, lang), lang).casefold().replace("’", "'")
    return _WORD.findall(said)


def simplified(text: str) -> str:
    """Traditional characters as simplified ones, each by itself, by OpenCC's table ``t2s``.

    OpenCC's phrases look at neighbors, so that one wrong character nearby could make another of
    a right one; here equal characters always stay equal (ADR 0095).
    """
    return "".join(map(_simple, text))


@cache
def _simple(character: str) -> str:
    return str(_converter().convert(character)) if character >= "\u2e80" else character


@cache
def _converter() -> Any:  # noqa: ANN401 - OpenCC's class has no types
    import opencc

    return opencc.OpenCC("t2s")
