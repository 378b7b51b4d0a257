"""Clean text has one spelling and nothing invisible."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.text.clean import clean


@pytest.mark.parametrize(
    ("dirty", "wanted"),
    [
        ("a\x00b\x1bc", "abc"),
        ("a\u200bb\ufeffc\u202ed\u00ad", "abcd"),
        ("one\r\ntwo\rthree\tfour", "one\ntwo\nthree\tfour"),
        ("hi 🚀👩‍💻❄️!", "hi !"),
        ("“it’s” – fine…", '"it\'s" - fine...'),
        ("a\u00a0b", "a b"),
        ("e\u0301", "é"),
        ("１", "１"),  # NFC, not NFKC
        ("他说：“好……”", "他说：“好……”"),
    ],
)
def test_dirt_goes_and_text_stays(dirty: str, wanted: str) -> None:
    assert clean(dirty) == wanted


def test_english_loses_its_accents_and_keeps_other_scripts() -> None:
    assert clean("café Über Søren naïve straße", "en") == "cafe Uber Soren naive strasse"
    assert clean("Привет й", "en") == "Привет й"


@pytest.mark.parametrize("lang", ["", "en", "zh"])
@given(text=st.text())
def test_cleaning_twice_is_cleaning_once(lang: str, text: str) -> None:
    once = clean(text, lang)
    assert clean(once, lang) == once


@given(text=st.text())
def test_no_invisible_character_is_left(text: str) -> None:
    assert not [
        char
        for char in clean(text)
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co") and char not in "\n\t"
    ]
