"""How German says numbers, dates, times, money, units, signs and abbreviations."""

import re
from re import Match

from transforms.text.digits import spell_long_runs
from transforms.text.german.numbers import DIGITS, amount, cardinal, one, ordinal, parts, year
from transforms.text.german.words import (
    ABBREVIATIONS,
    CURRENCIES,
    FEMININE_ENDINGS,
    MAY_END,
    MONTH_SHORT,
    MONTHS,
    SCALES,
    SIGNS,
    TAKES_N,
    UNITS,
)
from transforms.text.patterns import apply, compiled, one_of, tidy

NUMBER = r"(?:\d{1,3}(?:\.\d{3}){1,4}(?!\d)(?:,\d{1,15})?|\d{1,15}(?:[.,]\d{1,15})?)"
_MONTH = one_of(MONTHS)
_UNIT = one_of(UNITS)
_MONEY = one_of(CURRENCIES)
_SCALE = one_of(SCALES)
_ROMAN = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7, "VIII": 8, "IX": 9,
          "X": 10, "XI": 11, "XII": 12, "XIII": 13, "XIV": 14, "XV": 15, "XVI": 16}  # fmt: skip
_DATE_BEFORE = frozenset("am vom bis zum ab seit den".split())
_WORD_BEFORE = re.compile(r"([A-Za-zÄÖÜäöüß]+) $")


def _before(m: Match[str]) -> str:
    found = _WORD_BEFORE.search(m.string[max(0, m.start() - 14) : m.start()])
    return found[1].lower() if found else ""


def _nth(number: int, m: Match[str]) -> str:
    return ordinal(number) + ("n" if _before(m) in TAKES_N else "")


def _date(day: int, month: int, y: str | None, m: Match[str]) -> str:
    said = f"{_nth(day, m)} {MONTHS[month - 1]}"
    if not y:
        return said
    return f"{said} {year(int(y)) if len(y) == 4 else cardinal(int(y))}"


def _dotted(m: Match[str]) -> str:
    day, month = int(m[1]), int(m[2])
    if not (1 <= day <= 31 and 1 <= month <= 12) or not (m[3] or _before(m) in _DATE_BEFORE):
        return m[0]
    return _date(day, month, m[3], m)


def _iso(m: Match[str]) -> str:
    day, month = int(m[3]), int(m[2])
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return m[0].replace("-", " ")
    return _date(day, month, m[1], m)


def _named(m: Match[str]) -> str:
    if not 1 <= int(m[1]) <= 31:
        return m[0]
    return _date(int(m[1]), MONTHS.index(m[2]) + 1, m[3], m)


def _time(m: Match[str]) -> str:
    hour, minute = int(m[1]), int(m[2])
    said = ("ein" if hour == 1 else cardinal(hour)) + " Uhr"
    said += f" {cardinal(minute)}" if minute else ""
    if m[3] and int(m[3]):
        said += f" und {cardinal(int(m[3]))} Sekunden"
    return said


def _hour(m: Match[str]) -> str:
    return ("ein" if int(m[1]) == 1 else cardinal(int(m[1]))) + " Uhr"


def _money(written: str, scale: str | None, name: str) -> str:
    single, many = CURRENCIES[name]
    whole, decimals = parts(written)
    if scale:
        return f"{_scaled(written, scale)} {many}"
    if len(decimals) == 2:
        said = (
            f"{'ein' if whole == '1' else cardinal(int(whole))} {single if whole == '1' else many}"
        )
        return said + (f" {cardinal(int(decimals))}" if int(decimals) else "")
    return f"{'ein' if written == '1' else amount(written)} {single if written == '1' else many}"


def _scaled(written: str, scale: str) -> str:
    single, many = SCALES[scale]
    if written == "1":
        return f"{one(single != 'tausend')} {single}"
    return f"{amount(written)} {many}"


def _unit(m: Match[str]) -> str:
    single, many, feminine = UNITS[m[2]]
    if m[1] == "1":
        return f"{one(feminine)} {single}"
    return f"{amount(m[1])} {many}"


def _unit_range(m: Match[str]) -> str:
    return f"{amount(m[1])} bis {amount(m[2])} {UNITS[m[3]][1]}"


