"""Written forms into said ones: after it no digit is left in a text."""

from collections.abc import Iterator

from transforms.text.digits import plain_digits
from transforms.text.language import language

MAX_PIECE_CHARS = 10_000  # rules look at one piece at a time: twice the text costs twice the time


def verbalize(text: str, lang: str) -> str:
    """Numbers, dates, times, money, units, signs and abbreviations of ``text`` as words.

    A run of more than 15 digits or with a leading zero is read digit by digit. Text without
    digits and signs comes back as it is. Raises SettingsError on an unknown language, and on no
    text.
    """
    say = language(lang).say
    if len(text) <= MAX_PIECE_CHARS:
        return say(plain_digits(text))
    return "".join(say(plain_digits(piece)) for piece in _pieces(text))


def _pieces(text: str) -> Iterator[str]:
    """``text`` cut at spaces into pieces of at most `MAX_PIECE_CHARS`; inside a giant word too."""
    start = 0
    while len(text) - start > MAX_PIECE_CHARS:
        end = start + MAX_PIECE_CHARS
        space = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
        end = space if space > start else end
        yield text[start:end]
        start = end
    yield text[start:]
