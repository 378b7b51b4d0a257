"""English money, units, fractions, versions and codes: numbers with something at their side."""

import re
from re import Match

from transforms.text.digits import NUMBER
from transforms.text.english.numbers import DIGITS, amount, cardinal, ordinal
from transforms.text.english.words import (
    CURRENCIES,
    CURRENCY_CODES,
    SCALES,
    UNITS,
    VERSIONED,
)
from transforms.text.patterns import compiled, one_of

_UNIT = one_of(UNITS)
_SCALE = one_of(SCALES)
_SIGN = "[" + "".join(CURRENCIES) + "]"
_CODE = one_of(CURRENCY_CODES)
_CHINA = re.compile(r"\b(?:China|Chinese|RMB|CNY|yuan|Beijing|Shanghai)\b")


def _is_one(written: str) -> bool:
    return written in ("1", "1.0", "1.00")


def _currency(sign: str, text: str) -> tuple[str, str, str, str]:
    return CURRENCIES["￥" if sign == "¥" and _CHINA.search(text) else sign]


def _money(m: Match[str]) -> str:
    one, many, cent, cents = _currency(m[1], m.string)
    written, scale = m[2], m[3]
    whole, _, decimals = written.partition(".")
    if scale:
        return f"{amount(written)} {SCALES[scale]} {many}"
    if len(decimals) != 2 or not cent:
        return f"{amount(written)} {one if _is_one(written) else many}"
    small = int(decimals)
    parts = []
    if int(whole.replace(",", "")) or not small:
        parts.append(f"{amount(whole)} {one if _is_one(whole) else many}")
    if small:
        parts.append(f"{cardinal(small)} {cent if small == 1 else cents}")
    return " and ".join(parts)


def _money_range(m: Match[str]) -> str:
    many = _currency(m[1], m.string)[1]
    scales = [f" {SCALES[scale]}" if scale else "" for scale in (m[3], m[5])]
    return f"{amount(m[2])}{scales[0]} to {amount(m[4])}{scales[1]} {many}"


def _money_after(m: Match[str]) -> str:
    one, many, _, _ = CURRENCIES[m[2]]
    return f"{amount(m[1])} {one if _is_one(m[1]) else many}"


def _coded(written: str, code: str, scale: str | None) -> str:
    one, many = CURRENCY_CODES[code]
    if scale:
        return f"{amount(written)} {SCALES[scale]} {many}"
    return f"{amount(written)} {one if _is_one(written) else many}"


def _unit(m: Match[str]) -> str:
    one, many = UNITS[m[2]]
    single = m[1] == "1" or m.string[max(0, m.start() - 3) : m.start()] in (
        " a ",
        "\na ",
        "A ",
        "a ",
    )
    return f"{amount(m[1])} {one if single else many}"  # "a 5 km run" is "a five kilometer run"


def _unit_range(m: Match[str]) -> str:
    return f"{amount(m[1])} to {amount(m[2])} {UNITS[m[3]][1]}"


def _feet(m: Match[str]) -> str:
    feet = f"{cardinal(int(m[1]))} {'foot' if m[1] == '1' else 'feet'}"
    if not m[2]:
        return feet
    return f"{feet} {cardinal(int(m[2]))} {'inch' if m[2] == '1' else 'inches'}"


def fraction(top: int, bottom: int) -> str:
    """2, 3 -> two thirds; what is no common fraction is "over"."""
    if not 0 < top < bottom <= 20:
        return f"{cardinal(top)} over {cardinal(bottom)}"
    part = {2: "half", 4: "quarter"}.get(bottom, ordinal(bottom))
    plural = "halves" if part == "half" else part + "s"
    return f"{cardinal(top)} {plural if top > 1 else part}"


def _fraction(m: Match[str]) -> str:
    return fraction(int(m[1]), int(m[2]))


def _mixed(m: Match[str]) -> str:
    if not int(m[2]) < int(m[3]) <= 20:
        return m[0]
    return f"{cardinal(int(m[1]))} and {fraction(int(m[2]), int(m[3]))}"


def _part_of_unit(m: Match[str]) -> str:
    top, bottom = int(m[2]), int(m[3])
    if not 0 < top < bottom <= 20:
        return m[0]
    one, many = UNITS[m[4]]
    if m[1]:
        return f"{cardinal(int(m[1]))} and {fraction(top, bottom)} {many}"
    return f"{fraction(top, bottom)} {one}"


def digits(m: Match[str]) -> str:
    """A telephone number: digit by digit, a pause between its groups."""
    plus = "plus " if m[0].startswith("+") else ""
    return plus + ", ".join(" ".join(DIGITS[d] for d in run) for run in re.findall(r"\d+", m[0]))


