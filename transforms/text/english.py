"""How English says numbers, dates, money, units and signs in their places."""

import re
from collections.abc import Callable
from re import Match

from transforms.text.digits import NUMBER, spell_long_runs
from transforms.text.english_numbers import DIGITS, amount, cardinal, ordinal, year
from transforms.text.english_words import (
    ABBREVIATIONS,
    CURRENCIES,
    MONTHS,
    NOT_A_YEAR_AFTER,
    SCALES,
    SIGNS,
    UNITS,
    YEAR_BEFORE,
)

_MONTH = (
    "(" + "|".join(sorted({*MONTHS, *(m[:3] for m in MONTHS), "Sept"}, key=len)[::-1]) + r")\b\.?"
)
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_UNIT = "|".join(sorted(map(re.escape, UNITS), key=len)[::-1])
_SCALE = "|".join(sorted(SCALES, key=len)[::-1])
_WORD_BEFORE = re.compile(r"([A-Za-z]+)[.,]? $")
_WORD_AFTER = re.compile(r" ([a-z]+)")


def _plural(word: str, written: str) -> str:
    return word if written in ("1", "1.0") or not word.isalpha() else word + "s"


def _date(y: str, month: str, day: str, whole: str) -> str:
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return whole.replace("-", " ").replace("/", " ")
    return f"{MONTHS[int(month) - 1]} {ordinal(int(day))}, {year(int(y))}"


def _slashed_date(m: Match[str]) -> str:
    month, day = (m[1], m[2]) if int(m[1]) <= 12 else (m[2], m[1])  # American unless impossible
    return _date(m[3], month, day, m[0])


def _month_name(short: str) -> str:
    return next(name for name in MONTHS if name.startswith(short[:3]))


def _month_day(m: Match[str]) -> str:
    if not 1 <= int(m[2]) <= 31:
        return m[0]
    return f"{_month_name(m[1])} {ordinal(int(m[2]))}" + (f", {year(int(m[3]))}" if m[3] else "")


def _day_month(m: Match[str]) -> str:
    if not 1 <= int(m[2]) <= 31:
        return m[0]
    said = f"the {ordinal(int(m[2]))} of {_month_name(m[3])}"
    return said + (f", {year(int(m[4]))}" if m[4] else "")


def _time(m: Match[str]) -> str:
    hour, minute = int(m[1]), m[2]
    said = cardinal(hour)
    if minute == "00":
        said += "" if m[3] else " o'clock" if 1 <= hour <= 12 else " hundred"
    else:
        said += " oh " + cardinal(int(minute)) if minute[0] == "0" else " " + cardinal(int(minute))
    return said + _half_day(m, m[3])


def _hour(m: Match[str]) -> str:
    return cardinal(int(m[1])) + _half_day(m, m[2])


def _half_day(m: Match[str], letter: str | None) -> str:
    period = "." if m[0].endswith(".") and _ends_sentence(m) else ""
    return f" {letter.upper()}M{period}" if letter else ""


def _ends_sentence(m: Match[str]) -> bool:
    after = m.string[m.end() : m.end() + 3]
    return not after.strip(" \"')") or after[0] == "\n" or after.lstrip(" \"')")[:1].isupper()


def _money(m: Match[str]) -> str:
    unit, cent = CURRENCIES[m[1]]
    written, scale = m[2], m[3]
    whole, _, decimals = written.partition(".")
    if scale:
        return f"{amount(written)} {SCALES[scale]} {_plural(unit, '2')}"
    if len(decimals) != 2 or not cent:
        return f"{amount(written)} {_plural(unit, written)}"
    cents = (
        f"{cardinal(int(decimals))} {_plural(cent, str(int(decimals)))}" if int(decimals) else ""
    )
    units = (
        f"{amount(whole)} {_plural(unit, whole)}"
        if int(whole.replace(",", "")) or not cents
        else ""
    )
    return " and ".join(part for part in (units, cents) if part)


def _unit(m: Match[str]) -> str:
    one, many = UNITS[m[2]]
    return f"{amount(m[1])} {one if m[1] == '1' else many}"


def _decade(m: Match[str]) -> str:
    tens = {"0": "hundreds", "1": "tens"}.get(m[2], cardinal(int(m[2] + "0"))[:-1] + "ies")
    return f"{cardinal(int(m[1]))} {tens}" if m[1] else tens


