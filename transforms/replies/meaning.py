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
_NUMBER_DE = re.compile(r"(?<![\w.,])(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?(?!\w)")
# German writes every noun large: only initials, and large words side by side, are taken for names.
_LARGE_DE = r"[A-ZÄÖÜ][a-zäöüß]{2,}"
_NAME_DE = re.compile(rf"\b(?:[A-ZÄÖÜ]{{2,6}}|(?<=[a-zäöüß,] ){_LARGE_DE}(?: {_LARGE_DE})+)\b")
_NOT_DE = re.compile(
    r"\b(?:nicht|nichts|kein\w{0,2}|nie|niemals|niemand\w{0,2}|ohne|weder|außer|vermeide\w*|"
    r"keinesfalls|keineswegs)\b",
    re.IGNORECASE,
)
_ASKS_ZH = re.compile(r"[？?吗呢]|什么|怎么|怎样|如何|为何|哪|谁|几|多少|是否|能否|可否")


def meaning_flaws(source: str, said: str, lang: str, keep: tuple[Kept, ...]) -> list[Flaw]:
    """What ``said`` lost: lost_number, lost_name, lost_negation, no_question."""
    chinese, german = lang.startswith("zh"), lang.startswith("de")
    found: list[Flaw] = []
    if "numbers" in keep:
        lost = [number for number in _numbers(source, lang) if not _says(said, number, lang)]
        if lost:
            found.append(("lost_number", ", ".join(lost)[:60]))
    if "names" in keep:
        pattern = _LATIN_NAME if chinese else _NAME_DE if german else _NAME
        names = list(dict.fromkeys(pattern.findall(source)))
        lost = [name for name in names if not _holds(said, name)]
        if len(names) - len(lost) < MIN_NAMES * len(names):
            found.append(("lost_name", ", ".join(lost)[:60]))
    if "negation" in keep:
        pattern = _NOT_ZH if chinese else _NOT_DE if german else _NOT
        if pattern.search(source) and not pattern.search(said):
            found.append(("lost_negation", repr(pattern.findall(source)[0])))
    if "question" in keep and source.rstrip(" \"'”’").endswith(("?", "？")):
        asks = _ASKS_ZH.search(said) if chinese else "?" in said
        if not asks:
            found.append(("no_question", "the source asks a question"))
    return found


def _numbers(source: str, lang: str) -> list[str]:
    pattern = {"zh": _ANY_NUMBER, "de": _NUMBER_DE}.get(lang[:2], _NUMBER)
    return list(dict.fromkeys(match.rstrip(",") for match in pattern.findall(source)))[:20]


def _says(said: str, number: str, lang: str) -> bool:
    """Whether a text says a number in one of the ways in which people say it."""
    text = _plain(said, lang)
    if lang.startswith("de"):
        return any(_plain(way, lang) in text for way in _ways_de(number, lang) if way.strip())
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


def _ways_de(number: str, lang: str) -> set[str]:
    """How a German says a number: 1.000 with a dot, 3,5 with a comma, 3. as one of a row."""
    plain = number.replace(".", "")
    ways = {number, plain, verbalize(number, lang), verbalize(plain, lang)}
    if plain.isdigit():
        ways.add(verbalize(f"im Jahr {plain}", lang).removeprefix("im Jahr "))
        ordinal = verbalize(f"der {plain}. Mai", lang).removeprefix("der ").removesuffix(" Mai")
        ways |= {ordinal.strip(" ."), ordinal.strip(" .").rstrip("en")}  # dritte, dritten
        ways.add(" ".join(verbalize(digit, lang) for digit in plain))
    ways |= {"ein", "erste"} if plain == "1" else set()
    ways |= {"beide", "paar", "zwo", "doppelt"} if plain == "2" else set()
    return {way for way in ways if len(way) > 1 or way.isdigit()}


def _plain(text: str, lang: str) -> str:
    text = (
        text.lower().replace("-", " ").replace("两", "二")
        if lang.startswith("zh")
        else (text.lower().replace("-", " ").replace(",", ""))
    )
    return re.sub(r"\s+", "" if lang.startswith("zh") else " ", text).strip(" .。")


def _holds(said: str, name: str) -> bool:
    """Whether a name is in a text, whatever its case, its plural or the spaces between letters."""
    close = "".join(filter(str.isalpha, said.lower()))
    plain = name.lower().replace(" ", "")
    return plain in close or (plain.endswith("s") and plain[:-1] in close)
