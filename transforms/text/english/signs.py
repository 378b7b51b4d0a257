"""English abbreviations, Roman numerals and signs: what is written without a digit."""

import re
from re import Match

from transforms.text.english.dates import ends_sentence
from transforms.text.english.numbers import cardinal, ordinal
from transforms.text.english.words import (
    ABBREVIATIONS,
    MONTHS,
    PARTS,
    REGNAL,
    SIGNS,
    STREETS,
    TITLES,
)
from transforms.text.patterns import apply, compiled, one_of

_ROMAN = r"(?=[IVXL])(?:XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50}


def roman(written: str) -> int:
    """XIV -> 14."""
    values = [_VALUES[char] for char in written]
    return sum(
        -value if value < following else value
        for value, following in zip(values, [*values[1:], 0], strict=True)
    )


def _part(m: Match[str]) -> str:
    return m[1] + cardinal(roman(m[2])).capitalize()


def _regnal(m: Match[str]) -> str:
    return f"{m[1]} the {ordinal(roman(m[2])).capitalize()}"


def _abbreviation(m: Match[str]) -> str:
    said, may_end = ABBREVIATIONS[m[0].lower()]
    if m[0][0].isupper() and may_end is None:
        said = said.capitalize()
    return said + ("." if may_end and ends_sentence(m) else "")


def _street(m: Match[str]) -> str:
    before = m.string[max(0, m.start() - 30) : m.start()].rpartition(" ")[2]
    if not before[:1].isupper():
        return m[0]
    return f" {STREETS[m[1]]}" + ("." if ends_sentence(m) else "")


_ABBREVIATION = re.compile(
    rf"(?<![A-Za-z0-9/.]){one_of(ABBREVIATIONS)}(?![A-Za-z0-9/])", re.IGNORECASE
)
_WITH_PERIOD = compiled((
    (rf"(?<=[a-z]) ({one_of(STREETS)})(?=[,)]|\s{{0,3}}$| [a-z])", _street),
    (rf"(?<![\w.]){one_of(TITLES)}(?= [A-Z])", lambda m: TITLES[m[0]]),
    (r"\b[Nn]os?\. ?(?=\d)", "number "),
    (r"\b[Ff]ig\. ?(?=\d)", "figure "),
    (r"\b[Pp]p?\. ?(?=\d)", "page "),
    (r"\b[Vv]ol\. ?(?=[\dIVX])", "volume "),
    (r"\b[Cc]h\. ?(?=[\dIVX])", "chapter "),
    (r"\b(?:ca|c)\. ?(?=\d)", "circa "),
    (r"\b(Jan|Feb|Apr|Aug|Sept|Sep|Oct|Nov|Dec)\.(?= \d{4})",
     lambda m: next(name for name in MONTHS if name.startswith(m[1][:3]))),
))  # fmt: skip
_HASHTAG = re.compile(r"(?<![\w&])#(?=[A-Za-z])(\w{1,60})")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z\d])|_")
_WEEKDAY = re.compile(r"\b(Mon|Tues?|Wed|Thurs?|Thu|Fri|Sat|Sun)(?=:)")
_WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_PER = "month|year|hour|day|week|second|minute|person|night|mile|gallon|kg|km|mo|yr|h|s|lb"
_PER_SAID = {"kg": "kilogram", "km": "kilometer", "mo": "month", "yr": "year", "h": "hour",
             "s": "second", "lb": "pound"}  # fmt: skip
ROMANS = compiled((
    (rf"\b((?:{PARTS}) )({_ROMAN})\b(?!['.]?[A-Za-z])", _part),
    (r"\b(WW|World War )(III|II|I)\b", lambda m: f"World War {cardinal(len(m[2])).capitalize()}"),
    (rf"\b({one_of(REGNAL)}(?: [A-Z][a-z]+)?) ((?![IV]\b|XL)(?:{_ROMAN}))\b(?!\.?[A-Za-z])",
     _regnal),
    (rf"\b({one_of(REGNAL)}) ([IV])(?=(?:'s)?[.,;:?!)]|'s| (?:of|was|ruled|became|and the)\b|$)",
     _regnal),
    (rf"\b((?:{_ROMAN}))(?:th)?(?=[ -]century\b)", lambda m: ordinal(roman(m[1]))),
    (r"\b([A-Z][a-z]{2,20} )(IV|VI|IX|XI|XV)\b(?![.']?\w)", _part),
    (r"\b(II|III|VII|VIII|XII|XIII|XIV|XVI|XVII|XVIII|XIX)\b(?!\.[A-Za-z])",
     lambda m: cardinal(roman(m[1]))),
))  # fmt: skip

SIGN_RULES = compiled((
    (r"(?<=\w)·(?=\w)", " times "),
    (r" ?· ?", ", "),
    (r"(?<![A-Za-z])([fghpqstyFGP])\((-?\w{1,3})\)", r"\1 of \2"),
    (r"\b([CF])#(?!\w)", r"\1 sharp"),
    (r"#(?=[A-Za-z])", "hashtag "),
    (r"(?<=[\w.+-])@(?=[\w-]{1,64}\.[a-z])", " at "),
    (rf"(?<=[\w)])/({_PER})\b", lambda m: " per " + _PER_SAID.get(m[1], m[1])),
    (r" ?(?:<?(?:-{1,2}|=)>) ?", " to "),
    (r"(?:(?<=\d)|(?<=[)\]])|(?<=\b[a-z])) ?° ?C\b", " degrees Celsius"),
    (r"°C\b", "degrees Celsius"),
    (r"°F\b", "degrees Fahrenheit"),
    (r"(?<![\w)\]'-])-(?=[b-zB-HJ-Z](?![\w'.-]))", "minus "),
    (r"(?<=\w) \* (?=\w)", " times "),
    (r"(?<=[\w)]) ?(?:!=|=/=) ?(?=[\w(-])", " is not equal to "),
    (r"(?<=[\w) ])<=(?=[\w( -])", " is at most "),
    (r"(?<=[\w) ])>=(?=[\w( -])", " is at least "),
    (r"(?<=\s)<(?=\s)", "is less than"),
    (r"(?<=\s)>(?=\s)", "is greater than"),
    (r"(?<=\w) ?< ?(?=\d)", " is less than "),
    (r"(?<=\w) ?> ?(?=\d)", " is greater than "),
    (r"≈(?=\s?\d)", " about "),
    ("==?|[" + "".join(re.escape(sign) for sign in SIGNS) + "]",
     lambda m: f" {SIGNS[m[0][0]]} "),
))  # fmt: skip
SIGN = re.compile("[-#/<>*·(" + "".join(re.escape(sign) for sign in SIGNS) + "]")
_HAS_PERIOD = re.compile(r"[A-Za-z]\.")
_HAS_ROMAN = re.compile(r"\b(?:WW)?[IVXL]+\b")


def abbreviations(text: str) -> str:
    """Titles, streets, weekdays and abbreviations in full, hashtags, Roman numerals as numbers."""
    if "." in text or "/" in text or "vs" in text:
        if _HAS_PERIOD.search(text):
            text = apply(_WITH_PERIOD, text)
        text = _ABBREVIATION.sub(_abbreviation, text)
    if "#" in text:
        text = _HASHTAG.sub(lambda m: "hashtag " + _HUMP.sub(" ", m[1]), text)
    if ":" in text:
        text = _WEEKDAY.sub(
            lambda m: next(day for day in _WEEKDAYS if day.startswith(m[1][:3])), text
        )
    return apply(ROMANS, text) if _HAS_ROMAN.search(text) else text
