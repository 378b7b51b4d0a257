"""Measures of a pair: the answer beside the question. They stand with the answer's own."""

import re
from itertools import pairwise
from typing import Any, Final

from schemas.measures import of_family
from schemas.utterance import Measure, taken, unavailable, value_of
from transforms.replies.flaws import FUNCTION_WORDS
from transforms.text.clean import HAN

PAIR_MEASURES: Final = of_family("pair")
MIN_LETTERS: Final = 4
STEM: Final = 5  # letters that stand for a word and its forms
_LATIN: Final = re.compile(r"[^\W\d_]+")


def pair_measures(asked: dict[str, Any], told: dict[str, Any]) -> list[Measure]:
    """PAIR_MEASURES of two utterances with ``spoken_text`` and ``measures``."""
    durations = [value_of(item["measures"], "duration_s") for item in (asked, told)]
    levels = [value_of(item["measures"], "loudness_lufs") for item in (asked, told)]
    words = content_words(asked["spoken_text"])
    shared = words & content_words(told["spoken_text"])
    return [
        taken("pair_duration_ratio", durations[1] / durations[0])
        if durations[0] and durations[1] is not None
        else unavailable("pair_duration_ratio"),
        taken("pair_loudness_lu", levels[1] - levels[0])
        if levels[0] is not None and levels[1] is not None
        else unavailable("pair_loudness_lu"),
        taken("pair_shared_words", len(shared) / len(words))
        if words
        else unavailable("pair_shared_words"),
    ]


def content_words(text: str) -> frozenset[str]:
    """What a text is about: stems of its longer words, and pairs of Chinese characters."""
    stems = {
        word[:STEM]
        for word in _LATIN.findall(text.lower())
        if len(word) >= MIN_LETTERS and word not in FUNCTION_WORDS and not HAN.search(word)
    }
    han = "".join(char if HAN.match(char) else " " for char in text)
    pairs = {a + b for a, b in pairwise(han) if a != " " != b}
    return frozenset(stems | pairs)
