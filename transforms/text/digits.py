"""Digits of every script as 0-9, and the spelling of runs that are no numbers."""

import re
import unicodedata

MAX_DIGITS = 15  # a longer run is a code, not a quantity: it is read digit by digit
NUMBER = (
    rf"(?:\d{{1,3}}(?:,\d{{3}}){{1,4}}(?!\d)(?:\.\d{{1,{MAX_DIGITS}}})?"
    rf"|\d{{1,{MAX_DIGITS}}}(?:\.\d{{1,{MAX_DIGITS}}})?)"
)
# 3x - 10, x^2 - 4, 2x - y; and x - 5 = 2: a dash after a term of algebra is a minus.
TERM_MINUS = (
    r"(?:(?<=\d[abnxyz])|(?<=\^\d)) [-–−] (?=\d|[a-z]\b)"
    r"|(?<=\b[b-z]) [-–−] (?=\d[\d.]{0,8} ?=)"
)
_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_POWER = re.compile(f"[⁺⁻]?[{_SUPERSCRIPTS}]+")
_FRACTION_SIGNS = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5",
    "⅗": "3/5", "⅘": "4/5", "⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8",
}  # fmt: skip
_FRACTION_SIGN = re.compile(f"(\\d?) ?([{''.join(_FRACTION_SIGNS)}])")
_LONG_RUN = re.compile(rf"\d{{{MAX_DIGITS + 1},}}")


def plain_digits(text: str) -> str:
    """``text`` with every digit as 0-9: full-width, Arabic and circled ones; x² becomes x^2."""
    if text.isascii():
        return text
    text = _FRACTION_SIGN.sub(
        lambda m: (f"{m[1]} & " if m[1] else "") + _FRACTION_SIGNS[m[2]], text
    )
    text = _POWER.sub(lambda m: "^" + m[0].replace("⁻", "-").replace("⁺", ""), text)
    table = {
        ord(char): str(unicodedata.digit(char))
        for char in set(text)
        if not char.isascii() and char.isdigit()
    }
    return text.translate(table) if table else text


def spell_long_runs(text: str, names: dict[str, str], joiner: str) -> str:
    """Runs above `MAX_DIGITS` digit by digit, so that every later rule has a bounded run."""
    return _LONG_RUN.sub(lambda m: f" {joiner.join(names[d] for d in m[0])} ", text)
