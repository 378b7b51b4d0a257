"""Whether a voice can say a text, and how long it would take."""

import re
from dataclasses import dataclass

from transforms.text.clean import HAN
from transforms.text.language import language
from transforms.text.markup import MARKED, MARKS

_URL = re.compile(r"(?:https?|ftp)://|www\.|[\w-]@[\w-]", re.IGNORECASE)
_MARKUP = re.compile(r"[`*_#|]|<[A-Za-z/]|^[ \t]*[-+•] ", re.MULTILINE)
_BRACKETS = re.compile(r"[()\[\]{}<>（）【】「」『』《》〈〉]")
_LATIN_WORD = re.compile(r"[A-Za-z'\-]+")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one utterance may hold. Above them flite takes seconds a word, or never returns."""

    max_chars: int = 600
    max_word_chars: int = 40
    max_words: int = 120  # Chinese characters count as words
    max_seconds: float = 40.0  # predicted from the language's characters per second


def problems(text: str, lang: str, limits: Limits) -> list[tuple[str, str]]:
    """Every reason why ``text`` must not be spoken as it is; none means that it may.

    Each is (code, detail), in a fixed order: what markup left behind (code, table, url, math)
    or empty, markup, brackets, url, digits, script, symbols, too_long, too_many_words,
    word_too_long, too_slow. Details are at most 80 characters.
    """
    table = language(lang)
    found: list[tuple[str, str]] = []
    found += [(MARKS[mark], "left out of the text") for mark in dict.fromkeys(MARKED.findall(text))]
    if not found and not any(char.isalpha() for char in text):
        found.append(("empty", "nothing to say"))
    for code, pattern in (("markup", _MARKUP), ("brackets", _BRACKETS), ("url", _URL)):
        if match := pattern.search(text):
            found.append((code, repr(text[match.start() : match.start() + 20])))
    strange = set(table.unspeakable.findall(text)) - set("\n\t") - set(MARKS)
    strange = {char for char in strange if not _BRACKETS.match(char) and not _MARKUP.match(char)}
    for code, test in (("digits", _is_digit), ("script", _is_letter), ("symbols", _is_symbol)):
        if chars := sorted(char for char in strange if test(char)):
            found.append((code, " ".join(chars[:10])))
    return found + _lengths(text, limits, table.chars_per_second, spaced=table.joiner != "")


def _lengths(
    text: str, limits: Limits, chars_per_second: float, *, spaced: bool
) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if len(text) > limits.max_chars:
        found.append(("too_long", f"{len(text)} characters, at most {limits.max_chars}"))
    words = text.replace("-", " ").split() if spaced else _LATIN_WORD.findall(text)
    num_words = len(words) + (0 if spaced else len(HAN.findall(text)))
    if num_words > limits.max_words:
        found.append(("too_many_words", f"{num_words} words, at most {limits.max_words}"))
    longest = max(map(len, words), default=0)
    if longest > limits.max_word_chars:
        found.append(
            ("word_too_long", f"a word of {longest} characters, at most {limits.max_word_chars}")
        )
    seconds = len(text) / chars_per_second
    if seconds > limits.max_seconds:
        found.append(("too_slow", f"about {seconds:.0f} s, at most {limits.max_seconds:g} s"))
    return found


def _is_digit(char: str) -> bool:
    return char.isdigit()


def _is_letter(char: str) -> bool:
    return char.isalpha() and not char.isdigit()


def _is_symbol(char: str) -> bool:
    return not char.isalpha() and not char.isdigit()