def _fraction(m: Match[str]) -> str:
    top, bottom = int(m[1]), int(m[2])
    if not 0 < top < bottom <= 20:
        return f"{cardinal(top)} durch {cardinal(bottom)}"
    if bottom == 2:
        return "ein halb"
    part = ordinal(bottom).removesuffix("te").capitalize() + "tel"
    return f"{'ein' if top == 1 else cardinal(top)} {part}"


def _decade(m: Match[str]) -> str:
    number = int(m[1])
    return (year(number) if number > 100 else cardinal(number)) + "er"


def _ordinal(m: Match[str]) -> str:
    return _nth(int(m[1]), m)


def _regnal(m: Match[str]) -> str:
    return f"{m[1]} der {ordinal(_ROMAN[m[2]]).capitalize()}"


def _maybe_year(m: Match[str]) -> str:
    return year(int(m[0])) if int(m[0]) >= 1100 else cardinal(int(m[0]))


def _phone(m: Match[str]) -> str:
    plus = "plus " if m[0].startswith("+") else ""
    return plus + ", ".join(" ".join(DIGITS[d] for d in run) for run in re.findall(r"\d+", m[0]))


def _last(m: Match[str]) -> str:
    before, after = m.string[m.start() - 1 : m.start()], m.string[m.end() : m.end() + 1]
    return (" " if before.isalpha() else "") + amount(m[0]) + (" " if after.isalpha() else "")


def _abbreviation(m: Match[str]) -> str:
    after = m.string[m.end() : m.end() + 2]
    ends = not after.strip() or (after[0] == " " and after[1:].isupper())
    return ABBREVIATIONS[m[0]] + ("." if ends and m[0] in MAY_END else "")