def _fraction(m: Match[str]) -> str:
    top, bottom = int(m[1]), int(m[2])
    if m[0] == "24/7":
        return "twenty-four seven"
    if not 0 < top < bottom <= 20:
        return f"{cardinal(top)} over {cardinal(bottom)}"
    part = {2: "half", 4: "quarter"}.get(bottom, ordinal(bottom))
    return f"{cardinal(top)} {part}{'s' if top > 1 else ''}"


def _maybe_year(m: Match[str]) -> str:
    number = int(m[0])
    before = _WORD_BEFORE.search(m.string[max(0, m.start() - 14) : m.start()])
    after = _WORD_AFTER.match(m.string[m.end() : m.end() + 16])
    cue = before is not None and before[1].lower() in YEAR_BEFORE
    open_place = before is None or before[1].lower() not in (
        "is",
        "equals",
        "total",
        "number",
        "plus",
    )
    if cue or (number >= 1800 and open_place and not (after and after[1] in NOT_A_YEAR_AFTER)):
        return year(number)
    return cardinal(number)


def _digits(m: Match[str]) -> str:
    return ", ".join(" ".join(DIGITS[d] for d in run) for run in re.findall(r"\d+", m[0]))


def _last(m: Match[str]) -> str:
    before, after = m.string[m.start() - 1 : m.start()], m.string[m.end() : m.end() + 1]
    return (" " if before.isalpha() else "") + amount(m[0]) + (" " if after.isalpha() else "")


def _abbreviation(m: Match[str]) -> str:
    said, may_end = ABBREVIATIONS[m[0].lower()]
    if m[0][0].isupper() and may_end is None:
        said = said.capitalize()
    return said + ("." if may_end and _ends_sentence(m) else "")


