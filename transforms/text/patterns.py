"""Rules of a verbalizer: an ordered list of patterns, each with what it says."""

import re
from collections.abc import Callable, Iterable
from re import Match
from typing import TypeAlias

_SPACES = re.compile(r"(?<! ) {2,}| +(?=[.,?!])")

Rule: TypeAlias = tuple[re.Pattern[str], str | Callable[[Match[str]], str]]


def compiled(rules: Iterable[tuple[str, str | Callable[[Match[str]], str]]]) -> tuple[Rule, ...]:
    """(pattern, replacement) pairs, ready to apply. Every repeat in them must be bounded."""
    return tuple((re.compile(pattern), said) for pattern, said in rules)


def apply(rules: Iterable[Rule], text: str) -> str:
    """``text`` after each rule in turn."""
    for pattern, said in rules:
        text = pattern.sub(said, text)
    return text


def tidy(said: str, text: str) -> str:
    """``said`` without the spaces that rules left over; those around ``text`` stay."""
    body = _SPACES.sub(_space, said).strip(" ")
    start = text[: len(text) - len(text.lstrip(" "))]
    end = text[len(text.rstrip(" ")) :] if body else ""
    return start + body + end


def _space(m: Match[str]) -> str:
    return " " if m.end() < len(m.string) and m.string[m.end()] not in ".,?!" else ""


def one_of(words: Iterable[str]) -> str:
    """A pattern for any of ``words``, the longest first."""
    return "(?:" + "|".join(sorted(map(re.escape, words), key=lambda w: (-len(w), w))) + ")"
