"""Measures of the spoken text: length, what voices cannot say, language, repetition."""

import re
from collections import Counter
from typing import Final

from schemas.measures import of_family
from schemas.utterance import Measure, taken, unavailable
from transforms.replies.flaws import FUNCTION_WORDS, other_language
from transforms.text.clean import HAN
from transforms.text.language import base_code, is_known
from transforms.text.speakable import Limits, problems

TEXT_MEASURES: Final = of_family("text")
GRAM: Final = 3
TESTED: Final = ("en", "zh")  # languages whose text can be told from another's
MIN_LETTERS: Final = 4  # fewer say nothing about a language
NO_LENGTHS: Final = Limits(
    max_chars=10**9, max_word_chars=10**9, max_words=10**9, max_seconds=1e12
)  # lengths are measures of their own
_PARTS: Final = re.compile(r"[,.;:!?]+")
MIN_PART_WORDS: Final = 4  # of a part between stops that is a sentence, not an item
SHORT_WORDS: Final = 20
_WORD: Final = re.compile(rf"{HAN.pattern}|[^\W_]+(?:['’][^\W_]+)*")
_TWICE: Final = re.compile(r"\b([^\W\d_]+) +(?=\1\b)", re.IGNORECASE)
_NUMBERS: Final = frozenset(
    "zero oh one two three four five six seven eight nine ten twenty thirty forty fifty sixty "
    "seventy eighty ninety hundred null eins zwei drei vier fünf sechs sieben acht neun".split()
)
_DOUBLED: Final = frozenset("had that bye no very so many much long really blah ha plus".split())


def text_measures(text: str, lang: str) -> list[Measure]:
    """TEXT_MEASURES of a spoken text."""
    words = [word.lower() for word in _WORD.findall(text)]
    repeated = repeated_ngrams(words)
    return [
        taken("doubled_words", doubled_words(text)),
        _lang_match(text, lang),
        unavailable("repeated_ngrams") if repeated is None else taken("repeated_ngrams", repeated),
        taken("speakable_violations", len(problems(text, lang, NO_LENGTHS)))
        if is_known(lang)
        else unavailable("speakable_violations"),
        taken("text_chars", len(text)),
        taken("text_words", len(words)),
    ]


def repeated_ngrams(words: list[str]) -> float | None:
    """Runs of GRAM words that were said before, of all such runs; None where there is none."""
    grams = Counter(zip(*(words[start:] for start in range(GRAM)), strict=False))
    total = sum(grams.values())
    return (total - len(grams)) / total if total else None


def doubled_words(text: str) -> int:
    """Words that follow themselves with nothing but a space between them.

    Numbers do (twenty twenty), and some words by rule (had had); Chinese characters are no words.
    """
    found = (match[1].lower() for match in _TWICE.finditer(text))
    return sum(word not in _DOUBLED and word not in _NUMBERS for word in found)


def _lang_match(text: str, lang: str) -> Measure:
    if base_code(lang) not in TESTED or sum(map(str.isalpha, text)) < MIN_LETTERS:
        return unavailable("lang_match")
    strange = bool(other_language(text, lang))
    if strange and base_code(lang) == "en" and not HAN.search(text):
        strange = _strange_sentences(text, lang)
    return taken("lang_match", 0.0 if strange else 1.0)


def _strange_sentences(text: str, lang: str) -> bool:
    """Whether an English text is strange without its lists, of names or numbers: they have no words
    of a language. One word that is English is enough for a short one. Other scripts stay strange.
    """
    parts = [
        [word for word in part.lower().split() if word not in _NUMBERS]
        for part in _PARTS.split(text)
    ]
    words = [word for part in parts if len(part) >= MIN_PART_WORDS for word in part]
    if not words:
        return bool(other_language("".join(filter(str.isalpha, text)), lang))
    if len(words) < SHORT_WORDS and not FUNCTION_WORDS.isdisjoint(words):
        return False
    return bool(other_language(" ".join(words), lang))
