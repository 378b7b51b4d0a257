"""How Chinese says what is written, class by class."""

import pytest

from transforms.text.verbalize import verbalize

SAID = {
    "numbers": [
        ("1,234人", "一千二百三十四人"),
        ("3.14", "三点一四"),
        ("-5", "负五"),
        ("007", "零零七"),
        ("第2个和2个", "第二个和两个"),
        ("2小时，2月，2号", "两小时，二月，二号"),
        ("10000", "一万"),
        ("12345678901234567", " 一二三四五六七八九零一二三四五六七 "),
    ],
    "ranges and fractions": [
        ("3-5个", "三到五个"),
        ("1990-2000年", "一九九零到二零零零年"),
        ("1/2", "二分之一"),
        ("1又1/2", "一又二分之一"),
    ],
    "dates": [
        ("2024年1月15日", "二零二四年一月十五日"),
        ("2024-01-15", "二零二四年一月十五日"),
        ("2000年前", "两千年前"),
        ("20年", "二十年"),
        ("1000年级", "一千年级"),
    ],
    "times": [
        ("3:30", "三点三十分"),
        ("14:05", "十四点零五分"),
        ("10:30:15", "十点三十分十五秒"),
        ("3:30pm", "下午三点三十分"),
        ("2:00", "两点"),
    ],
    "money": [
        ("￥5.20元", "五点二零元"),
        ("$5", "五美元"),
        ("5万€", "五万欧元"),
        ("$10-20", "十到二十美元"),
    ],
    "units": [
        ("5km", "五公里"),
        ("60km/h", "六十公里每小时"),
        ("3 m²", "三平方米"),
    ],
    "percentages and temperatures": [
        ("50%", "百分之五十"),
        ("10-20%", "百分之十到百分之二十"),
        ("-5℃", "负五摄氏度"),
    ],
    "codes": [
        ("13812345678", "一三八一二三四五六七八"),
        ("010-12345678", "零一零，一二三四五六七八"),
        ("Python 3.10", "Python 三点十"),
        ("192.168.0.1", "一百九十二点一百六十八点零点一"),
        ("bob@example.com", "bob at example.com"),
    ],
    "maths": [
        ("2+3=5", "二加三等于五"),
        ("7-2=5", "七减二等于五"),
        ("3×4", "三乘以四"),
        ("x^2", "x的平方"),
        ("10^-5", "十的负五次方"),
        ("√16", "根号十六"),
        ("2.5e-3", "二点五乘以十的负三次方"),
        ("x>3", "x大于三"),
    ],
    "signs": [
        ("C#", "C Sharp"),
        ("#你好", "话题你好"),
        ("❤", "爱心"),
    ],
    "others": [
        ("用Python写", "用Python写"),
        ("３０", "三十"),
        ("比分3:2", "比分三比二"),
        ("Chapter 1: 5", "Chapter 一: 五"),
    ],
}
PAIRS = [pair for pairs in SAID.values() for pair in pairs]


@pytest.mark.parametrize(("written", "said"), PAIRS)
def test_written_forms_are_said(written: str, said: str) -> None:
    assert verbalize(written, "zh") == said


@pytest.mark.parametrize(("written", "said"), PAIRS)
def test_what_is_said_stays_as_it_is(written: str, said: str) -> None:
    assert verbalize(said, "zh") == said
