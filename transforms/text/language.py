"""What the text rules know about a language, as data; one module per language holds it.

A language is the module ``transforms/text/languages/CODE.py`` with a ``LANGUAGE``: the file is its
registration (docs/text.md has the steps).
"""

import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TypeAlias

from schemas.errors import SettingsError
from transforms.text import languages


@dataclass(frozen=True, kw_only=True)
class Lists:
    """How a language speaks a list."""

    separator: str  # between two items of a phrase list
    pair: str  # between the items of a list of two
    last: str  # before the last item of a longer one
    ordinals: tuple[str, ...]  # open the items of a numbered list, with their comma
    finally_: str  # opens the last item of three or more
    steps: tuple[str, ...]  # open the steps of a procedure: the first, then these in turn
    last_step: str
    procedure: re.Pattern[str]  # in an introduction: the items are steps, useless when cut
    opened: re.Pattern[str]  # an item that says itself where it stands
    recipe: re.Pattern[str]  # a heading of a recipe, whose parts are useless alone
    leads: re.Pattern[str]  # the start of a sentence that only leads over to what follows
    announces: re.Pattern[str]  # an introduction, even if it ends with a period
    counts: tuple[str, ...]  # the words of 2, 3, ...: an announced number must be kept


@dataclass(frozen=True, kw_only=True)
class Language:
    """One language's alphabet, punctuation, pace, verbalizer and turns of speech."""

    code: str
    say: Callable[[str], str]  # words for every written form; its input has digits 0-9 only
    chars_per_second: float  # of the spoken text, spaces included
    ascii_only: bool  # its voices read no accents: café becomes cafe
    unspeakable: re.Pattern[str]  # one character that the voice cannot say
    sentence_end: re.Pattern[str]
    joiner: str  # between two sentences; "" also says: full-width punctuation, no word spaces
    comma: str
    period: str
    question: str
    either: str  # what a slash between two words says
    dot: str  # what the point in amazon.com says
    blank: str  # what a gap to be filled says
    abbreviations: frozenset[str]  # lower case, without the last period: they end no sentence
    intro_tails: tuple[str, ...]  # a colon after one of these is left out before a list of phrases
    intro_pauses: tuple[
        str, ...
    ]  # after these, and before other text, it is a comma; else a period
    dependent: tuple[str, ...]  # first words, in lower case, of what is no sentence by itself
    fillers: tuple[str, ...]  # before any instruction
    question_fillers: tuple[str, ...]  # before a question
    request_fillers: tuple[str, ...]  # before a request that starts with one of `requests`
    polite_question: str  # makes "Describe it." into "Could you describe it?"; "" for none
    requests: frozenset[str]  # verbs that open a request, in lower case
    openers: frozenset[str]  # other first words that lose their capital inside a sentence
    common: re.Pattern[str]  # more such words, in lower case, by their form
    greetings: tuple[str, ...]  # texts that start so get no filler
    preambles: re.Pattern[str]  # a first sentence that says nothing: "Sure!"
    questions: re.Pattern[str]  # a sentence without its mark that asks
    asks_sentences: re.Pattern[str]  # "in three sentences": group 1 is the number's word
    asks_result: re.Pattern[str]  # a question whose answer is the end of a calculation
    equals: re.Pattern[str]  # in a sentence of a calculation
    closings: re.Pattern[str]  # a last sentence that is the answer: "So the answer is 5."
    about_emoji: re.Pattern[str]  # a text that is about emoji, which are otherwise dropped
    lists: Lists


PerLang: TypeAlias = tuple[tuple[str, int], ...]  # (language or "default", value), sorted


def for_lang(values: PerLang, lang: str) -> int:
    """The value for a language, or the default."""
    found = dict(values)
    return found.get(lang, found["default"])


@cache
def known_languages() -> tuple[str, ...]:
    """The codes of all languages with rules, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(languages.__path__)))


def is_known(lang: str) -> bool:
    """Whether there are rules for this language."""
    return base_code(lang) in known_languages()


def base_code(lang: str) -> str:
    """``zh-CN`` and ``ZH_tw`` are ``zh``."""
    return lang.replace("_", "-").split("-")[0].lower()


@cache
def language(lang: str) -> Language:
    """The table of ``lang``; a region is ignored (``zh-CN`` is ``zh``).

    Only the languages in use are imported: their number libraries take up to 0.2 s.
    """
    code = base_code(lang)
    if code not in known_languages():
        raise SettingsError(
            f"text rules: language {lang!r} is not known, wanted one of {list(known_languages())}; "
            "add transforms/text/languages/CODE.py or leave those rows out of the source"
        )
    table = import_module(f"{languages.__name__}.{code}").LANGUAGE
    assert isinstance(table, Language)
    return table