def _address(m: Match[str]) -> str:
    return " dot ".join(cardinal(int(part)) for part in m[0].split("."))


def _version(m: Match[str]) -> str:
    name = "version " if m[1] in ("v", "V") else m[1] + m[2]
    return name + " point ".join(amount(part) for part in m[3].split("."))


def _scientific(m: Match[str]) -> str:
    sign = "minus " if m[2] == "-" else ""
    return f"{amount(m[1])} times ten to the power of {sign}{cardinal(int(m[3]))}"


CODES = compiled((
    # +1 (555) 123-4567, 1-800-555-0199, 555.123.4567, 555-1234; +44 20 7946 0958
    (r"(?<![\w-])(?:\+?1[- .])?(?:\(\d{3}\) ?|\d{3}[- .])\d{3}[-. ]\d{4}(?![\w-])"
     r"|(?<![\w-])\d{3}-\d{4}(?![\w-])"
     r"|(?<!\w)\+\d{1,3}(?:[- ]\d{2,5}){2,4}(?![\w-])", digits),
    (r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.]*\d)",
     _address),
    (rf"\b({one_of(VERSIONED)})( )(\d{{1,4}}(?:\.\d{{1,4}}){{1,4}})(?![\d.]*\d)", _version),
    (r"\b([vV])()(\d{1,4}(?:\.\d{1,4}){0,4})(?![\w.]*\d)", _version),
    (r"(?<![\w.])(\d{1,9}(?:\.\d{1,9})?)[eE]([-+]?)(\d{1,3})(?![\w.]*\d)", _scientific),
))  # fmt: skip

MONEY = compiled((
    (rf"(?:US|AU|CA|HK|NZ)?({_SIGN}) ?({NUMBER})(?: ?({_SCALE})\b)? ?(?:-|to) ?{_SIGN}? ?"
     rf"({NUMBER})(?: ?({_SCALE})\b)?(?![^=\n]{{0,20}}=)", _money_range),
    (rf"(?:US|AU|CA|HK|NZ)?({_SIGN}) ?({NUMBER})(?: ?({_SCALE})\b)?", _money),
    (rf"(?<![\w.,])({NUMBER}) ?([€£₹])", _money_after),
    (rf"(?<![\w.,])({NUMBER})(?: ?({_SCALE}))? ?({_CODE})\b", lambda m: _coded(m[1], m[3], m[2])),
    (rf"\b({_CODE}) ?({NUMBER})(?: ?({_SCALE})\b)?", lambda m: _coded(m[2], m[1], m[3])),
    (r"(?<![\w.,])(\d{1,6}) ?¢", lambda m: f"{amount(m[1])} cent{'' if m[1] == '1' else 's'}"),
))  # fmt: skip

UNITS_AND_PARTS = compiled((
    (r"(?<![\d.,])(\d{1,12})(?:st|nd|rd|th|ST|ND|RD|TH)\b", lambda m: ordinal(int(m[1]))),
    (r"(?<![\w.,])(\d)'(?:(1[01]|\d)\")?(?![\w'])", _feet),
    (r"(?<![\w.,])(\d{1,3}) ?ft\.? (1[01]|\d) ?in\b\.?", _feet),
    (rf"(?<![\w./,-])(?:(\d{{1,3}})(?: and)?[ -])?(\d{{1,2}})/(\d{{1,2}})[ -]?({_UNIT})(?![\w°])",
     _part_of_unit),
    (rf"(?<![\w.,])({NUMBER}) to ({NUMBER})[ -]?({_UNIT})(?![\w°])", _unit_range),
    (rf"(?<![\w.,/])({NUMBER})[ -]?({_UNIT})(?![\w°])", _unit),
    (r"(?<![\w.,])(\d{1,9}(?:\.\d{1,2})?)k\b", lambda m: amount(m[1]) + " thousand"),
    (r"(?<![\w.,])(\d{1,9}(?:\.\d{1,2})?)M\b", lambda m: amount(m[1]) + " million"),
    (r"(?<![\w.,])(\d{1,9}(?:\.\d{1,2})?)(?:B|bn)\b", lambda m: amount(m[1]) + " billion"),
    (r"(?<![\w/])(\d{1,2}\.\d{1,2})/(?=(?:5|10|100)(?!\d))"
     r"|(?<![\w./])(\d{1,3})/(?=(?:10|100)(?!\d))", lambda m: f"{m[1] or m[2]} out of "),
    (r"(?<![\w./,-])(\d{1,3}) (\d{1,2})/(\d{1,2})(?![\w/]|\.\d)", _mixed),
    (r"(?<![\w./])(\d{1,3})/(\d{1,3})(?![\w/]|\.\d)", _fraction),
))  # fmt: skip
