"""German number words, made by num2words, and the endings that a sentence asks of them."""

from functools import lru_cache

from num2words import num2words

DIGITS = dict(
    zip("0123456789", "null eins zwei drei vier fünf sechs sieben acht neun".split(), strict=True)
)


@lru_cache(maxsize=8192)
def cardinal(number: int) -> str:
    """1234 -> tausendzweihundertvierunddreißig, as it is said (num2words: eintausend...)."""
    words = str(num2words(number, lang="de"))
    if 1000 <= number < 2000:
        words = words.removeprefix("ein")
    return words.removeprefix("ein") if 100 <= number < 200 else words


@lru_cache(maxsize=2048)
def ordinal(number: int) -> str:
    """3 -> dritte."""
    words = str(num2words(number, lang="de", to="ordinal"))
    return words.removeprefix("ein") if 100 <= number < 200 or 1000 <= number < 2000 else words


@lru_cache(maxsize=1024)
def year(number: int) -> str:
    """1999 -> neunzehnhundertneunundneunzig."""
    return str(num2words(number, lang="de", to="year")) if number < 2000 else cardinal(number)


def one(feminine: bool) -> str:
    """The 1 before a noun."""
    return "eine" if feminine else "ein"


def amount(written: str) -> str:
    """A number as German writes it (1.234,56; a decimal comma or point) in words."""
    whole, decimals = parts(written)
    if len(whole) > 1 and whole[0] == "0" and not decimals:
        return " ".join(DIGITS[d] for d in whole)
    words = cardinal(int(whole or "0"))
    return words + (" Komma " + " ".join(DIGITS[d] for d in decimals) if decimals else "")


def parts(written: str) -> tuple[str, str]:
    """(whole, decimals) of a number: points of thousands are taken out, a lone one is decimal."""
    whole, comma, decimals = written.partition(",")
    if comma:
        return whole.replace(".", ""), decimals
    head, *groups = written.split(".")
    if groups and (len(groups) > 1 or (len(groups[0]) == 3 and head != "0")):
        return written.replace(".", ""), ""
    return head, "".join(groups)
