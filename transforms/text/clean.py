"""Unicode hygiene: one spelling of each character, and none that no voice can see."""

import re
import sys
import unicodedata
from functools import cache

from transforms.text.language import is_known, language

HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")

_EMOJI = (
    *range(0x1F000, 0x1FB00),
    *range(0x2600, 0x27C0),
    *range(0x2B00, 0x2C00),
    *range(0x2300, 0x2400),
    *range(0xFE00, 0xFE10),  # variation selectors
    *range(0xE0100, 0xE01F0),
    0x20E3,  # keycap
    0x00A9,
    0x00AE,
    0x2122,
)
_KEPT_SIGNS = frozenset("⌈⌉⌊⌋❤➕➖➗✕✖")  # signs with a meaning: said, or reported by the check
_PICTURES = frozenset((*range(0x1F000, 0x1FB00), *range(0x2600, 0x27C0), *range(0x2B00, 0x2C00)))
_PLAIN = str.maketrans(
    {
        "“": '"', "”": '"', "„": '"', "‟": '"', "«": '"', "»": '"', "＂": '"', "″": '"',
        "‘": "'", "’": "'", "‚": "'", "‛": "'", "´": "'", "′": "'",
        "‐": "-", "‑": "-", "‒": "-", "–": "-", "−": "-", "—": " - ", "―": " - ",
        "…": "...", "⁄": "/", "∕": "/",
    }
)  # fmt: skip
_LETTERS = str.maketrans(
    {
        "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O",
        "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th",
        "ı": "i", "ħ": "h", "Ħ": "H", "¿": "", "¡": "",
    }
)  # fmt: skip
_LATIN_APOSTROPHE = re.compile(r"(?<=[A-Za-z])’(?=[A-Za-z])")
_TERMINAL = re.compile(r"\x1b\[[0-9;?]{0,16}[A-Za-z]")  # colors and cursor moves, ECMA-48
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@cache
def _dropped() -> dict[int, str | None]:
    """Code points that are removed, and spaces that become the plain one."""
    table: dict[int, str | None] = {}
    for code in range(sys.maxunicode + 1):
        char = chr(code)
        category = unicodedata.category(char)
        if char in "\n\t":
            continue
        if category in ("Cc", "Cf", "Cs", "Co"):
            table[code] = None
        elif category == "Zs":
            table[code] = " "
        elif category in ("Zl", "Zp"):
            table[code] = "\n"
    table.update(dict.fromkeys(_EMOJI))
    for char in _KEPT_SIGNS:
        table.pop(ord(char), None)
    return table


def clean(text: str, lang: str = "") -> str:
    """``text`` in NFC without controls, invisible characters and emoji. Idempotent.

    Curly quotes, dashes, the ellipsis and odd spaces become plain ones, unless the text holds
    Chinese (or ``lang`` writes without spaces), where they are the punctuation. Where the voices
    of ``lang`` read ASCII only, accents are taken off Latin letters: café becomes cafe.
    """
    text = _TERMINAL.sub("", text)
    if text.isascii():
        return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_dropped())
    text = unicodedata.normalize("NFC", text)
    table = language(lang) if is_known(lang) else None
    if (table is not None and not table.joiner) or HAN.search(text):
        text = _LATIN_APOSTROPHE.sub("'", text)
    else:
        text = text.translate(_PLAIN)
    if table is not None and table.ascii_only:
        text = _without_accents(text)
    return text


def has_emoji(text: str) -> bool:
    """Whether ``text`` holds pictures that `clean` drops."""
    return not text.isascii() and any(ord(char) in _PICTURES for char in text)


def _without_accents(text: str) -> str:
    """Latin letters without their marks; other scripts keep theirs (and are reported later)."""
    if text.isascii():
        return text
    out: list[str] = []
    latin = False  # whether marks now belong to a Latin letter
    for char in unicodedata.normalize("NFD", text.translate(_LETTERS)):
        if unicodedata.combining(char):
            if not latin:
                out.append(char)
            continue
        latin = char.isascii() and char.isalpha()
        out.append(char)
    return unicodedata.normalize("NFC", "".join(out))