_WITH_DIGITS = compiled((
    (r"(?<![\w.,])[,.](?=\d)", "0,"),
    (r"(?<=\d),(?=\d{1,15},)", ", "),
    (r"(?<![\d.])(\d{1,2})\. ?(\d{1,2})\. ?(\d{4}|\d{2})?(?![\d.]*\d)", _dotted),
    (r"(?<![\d-])(\d{4})-(\d{2})-(\d{2})(?![\d-])", _iso),
    (rf"(?<![\d.])(\d{{1,2}})\. ?({_MONTH})(?: (\d{{4}})(?!\d))?", _named),
    (r"(?<!\w)\+\d{1,3}(?:[ -]\d{2,8}){1,4}(?!\d)"
     r"|(?<![\d.,])0\d{2,4}[ /-]{1,3}\d{3,8}(?: \d{2,4})?(?!\d)",
     _phone),
    # 1.234.567.890 is a number: an address has a group that is not of three digits.
    (r"(?<![\d.])(?!\d{1,3}(?:\.\d{3}){3})(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)",
     lambda m: " Punkt ".join(cardinal(int(part)) for part in m[0].split("."))),
    (r"\b(Version|Python|Java|Android|iOS|HTML) (\d{1,4}(?:\.\d{1,4}){1,3})",
     lambda m: f"{m[1]} " + " Punkt ".join(cardinal(int(part)) for part in m[2].split("."))),
    (r"(?<![\d:.])([01]?\d|2[0-4])[:.]([0-5]\d)(?::([0-5]\d))? Uhr\b", _time),
    (r"(?<![\d:.])([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?(?![\d:])", _time),
    (r"(?<![\d:.,])(\d{1,2}) Uhr\b", _hour),
    (r"(?<=\d)(?::| : )(?=\d)", " zu "),
    (r"(?<=[A-Za-zÄÖÜäöü])-(?=\d)", " "),
    (r"(?<=[\d%]) ?- ?(?=\d[^=\n]{0,20}=)", " minus "),
    (rf"({NUMBER})(?: ({_SCALE}))? ?({_MONEY})(?!\w)", lambda m: _money(m[1], m[2], m[3])),
    (rf"([€$£]) ?({NUMBER})(?: ({_SCALE}))?", lambda m: _money(m[2], m[3], m[1])),
    (rf"(?<![\w.,])({NUMBER}) ({_SCALE})(?!\w)", lambda m: _scaled(m[1], m[2])),
    (rf"(?<![\w.,])({NUMBER}) ?(?:-|bis) ?({NUMBER}) ?({_UNIT})(?!\w)", _unit_range),
    (r"(?<=[\d%]) ?- ?(?=\d)", " bis "),
    (r"(?:(?<![\w)\]])-|(?<=[=(,] )- )(?=[\d€$])", "minus "),
    (rf"(?<![\w.,])({NUMBER}) ?({_UNIT})(?![\w°])", _unit),
    (r"(?<![\d.,])((?:1[1-9]|20)?[1-9]0)er\b", _decade),
    (r"(?<![\w./])(\d{1,3})/(\d{1,3})(?![\w/])", _fraction),
    (r"(?<=\d) ?[x×*] ?(?=\d)", " mal "),
    (r"√ ?(?=[\dA-Za-z])", "Wurzel aus "),
    (r"\^2(?!\d)", " Quadrat"),
    (r"\^3(?!\d)", " hoch drei"),
    (r"\^(?=-?\w)", " hoch "),
    (r"(?<=hoch )-(?=\w)", "minus "),
    (r"(?<=\d) ?/ ?(?=\d)", " geteilt durch "),
    (r"# ?(?=\d)", "Nummer "),
    (r"~ ?(?=\d)", "ungefähr "),
    (r"(?<![\d.,])(\d{1,4})\.(?= [a-zäöü]| (?:Platz|Jahrhundert|Klasse|Geburtstag|Weltkrieg|Stock|"
     r"Mal|Tag|Woche|Monat|Schritt|Kapitel|Teil|Etage|Jahr)\b)", _ordinal),
    (r"(?<![\w.,/])(?:1[1-9]|20)\d\d(?![\w%/]|[.,]\d)", _maybe_year),
    (r"(?<![\w.,/-])1 (?=([A-ZÄÖÜ][a-zäöüß]{2,40}))",
     lambda m: one(m[1].endswith(FEMININE_ENDINGS)) + " "),
    (NUMBER, _last),
))  # fmt: skip
_ABBREVIATION = compiled((
    (rf"(?<![\wÄÖÜäöü.]){one_of(ABBREVIATIONS)}",
     _abbreviation),
    (rf"(?<!\w){one_of(MONTH_SHORT)}(?= \d)", lambda m: MONTH_SHORT[m[0]]),
))  # fmt: skip
_SIGN_RULES = compiled((
    (r"\b([CF])#(?!\w)", r"\1 Sharp"),
    (r"#(?=[A-Za-zÄÖÜäöü])", "Hashtag "),
    (r" ?(?:-{1,2}|=)> ?", " zu "),
    (r"(?<=\s)<(?=\s)", "ist kleiner als"),
    (r"(?<=\s)>(?=\s)", "ist größer als"),
    (r"(?<=\w) ?< ?(?=\w)", " ist kleiner als "),
    (r"(?<=\w) ?> ?(?=\w)", " ist größer als "),
    (r"(?<=\w) \* (?=\w)", " mal "),
    ("==?|[" + "".join(re.escape(sign) for sign in SIGNS) + "]", lambda m: f" {SIGNS[m[0][0]]} "),
))  # fmt: skip
_REGNAL = compiled((
    (r"\b([A-ZÄÖÜ][a-zäöüß]{2,20}) (III|II|IV|IX|VIII|VII|VI|V|XIII|XIV|XVI|XV|XII|XI|X|I)\."
     r"(?= ?[a-zäöü,?!]|$)", _regnal),
    (r"\bWeltkriegs? (II|I)\b", lambda m: m[0].replace(m[1], cardinal(_ROMAN[m[1]]).capitalize())),
    (r"\b(II|III|IV|VI|VII|VIII|IX)\b\.?(?= Weltkrieg)",
     lambda m: ordinal(_ROMAN[m[1]]).capitalize()),
))  # fmt: skip
_SIGN = re.compile("[-#/<>*" + "".join(re.escape(sign) for sign in SIGNS) + "]")
_DIGIT = re.compile(r"\d")


def say(written: str) -> str:
    """``written``, its digits already 0-9, with words for everything that is not one."""
    text = written
    if "." in text:
        text = apply(_REGNAL, text)
        text = apply(_ABBREVIATION, text)
    has_digits = _DIGIT.search(text) is not None
    has_signs = _SIGN.search(text) is not None
    if has_digits:
        text = apply(_WITH_DIGITS, spell_long_runs(text, DIGITS, " "))
    if has_signs:
        text = apply(_SIGN_RULES, text)
    if not has_digits and not has_signs:
        return text
    return tidy(text, written)
