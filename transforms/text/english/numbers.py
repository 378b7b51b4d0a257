"""English number words, made by num2words, in the American way (no "and", no commas)."""

from functools import lru_cache

from num2words import num2words

DIGITS = dict(
    zip("0123456789", "zero one two three four five six seven eight nine".split(), strict=True)
)


@lru_cache(maxsize=8192)
def cardinal(number: int) -> str:
    """1234 -> one thousand two hundred thirty-four."""
    return str(num2words(number)).replace(",", "").replace(" and ", " ")


@lru_cache(maxsize=2048)
def ordinal(number: int) -> str:
    """21 -> twenty-first."""
    return str(num2words(number, to="ordinal")).replace(",", "").replace(" and ", " ")


@lru_cache(maxsize=1024)
def year(number: int) -> str:
    """1905 -> nineteen oh-five."""
    return str(num2words(number, to="year")).replace(" and ", " ")


def amount(written: str) -> str:
    """A number as it is written (commas, a decimal point, leading zeros) in words."""
    whole, _, decimals = written.replace(",", "").partition(".")
    if len(whole) > 1 and whole[0] == "0" and not decimals:
        return " ".join(DIGITS[d] for d in whole)
    words = cardinal(int(whole or "0"))
    return words + (" point " + " ".join(DIGITS[d] for d in decimals) if decimals else "")
