"""Whether a rewritten instruction still asks the same: numbers, names, negation, the question."""

import re
from typing import Literal, get_args

from transforms.replies.parse import Flaw
from transforms.text.language import language
from transforms.text.verbalize import verbalize

Kept = Literal["numbers", "names", "negation", "question"]
ALL_KEPT: tuple[Kept, ...] = get_args(Kept)
MIN_NAMES = 0.75  # of the names, those that must be there
_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w])")
_ANY_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_NAME = re.compile(r"(?<![.!?\n] )(?<!^)(?<![\"'(])\b(?:[A-Z][a-z]{2,}|[A-Z]{2,6})\b")
_LATIN_NAME = re.compile(r"[A-Za-z]{3,}")
_NOT = re.compile(
    r"\b(?:not|no|never|without|none|neither|nor|except|avoid|exclude|excluding|cannot)\b|n['’]t\b",
    re.IGNORECASE,
)
_NOT_ZH = re.compile(r"[不没无非别勿未莫]|除了|避免")
_ASKS_ZH = re.compile(r"[？?吗呢]|什么|怎么|怎样|如何|为何|哪|谁|几|多少|是否|能否|可否")


def meaning_flaws(source: str, said: str, lang: str, keep: tuple[Kept, ...]) -> list[Flaw]:
    """What ``said`` lost: lost_number, lost_name, lost_negation, no_question."""
    chinese = lang.startswith("zh")
    found: list[Flaw] = []
    if "numbers" in keep:
        lost = [number for number in _numbers(source, chinese) if not _says(said, number, lang)]
        if lost:
            found.append(("lost_number", ", ".join(lost)[:60]))
    if "names" in keep:
        names = list(dict.fromkeys((_LATIN_NAME if chinese else _NAME).findall(source)))
        lost = [name for name in names if not _holds(said, name)]
        if len(names) - len(lost) < MIN_NAMES * len(names):
            found.append(("lost_name", ", ".join(lost)[:60]))
    if "negation" in keep:
        pattern = _NOT_ZH if chinese else _NOT
        if pattern.search(source) and not pattern.search(said):
            found.append(("lost_negation", repr(pattern.findall(source)[0])))
    if "question" in keep and source.rstrip(" \"'”’").endswith(("?", "？")):
        asks = _ASKS_ZH.search(said) if chinese else "?" in said
        if not asks:
            found.append(("no_question", "the source asks a question"))
    return found


def _numbers(source: str, chinese: bool) -> list[str]:
    pattern = _ANY_NUMBER if chinese else _NUMBER
    return list(dict.fromkeys(match.rstrip(",") for match in pattern.findall(source)))[:20]


def _says(said: str, number: str, lang: str) -> bool:
    """Whether a text says a number in one of the ways in which people say it."""
    text = _plain(said, lang)
    plain = number.replace(",", "")
    grouped = f"{int(plain):,}" if plain.isdigit() and len(plain) < 16 else plain
    ways = {number, plain, *(verbalize(way, lang) for way in (number, plain, grouped))}
    if language(lang).joiner:
        ways |= {verbalize(f"in {plain}", lang).removeprefix("in "), verbalize(f"{plain}th", lang)}
        if len(plain) in (3, 4) and plain.isdigit():
            head, tail = plain[:-2], plain[-2:]
            ways.add(f"{verbalize(head, lang)} {verbalize(tail, lang)}")
            ways.add(f"{verbalize(head, lang)} hundred")
    ways.add(" ".join(verbalize(digit, lang) for digit in plain if digit.isdigit()))
    ways |= {"once", "one", "single", "a "} if plain == "1" else set()
    ways |= {"twice", "both", "pair", "couple", "两", "俩", "双"} if plain == "2" else set()
    if any(_plain(way, lang) in text for way in ways if way.strip()):
        return True
    value = _plain(verbalize(plain, lang), lang).replace(" and ", " ")
    return value in text.replace(" and ", " ")


def _plain(text: str, lang: str) -> str:
    text = (
        text.lower().replace("-", " ").replace("两", "二")
        if lang.startswith("zh")
        else (text.lower().replace("-", " ").replace(",", ""))
    )
    return re.sub(r"\s+", "" if lang.startswith("zh") else " ", text).strip(" .。")


def _holds(said: str, name: str) -> bool:
    """Whether a name is in a text, whatever its case, its plural or the spaces between letters."""
    close = re.sub(r"[^a-z]", "", said.lower())
    plain = name.lower()
    return plain in close or (plain.endswith("s") and plain[:-1] in close)
