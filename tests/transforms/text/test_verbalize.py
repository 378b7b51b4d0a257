"""Written forms are said as words, and no digit survives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SettingsError
from transforms.text.verbalize import verbalize

ENGLISH = [
    ("1,234 people", "one thousand two hundred thirty-four people"),
    ("It is 3.14.", "It is three point one four."),
    ("2,5,10", "two, five, ten"),
    ("the 1st and 22nd", "the first and twenty-second"),
    ("in 1999", "in nineteen ninety-nine"),
    ("in the 2010s", "in the twenty tens"),
    ("the 1920s", "the nineteen twenties"),
    ("1500 words", "one thousand five hundred words"),
    ("The total is 1950.", "The total is one thousand nine hundred fifty."),
    ("10-20%", "ten to twenty percent"),
    ("$5.20", "five dollars and twenty cents"),
    ("$1", "one dollar"),
    ("$0.99", "ninety-nine cents"),
    ("$3.5 million", "three point five million dollars"),
    ("£3 or €4", "three pounds or four euros"),
    ("at 3:30 pm", "at three thirty PM"),
    ("at 3:05 p.m. Then", "at three oh five PM. Then"),
    ("at 9:00", "at nine o'clock"),
    ("on 2024-01-15", "on January fifteenth, twenty twenty-four"),
    ("1/2/2020", "January second, twenty twenty"),
    ("June 12, 2020", "June twelfth, twenty twenty"),
    ("60 km/h and 5kg", "sixty kilometers per hour and five kilograms"),
    ("-5 °C", "minus five degrees Celsius"),
    ("1 cm", "one centimeter"),
    ("3-5 apples", "three to five apples"),
    ("10 - 3 = 7", "ten minus three equals seven"),
    ("$50 * 1.10 = $55", "fifty dollars times one point one zero equals fifty-five dollars"),
    ("2 + 3 = 5", "two plus three equals five"),
    ("R&D", "R and D"),
    ("e.g. cats, etc.", "for example, cats, et cetera."),
    ("Dr. Smith vs. me", "Doctor Smith versus me"),
    ("agent 007", "agent zero zero seven"),
    ("call 555-1234", "call five five five, one two three four"),
    ("1/2 or 3/4", "one half or three quarters"),
    ("rated 4.5/5", "rated four point five out of five"),
    ("x² + 1", "x squared plus one"),
    ("CO₂ and MP3", "CO two and MP three"),
    ("３ cats", "three cats"),
    ("1½ cups", "one and one half cups"),
    ("COVID-19", "COVID nineteen"),
    ("version 3.14.2", "version three point fourteen point two"),
    ("make -x", "make minus x"),
    ("plain words stay, as they are!", "plain words stay, as they are!"),
]

CHINESE = [
    ("2024年1月15日", "二零二四年一月十五日"),
    ("2024-01-15", "二零二四年一月十五日"),
    ("1990-2000年", "一九九零到二零零零年"),
    ("1,234人", "一千二百三十四人"),
    ("50%", "百分之五十"),
    ("10-20%", "百分之十到百分之二十"),
    ("3-5个", "三到五个"),
    ("2个，第2个", "两个，第二个"),
    ("-5℃", "负五摄氏度"),
    ("￥5.20元", "五点二零元"),
    ("$5", "五美元"),
    ("3:30", "三点三十分"),
    ("1/2", "二分之一"),
    ("5km", "五公里"),
    ("13812345678", "一三八一二三四五六七八"),
    ("３０", "三十"),
    ("用Python写", "用Python写"),
]


@pytest.mark.parametrize(("written", "said"), ENGLISH)
def test_english_written_forms_are_said(written: str, said: str) -> None:
    assert verbalize(written, "en") == said


@pytest.mark.parametrize(("written", "said"), CHINESE)
def test_chinese_written_forms_are_said(written: str, said: str) -> None:
    assert verbalize(written, "zh-CN") == said


@pytest.mark.parametrize("lang", ["en", "zh"])
@given(text=st.text() | st.text(alphabet="0123456789.,:/-%$ °kmsthAPjune年月"))
def test_no_digit_is_left_in_any_text(lang: str, text: str) -> None:
    assert not [char for char in verbalize(text, lang) if char.isdigit()]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_giant_number_is_spelled_digit_by_digit(lang: str) -> None:
    one = {"en": "one", "zh": "一"}[lang]
    assert verbalize("1" * 3000, lang).count(one) == 3000


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("unit", ["1", "1,", "1.", "1-", "1/", "$1", " ", "a", "½", "1:0", "A."])
def test_long_hostile_text_completes(lang: str, unit: str) -> None:
    assert not any(char.isdigit() for char in verbalize(unit * 20_000, lang))


def test_an_unknown_language_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"'xx'.*'en', 'zh'"):
        verbalize("1", "xx")