Rule = tuple[re.Pattern[str], str | Callable[[Match[str]], str]]
_ABBREVIATION = re.compile(
    r"(?<![A-Za-z])(?:"
    + "|".join(sorted(map(re.escape, ABBREVIATIONS), key=len)[::-1])
    + r")(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_ROMAN = re.compile(r"(?<=World War )(I{1,3})\b")
_WITH_DIGITS: tuple[Rule, ...] = tuple(
    (re.compile(pattern), said)
    for pattern, said in (
        (r"(?<![\w.])\.(?=\d)", "0."),
        (r"(?<=\d),(?=\d{1,2}(?!\d)|\d{4})", ", "),
        (r"(?<![\d/-])(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?![\d/-])",
         lambda m: _date(m[1], m[2], m[3], m[0])),
        (r"(?<![\d/-])(\d{1,2})/(\d{1,2})/(\d{4})(?![\d/-])", _slashed_date),
        (rf"\b{_MONTH} {_DAY}(?:,? (\d{{4}}))?(?![\d:,-]|\.\d)", _month_day),
        (rf"(?<![\d.,:-])(the )?{_DAY} (?:of )?{_MONTH}(?:,? (\d{{4}})(?!\d))?", _day_month),
        (r"(?<![\w-])\+?(?:1[- ])?\(?\d{3}\)?[- ]\d{3}-\d{4}(?!\d)"
         r"|(?<![\w-])\d{3}-\d{4}(?![\w-])", _digits),
        (r"(?<![\d:.])([01]?\d|2[0-3]):([0-5]\d)(?::[0-5]\d)?"
         r"(?:\s?([AaPp])(?:\.[Mm]\.|[Mm]\b))?(?![\d:])", _time),
        (r"(?<![\d:.])(1[0-2]|[1-9])\s?([AaPp])(?:\.[Mm]\.|[Mm]\b)", _hour),
        (r"(?<=\d)\s?:\s?(?=\d)", " to "),
        (r"(?<=[A-Za-z])-(?=\d)", " "),
        (r"(?<=[\d%])\s?-\s?(?=[$€£]?\d[^=\n]{0,20}=)", " minus "),
        (r"(?<=\w) / (?=[$€£]?\d)", " divided by "),
        (r"(?<=\w) [*x×] (?=[$€£]?\d)", " times "),
        (r"(?<=[\d%MKmk])\s?-\s?(?=[$€£¥]?\d)", " to "),
        (r"(?<![\w)\]])-\s?(?=[\d$€£¥])", "minus "),
        (rf"(?:US|AU|CA|HK)?([$€£¥])\s?({NUMBER})(?:\s?({_SCALE})\b)?", _money),
        (rf"(?<![\w.,])()({NUMBER})\s?([€£])", lambda m: f"{amount(m[2])} {CURRENCIES[m[3]][0]}s"),
        (r"(?<![\d.,])(1[1-9]|20)(\d)0'?s\b", _decade),
        (r"'?(?<![\d.,])()([2-9])0'?s\b", _decade),
        (r"(?<![\d.,])(\d{1,12})(?:st|nd|rd|th|ST|ND|RD|TH)\b", lambda m: ordinal(int(m[1]))),
        (rf"(?<![\w.,])({NUMBER})[ -]?({_UNIT})(?![\w°])", _unit),
        (r"(?<![\w/])(\d{1,2}\.\d{1,2})/(?=(?:5|10|100)(?!\d))|(?<![\w./])(\d{1,3})/(?=(?:10|100)(?!\d))",
         lambda m: f"{m[1] or m[2]} out of "),
        (r"(?<![\w./])(\d{1,3})/(\d{1,3})(?![\w/]|\.\d)", _fraction),
        (r"(?<=\d)\s?[x×*]\s?(?=\d)", " times "),
        (r"\^2(?!\d)", " squared"),
        (r"\^3(?!\d)", " cubed"),
        (r"\^(?=-?\w)", " to the power of "),
        (r"(?<=\d)\s?/\s?(?=\d)", " divided by "),
        (r"\b[Nn]o\.\s?(?=\d)|#\s?(?=\d)", "number "),
        (r"~\s?(?=\d)", "about "),
        (r"(?<![\w.,$-])(?:1[1-9]|20)\d\d(?![\w.,%/-]|\s%)"
         r"|(?<![\w.,$-])(?:1[1-9]|20)\d\d(?=[.,-](?!\d))", _maybe_year),
        (r"\d{1,15}(?:\.\d{1,15}){2,8}",
         lambda m: " point ".join(amount(part) for part in m[0].split("."))),
        (NUMBER, _last),
    )
)  # fmt: skip
_SIGN_RULES: tuple[Rule, ...] = tuple(
    (re.compile(pattern), said)
    for pattern, said in (
        (r"\b([CF])#(?!\w)", r"\1 sharp"),
        (r"#(?=[A-Za-z])", "hashtag "),
        (r"(?<=[\w)])/(?=(?:month|year|hour|day|week|second|minute|person|kg|km|h|s)\b)", " per "),
        (r"(?<![\w)\]'-])-\s?(?=[a-zA-Z](?![\w'.-]))", "minus "),
        (r"(?<=\w) \* (?=\w)", " times "),
        (r"(?<=\s)<=?(?=\s)", "is less than"),
        (r"(?<=\s)>=?(?=\s)", "is greater than"),
        (r"(?<=\w)\s?<\s?(?=\d)", " is less than "),
        (r"(?<=\w)\s?>\s?(?=\d)", " is greater than "),
        (
            r"==?|[" + "".join(re.escape(sign) for sign in SIGNS) + "]",
            lambda m: f" {SIGNS[m[0][0]]} ",
        ),
    )
)
_DIGIT = re.compile(r"\d")
_SIGN = re.compile("[-#/<>*" + "".join(re.escape(sign) for sign in SIGNS) + "]")
_SPACES = re.compile(r"(?<! ) {2,}| +(?=[.,?!])")


def say(text: str) -> str:
    """``text``, its digits already 0-9, with words for everything that is not one."""
    if "." in text or "/" in text or "vs" in text:
        text = _ABBREVIATION.sub(_abbreviation, text)
    if "World War I" in text:
        text = _ROMAN.sub(lambda m: ("One", "Two", "Three")[len(m[1]) - 1], text)
    rules: tuple[Rule, ...] = ()
    if has_digits := _DIGIT.search(text) is not None:
        text = spell_long_runs(text, DIGITS, " ")
        rules = _WITH_DIGITS[:-1]
    if has_signs := _SIGN.search(text) is not None:
        rules += _SIGN_RULES
    if has_digits:
        rules += _WITH_DIGITS[-1:]
    for pattern, said in rules:
        text = pattern.sub(said, text)
    return (
        _SPACES.sub(
            lambda m: " " if m.end() < len(m.string) and m.string[m.end()] not in ".,?!" else "",
            text,
        )
        if has_digits or has_signs
        else text
    )
