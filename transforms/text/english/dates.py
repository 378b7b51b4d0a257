"""English dates, times of day, years and decades."""

import re
from re import Match

from transforms.text.english.numbers import cardinal, ordinal, year
from transforms.text.english.words import (
    MONTHS,
    NO_YEAR_BEFORE,
    NOT_A_YEAR_AFTER,
    YEAR_BEFORE,
)
from transforms.text.patterns import compiled, one_of

_MONTH = f"({one_of({*MONTHS, *(m[:3] for m in MONTHS), 'Sept'})})\\b\\.?"
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?:1[0-9]|20)\d\d"
_WORD_BEFORE = re.compile(r"([A-Za-z]+)[.,]? \(?$")
_WORD_AFTER = re.compile(r"[ -]([a-z]+)")
_NOT_PLURAL = frozenset("was is has its this as census olympics saw does series us thus".split())
_HALF_DAY = r"(?: ?([AaPp])(?:\.[Mm]\.|[Mm]\b))"


def _date(y: str, month: str, day: str, whole: str) -> str:
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return whole.replace("-", " ").replace("/", " ")
    return f"{MONTHS[int(month) - 1]} {ordinal(int(day))}, {year(int(y))}"


def _iso_date(m: Match[str]) -> str:
    return _date(m[1], m[2], m[3], m[0]) + (" at " if m[4] else "")


def _slashed_date(m: Match[str]) -> str:
    month, day = (m[1], m[2]) if int(m[1]) <= 12 else (m[2], m[1])  # American unless impossible
    return _date(m[3], month, day, m[0])


def _month_name(short: str) -> str:
    return next(name for name in MONTHS if name.startswith(short[:3]))


def _month_days(m: Match[str]) -> str:
    if not (1 <= int(m[2]) <= 31 and 1 <= int(m[3]) <= 31):
        return m[0]
    said = f"{_month_name(m[1])} {ordinal(int(m[2]))} to {ordinal(int(m[3]))}"
    return said + (f", {year(int(m[4]))}" if m[4] else "")


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
    if minute == "00" and not int(m[3] or 0):
        said += "" if m[4] else " o'clock" if 1 <= hour <= 12 else " hundred"
    else:
        said += " oh " + cardinal(int(minute)) if minute[0] == "0" else " " + cardinal(int(minute))
    if m[3] and int(m[3]):
        said += f" and {cardinal(int(m[3]))} second" + ("" if int(m[3]) == 1 else "s")
    return said + half_day(m, m[4])


def _hour(m: Match[str]) -> str:
    return cardinal(int(m[1])) + half_day(m, m[2])


def half_day(m: Match[str], letter: str | None) -> str:
    """The AM or PM of a time, with the period that ends the sentence too."""
    period = "." if m[0].endswith(".") and ends_sentence(m) else ""
    return f" {letter.upper()}M{period}" if letter else ""


def ends_sentence(m: Match[str]) -> bool:
    """Whether the sentence ends after this match, by what follows it."""
    after = m.string[m.end() : m.end() + 3]
    return not after.strip(" \"')") or after[0] == "\n" or after.lstrip(" \"')")[:1].isupper()


def _decade(m: Match[str]) -> str:
    tens = {"0": "hundreds", "1": "tens"}.get(m[2], cardinal(int(m[2] + "0"))[:-1] + "ies")
    if m[1] == "20" and m[2] == "0":
        return "two thousands"
    return f"{cardinal(int(m[1]))} {tens}" if m[1] else tens


def _counts_things(text: str, end: int) -> bool:
    after = _WORD_AFTER.match(text[end : end + 16])
    if after is None:
        return False
    return after[1] in NOT_A_YEAR_AFTER or (
        len(after[1]) > 3 and after[1].endswith("s") and after[1] not in _NOT_PLURAL
    )


def _cue(text: str, start: int) -> str:
    before = _WORD_BEFORE.search(text[max(0, start - 14) : start])
    return before[1].lower() if before else ""


def _is_year(number: int, text: str, start: int, end: int) -> bool:
    """In doubt 1800 to 2099 are years; below it takes a word such as "in" before them."""
    cue = _cue(text, start)
    after = _WORD_AFTER.match(text[end : end + 16])
    if after is not None and after[1] in NOT_A_YEAR_AFTER:
        return False
    if cue in YEAR_BEFORE and number >= 1100:
        return True
    return number >= 1800 and cue not in NO_YEAR_BEFORE and not _counts_things(text, end)


def _years(m: Match[str]) -> str:
    """Two years joined by a word are read alike: "between 1368 and 1644"."""
    first, second = int(m[1]), int(m[3])
    joined = " to " if m[2].strip() in ("-", "to") else m[2]
    cue = _cue(m.string, m.start())
    opens = m.string[m.start() - 1 : m.start()] == "("
    both = not _counts_things(m.string, m.end()) and (
        cue in YEAR_BEFORE or opens or (first >= 1800 and cue not in NO_YEAR_BEFORE)
    )
    if not both or first > second:
        return f"{cardinal(first)}{joined}{cardinal(second)}"
    return f"{year(first)}{joined}{year(second)}"


def _maybe_year(m: Match[str]) -> str:
    number = int(m[0])
    return year(number) if _is_year(number, m.string, m.start(), m.end()) else cardinal(number)


def _month_year(m: Match[str]) -> str:
    return f"{MONTHS[int(m[1]) - 1]} {year(int(m[2]))}"


DATES = compiled((
    (r"(?<![\d/-])(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:(T)(?=\d\d:)|(?![\d/-]))", _iso_date),
    (r"(?<![\d/-])(\d{1,2})/(\d{1,2})/(\d{4})(?![\d/-])", _slashed_date),
    (r"(?<![\d/.-])(0?[1-9]|1[0-2])/((?:19|20)\d\d)(?![\d/])", _month_year),
    (rf"\b{_MONTH} {_DAY} ?(?:-|to) ?{_DAY}(?![\d:,.-]*\d)(?:,? (\d{{4}})(?!\d))?", _month_days),
    (rf"\b{_MONTH} {_DAY}(?:,? (\d{{4}}))?(?![\d:-]|[,.]\d)", _month_day),
    (rf"(?<![\d.,:-])(the )?{_DAY} (?:of )?{_MONTH}(?:,? (\d{{4}})(?!\d))?", _day_month),
))  # fmt: skip

TIMES = compiled((
    (r"(?<![\d:.])((?:1[0-2]|[1-9])(?::[0-5]\d)?) ?(?:-|to) ?"
     r"(?=(?:1[0-2]|[1-9])(?::[0-5]\d)? ?[AaPp]\.?[Mm]\b)", r"\1 to "),
    (rf"(?<![\d:.])([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:Z\b)?)?{_HALF_DAY}?(?![\d:])", _time),
    (rf"(?<![\d:.])(1[0-2]|[1-9]){_HALF_DAY}", _hour),
))  # fmt: skip

DECADES = compiled((
    (r"(?<![\d.,])(1[1-9]|20)(\d)0'?s\b", _decade),
    (r"'?(?<![\d.,])()([2-9])0'?s\b", _decade),
))  # fmt: skip

YEARS = compiled((
    (rf"(?<![\w.,$/:^-])({_YEAR})( ?- ?| to | and | or )({_YEAR})(?![\w%/:^-]|[.,]\d| ?[%=+*×])",
     _years),
    (rf"(?<![\w.,$^-]){_YEAR}(?![\w.,%/^-]| ?%)|(?<![\w.,$^-]){_YEAR}(?=[.,-](?!\d))", _maybe_year),
))  # fmt: skip
