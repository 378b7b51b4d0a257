"""Written forms into said ones: after it no digit is left in a text."""

from functools import cache
from importlib import import_module
from types import ModuleType

from transforms.text.digits import plain_digits
from transforms.text.language import language

_RULES = {"en": "transforms.text.english", "zh": "transforms.text.chinese"}


@cache
def _rules(code: str) -> ModuleType:
    # num2words and cn2an take up to 0.2 s to import: only the language in use pays.
    return import_module(_RULES[code])


def verbalize(text: str, lang: str) -> str:
    """Numbers, dates, times, money, units, signs and abbreviations of ``text`` as words.

    Raises on no string. A run of more than 15 digits or with a leading zero is read digit by
    digit. Text without digits and signs comes back as it is.
    """
    code = language(lang).code
    said: str = _rules(code).say(plain_digits(text))
    return said
