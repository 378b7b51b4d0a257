"""How English says what is written: the order of its rules."""

import re
from re import Match

from transforms.text.digits import NUMBER, TERM_MINUS, spell_long_runs
from transforms.text.english.amounts import CODES, MONEY, UNITS_AND_PARTS
from transforms.text.english.dates import DATES, DECADES, TIMES, YEARS
from transforms.text.english.numbers import DIGITS, amount
from transforms.text.english.signs import SIGN, SIGN_RULES, abbreviations
from transforms.text.patterns import apply, compiled, tidy


def _last(m: Match[str]) -> str:
    before, after = m.string[m.start() - 1 : m.start()], m.string[m.end() : m.end() + 1]
    return (" " if before.isalpha() else "") + amount(m[0]) + (" " if after.isalpha() else "")


def _dash(m: Match[str]) -> str:
    """10 - 3 is a subtraction in a sum, or after a word such as "solve"; else a range."""
    before, after = m.string[max(0, m.start() - 50) : m.start()], m.string[m.end() : m.end() + 30]
    sums = _SUM_AFTER.match(after) or (m[1] and (_SUM_BEFORE.search(before) or _SUM.search(before)))
    return " minus " if sums else m[0]


_SUM_AFTER = re.compile(
    r"[$€£(]?[\d.,]{1,12}[^=\n\d,;]{0,8}=|[\d.,]{1,12} [x×*+/÷] \(?\d|[\d.]{1,12} - \d"
)
_SUM_BEFORE = re.compile(r"[\d)] ?[x×*+/÷=] ?[\d.,]{1,12}$")
_SUM = re.compile(
    r"\b(?:[Ss]olve|[Cc]alculate|[Cc]ompute|[Ee]valuate|[Ss]implify|[Ee]quation|[Ee]xpression|[Pp]roblem|"
    r"[Ss]ubtract|[Ww]hat is)\b[^\n.]{0,40}$"
)
_LOOSE = compiled((
    (r"(?<=[A-Za-z)] )x(?=\d{1,3}\b)", "times "),
    (r"(?<![\w.])\.(?=\d)", "0."),
    (r"(?<=\d),(?=\d{1,2}(?!\d)|\d{4})", ", "),
))  # fmt: skip
_BETWEEN = compiled((
    (r"(?<![\d.,$€£¥])(\d[\d.,]{0,12}) ?- (?=[$€£¥])", r"\1, "),
    (r"(?<=\d)(?::| : )(?=\d)", " to "),
    (TERM_MINUS, " minus "),
    (r"(?<=[A-Za-z])-(?=\d)", " "),
    (r"(?<=[\d%)])( ?)- ?(?=[$€£(]?\d)", _dash),
    (r"(?<=\w) / (?=[$€£]?\d)", " divided by "),
    (r"(?<=\w) [*x×] (?=[$€£]?\d)", " times "),
))  # fmt: skip
_RANGES = compiled((
    (r"(?<=\d0s) ?- ?(?=[12]\d{2}0s)", " to "),
    (r"(?<=[\d%MKmk])(?:°[CF]?)? ?- ?(?=[$€£¥]?\d)", " to "),
    (r"(?:(?<![\w)\]])-|(?<=[=(,] )- )(?=[\d$€£¥])", "minus "),
))  # fmt: skip
_MATHS = compiled((
    (r"(?<=\d)[xX](?= (?:faster|slower|more|less|better|larger|bigger|the|as)\b)", " times"),
    (r"(?<=\d)x(?=\d{1,5}(?!\d*\.?\d* ?=))", " by "),
    (r"(?<=\d) ?[x×*] ?(?=\d)", " times "),
    (r"√ ?(?=[\dA-Za-z])", " the square root of "),
    (r"\^2(?!\d)", " squared"),
    (r"\^3(?!\d)", " cubed"),
    (r"\^(?=-?\w)", " to the power of "),
    (r"(?<=power of )-(?=\w)", "minus "),
    (r"(?<=\d) ?/ ?(?=\d)", " divided by "),
    (r"# ?(?=\d)", "number "),
    (r"~ ?(?=\d)", "about "),
))  # fmt: skip
_PLAIN = compiled((
    (r"\d{1,15}(?:\.\d{1,15}){2,8}",
     lambda m: " point ".join(amount(part) for part in m[0].split("."))),
    (NUMBER, _last),
))  # fmt: skip
_WITH_DIGITS = (
    *_LOOSE, *DATES, *CODES, *TIMES, *YEARS[:1], *_BETWEEN, *MONEY, *_RANGES, *DECADES,
    *UNITS_AND_PARTS, *_MATHS, *YEARS[1:],
)  # fmt: skip
_DIGIT = re.compile(r"\d")


def say(written: str) -> str:
    """``written``, its digits already 0-9, with words for everything that is not one."""
    text = abbreviations(written)
    has_digits = _DIGIT.search(text) is not None
    has_signs = SIGN.search(text) is not None
    if not has_digits and not has_signs:
        return text
    if has_digits:
        text = apply(_WITH_DIGITS, spell_long_runs(text, DIGITS, " "))
    if has_signs:
        text = apply(SIGN_RULES, text)
    if has_digits:
        text = apply(_PLAIN, text)
    return tidy(text, written)
