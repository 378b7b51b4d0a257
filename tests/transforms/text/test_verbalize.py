"""Laws of every language: no digit survives, twice is once, values survive, cost is bounded."""

import re

import pytest
from cn2an import cn2an
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SettingsError
from tests.transforms.text.number_words import english_value, german_value
from transforms.text import verbalize as module
from transforms.text.language import known_languages, language
from transforms.text.verbalize import MAX_PIECE_CHARS, verbalize

LANGS = known_languages()
VALUES = {
    "en": english_value,
    "de": german_value,
    "zh": lambda words: cn2an(words.replace("两", "二"), "smart"),
}
THOUSANDS = {"en": ",", "de": ".", "zh": ","}
POINT = {"en": ".", "de": ",", "zh": "."}
RICH = st.text() | st.text(alphabet="0123456789.,:/-%$ °kmsthAPjune年月#@^=<>x*IVXD.")


@pytest.mark.parametrize("lang", LANGS)
@given(text=RICH)
def test_no_digit_is_left_in_any_text(lang: str, text: str) -> None:
    assert not [char for char in verbalize(text, lang) if char.isdigit()]


@pytest.mark.parametrize("lang", LANGS)
@given(text=RICH)
def test_lines_are_neither_made_nor_lost(lang: str, text: str) -> None:
    assert verbalize(text, lang).count("\n") == text.count("\n")


@pytest.mark.parametrize("lang", LANGS)
@given(number=st.integers(0, 10**12 - 1), grouped=st.booleans())
def test_a_whole_number_keeps_its_value(lang: str, number: int, grouped: bool) -> None:
    written = f"{number:,}".replace(",", THOUSANDS[lang]) if grouped else str(number)
    if lang == "en" and 1100 <= number < 2100 and not grouped:
        written = f"{number} people"  # alone it would be a year
    said = verbalize(written, lang).removesuffix(" people")
    assert VALUES[lang](said) == number


@pytest.mark.parametrize("lang", LANGS)
@given(whole=st.integers(0, 999_999), decimals=st.text("0123456789", min_size=1, max_size=6))
def test_a_decimal_keeps_its_digits(lang: str, whole: int, decimals: str) -> None:
    point = {"en": "point", "de": "Komma", "zh": "点"}[lang]
    written = f"{whole}{POINT[lang]}{decimals}"
    before, _, after = verbalize(written, lang).partition(point)
    assert VALUES[lang](before.strip()) == whole
    digits = after.strip() if lang == "zh" else after.split()
    assert [VALUES[lang](digit) for digit in digits] == [int(digit) for digit in decimals]


NAMES = st.sampled_from(["Anna", "O'Neil", "Zhang", "McDonald", "NASA", "Rome"])
NEGATIONS = st.sampled_from(["not", "never", "no", "don't", "cannot", "won't", "without"])
AMOUNTS = st.sampled_from(["7", "1,234", "$5.20", "60 km/h", "3-5", "50%", "2 x 3", "May 5"])
WORDS = st.lists(NAMES | NEGATIONS | AMOUNTS, min_size=1, max_size=12)


@given(words=WORDS)
def test_names_and_negations_survive_in_their_order(words: list[str]) -> None:
    kept = [word for word in words if not any(char.isdigit() for char in word)]
    said = re.findall(r"[A-Za-z']+", verbalize(" ".join(words), "en"))
    found = iter(said)
    assert all(word in found for word in kept)


@pytest.mark.parametrize("lang", LANGS)
@given(words=WORDS)
def test_twice_is_once(lang: str, words: list[str]) -> None:
    once = verbalize(" ".join(words), lang)
    assert verbalize(once, lang) == once


@pytest.mark.parametrize("lang", LANGS)
def test_a_giant_number_is_spelled_digit_by_digit(lang: str) -> None:
    one = {"en": "one", "de": "eins", "zh": "一"}[lang]
    assert verbalize("1" * 3000, lang).count(one) == 3000


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize(
    "unit", ["1", "1,", "1.", "1-", "1/", "$1", " ", "a", "½", "1:0", "A.", "("]
)
def test_long_hostile_text_completes(lang: str, unit: str) -> None:
    assert not any(char.isdigit() for char in verbalize(unit * 20_000, lang))


@pytest.mark.parametrize("unit", ["1", "a1 ", "((1", "x\n"])
def test_a_megabyte_is_read_in_pieces_of_bounded_size(
    unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def plain_digits(piece: str) -> str:
        sizes.append(len(piece))
        return ""

    monkeypatch.setattr(module, "plain_digits", plain_digits)
    text = unit * (1_000_000 // len(unit))
    verbalize(text, "en")
    assert sum(sizes) == len(text)
    assert max(sizes) <= MAX_PIECE_CHARS
    assert len(sizes) <= 2 * len(text) / MAX_PIECE_CHARS + 1


@pytest.mark.parametrize("lang", LANGS)
def test_pieces_are_cut_between_words(lang: str) -> None:
    assert verbalize("12 " * 20_000, lang).split() == [verbalize("12", lang)] * 20_000


def test_an_unknown_language_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"'xx'.*'de', 'en', 'zh'.*languages/CODE.py"):
        verbalize("1", "xx")


def test_every_language_file_is_a_language() -> None:
    assert [language(code).code for code in LANGS] == list(LANGS)
    assert language("zh-CN") is language("zh") or language("zh-CN") == language("zh")
