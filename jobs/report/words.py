"""How values of rows are written for people: clipped, with what cannot be seen made visible."""

import re
from collections.abc import Mapping
from typing import Any, Final

MAX_TEXT: Final = 2000  # characters of one text that are shown
MAX_FACT: Final = 160
# C0 and C1 but for tab and newline, what turns the direction of text, and zero-width spaces
UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
LONE: Final = re.compile("[\ud800-\udfff]")  # half a surrogate pair cannot be encoded


def clipped(text: str, most: int = MAX_TEXT) -> str:
    """The first ``most`` characters, saying how many are missing; see ``visible``."""
    left = len(text) - most
    return visible(text) if left <= 0 else f"{visible(text[:most])} … ({left:,} more characters)"


def visible(text: str) -> str:
    """Control and direction marks as ‹U+202E›: they could disorder what stands around them."""
    return LONE.sub("\ufffd", UNSEEN.sub(lambda match: f"‹U+{ord(match[0]):04X}›", text))


def fact(text: object) -> str:
    """One short line of small print."""
    return clipped(" ".join(str(text).split()), MAX_FACT)


def reason_words(item: Mapping[str, Any]) -> str:
    """A reason as a line: turn, step, code, detail."""
    where = f"turn {item['turn']}, " if item["turn"] >= 0 else ""
    detail = f": {item['detail']}" if item["detail"] else ""
    return clipped(f"{where}{item['step']}, {item['code']}{detail}", 400)


def number(value: float) -> str:
    """A number at four digits, which is what measures are good for; large ones in whole."""
    return f"{value:.4g}" if abs(value) < 9999.5 else f"{value:.0f}"
