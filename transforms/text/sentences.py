"""Where sentences end, and the longest run of whole ones that fits."""

import re
from collections.abc import Iterable, Iterator

from transforms.text.language import Language, language

_LAST_WORD = re.compile(r"[A-Za-z.]+$")


def sentences(text: str, lang: str) -> list[str]:
    """``text`` cut after its sentence ends and at line breaks; each piece stripped, none empty."""
    return list(split(text, language(lang)))


def fit_to_length(text: str, lang: str, max_chars: int) -> str | None:
    """The longest prefix of whole sentences within ``max_chars``; None if the first is longer."""
    table = language(lang)
    kept, _ = fit(split(text, table), table, max_chars)
    return join(kept, table) or None


def split(text: str, table: Language) -> Iterator[str]:
    """The sentences of ``text`` one by one, so that a caller may stop early."""
    start = 0
    for end in table.sentence_end.finditer(text):
        if end[0] == "." and _is_abbreviation(
            text[max(start, end.start() - 24) : end.start()], table
        ):
            following = text[end.end() : end.end() + 2].strip()
            if following and not text[end.end()].startswith("\n"):
                continue
        if sentence := text[start : end.end()].strip():
            yield sentence
        start = end.end()
    if sentence := text[start:].strip():
        yield sentence


def fit(found: Iterable[str], table: Language, max_chars: int) -> tuple[list[str], bool]:
    """The first sentences whose join is within ``max_chars``, and whether more follow."""
    kept: list[str] = []
    length = 0
    for sentence in found:
        length += len(sentence) + (len(_between(kept[-1], table)) if kept else 0)
        if length > max_chars:
            return kept, True
        kept.append(sentence)
    return kept, False


def join(found: list[str], table: Language) -> str:
    """Sentences as one line of text."""
    out: list[str] = []
    for sentence in found:
        if out:
            out.append(_between(out[-1], table))
        out.append(sentence)
    return "".join(out)


def _between(before: str, table: Language) -> str:
    return table.joiner or (" " if before[-1:].isascii() else "")


def _is_abbreviation(before: str, table: Language) -> bool:
    """Whether a period after ``before`` belongs to its last word: "Dr.", "J." or "U.S."."""
    word = _LAST_WORD.search(before)
    if word is None or not table.abbreviations:
        return False
    return word[0].lower() in table.abbreviations or (
        len(word[0]) == 1 and word[0].isupper() and word[0] != "I"
    )
