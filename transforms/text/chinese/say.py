"""How Chinese says numbers, dates, money, units and signs (cn2an makes the number words)."""

import re
from collections.abc import Callable
from functools import lru_cache
from re import Match

from cn2an import an2cn

from transforms.text.digits import NUMBER, spell_long_runs
from transforms.text.patterns import Rule, apply, compiled

DIGITS = dict(zip("0123456789", "零一二三四五六七八九", strict=True))

_CURRENCIES = {"$": "美元", "€": "欧元", "£": "英镑", "¥": "元", "￥": "元"}
_UNITS = {
    "km/h": "公里每小时", "m/s": "米每秒", "km^2": "平方公里", "m^2": "平方米", "cm^2": "平方厘米",
    "m^3": "立方米", "cm^3": "立方厘米", "km": "公里", "cm": "厘米", "mm": "毫米", "nm": "纳米",
    "m": "米", "kg": "千克", "mg": "毫克", "g": "克", "ml": "毫升", "mL": "毫升", "L": "升",
    "°C": "摄氏度", "℃": "摄氏度", "°F": "华氏度", "°": "度", "GB": "吉字节", "MB": "兆字节",
    "KB": "千字节", "GHz": "吉赫兹", "MHz": "兆赫兹", "kHz": "千赫兹", "Hz": "赫兹",
    "kWh": "千瓦时", "kW": "千瓦", "W": "瓦", "V": "伏",
}  # fmt: skip
_SIGNS = {
    "&": "和", "+": "加", "=": "等于", "＝": "等于", "＋": "加", "×": "乘以", "÷": "除以",
    "±": "正负", "≈": "约等于", "≤": "小于等于", "≥": "大于等于", "≠": "不等于", "°": "度",
    "℃": "摄氏度", "%": "百分号", "％": "百分号", "＆": "和",
}  # fmt: skip
_MEASURES = "个只条次种年天位本名句段张件部份间家辆座棵双对场杯"


@lru_cache(maxsize=8192)
def cardinal(digits: str) -> str:
    """1234 -> 一千二百三十四."""
    return str(an2cn(int(digits)))


def one_by_one(digits: str) -> str:
    """2024 -> 二零二四."""
    return "".join(DIGITS[d] for d in digits)


def amount(written: str) -> str:
    """A number as it is written (commas, a decimal point, leading zeros) in words."""
    whole, _, decimals = written.replace(",", "").partition(".")
    if len(whole) > 1 and whole[0] == "0" and not decimals:
        return one_by_one(whole)
    return cardinal(whole) + (f"点{one_by_one(decimals)}" if decimals else "")


def _date(m: Match[str]) -> str:
    if not (1 <= int(m[2]) <= 12 and 1 <= int(m[3]) <= 31):
        return f"{one_by_one(m[1])} {one_by_one(m[2])} {one_by_one(m[3])}"
    return f"{one_by_one(m[1])}年{cardinal(m[2])}月{cardinal(m[3])}日"


def _time(m: Match[str]) -> str:
    if m[2] == "00":
        return f"{cardinal(m[1])}点"
    return f"{cardinal(m[1])}点{'零' if m[2][0] == '0' else ''}{cardinal(m[2])}分"


def _percent(m: Match[str]) -> str:
    return f"百分之{amount(m[1])}" + (f"到百分之{amount(m[2])}" if m[2] else "")


def _money(m: Match[str]) -> str:
    return amount(m[2]) + (m[3] or "") + _CURRENCIES[m[1]]


def _fraction(m: Match[str]) -> str:
    if m[0] == "24/7":
        return "全天候"
    return f"{amount(m[2])}分之{amount(m[1])}"


Rule = tuple[re.Pattern[str], str | Callable[[Match[str]], str]]
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len)[::-1])
_WITH_DIGITS: tuple[Rule, ...] = tuple(
    (re.compile(pattern), said)
    for pattern, said in (
        (r"(?<![\d.])\.(?=\d)", "0."),
        (r"(?<=\d)[,，](?=\d{1,2}(?!\d)|\d{4})", "，"),
        (r"(?<![\d/-])(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?![\d/-])", _date),
        (r"(?<!\d)(\d{4})\s?[-–—~～至到]\s?(\d{4})(?=\s?年)",
         lambda m: f"{one_by_one(m[1])}到{one_by_one(m[2])}"),
        (r"(?<!\d)([12]\d{3})\s?(?=年(?!级|龄|薪|产))", lambda m: one_by_one(m[1])),
        (r"(?<!\d)1[3-9]\d{9}(?!\d)", lambda m: one_by_one(m[0])),
        (r"(?<![\d:：.])([01]?\d|2[0-3])[:：]([0-5]\d)(?:[:：][0-5]\d)?(?![\d:：])", _time),
        (r"(?<=\d)\s?[:：]\s?(?=\d)", "比"),
        (r"(?<=\d)\s?[-–−]\s?(?=\d[^=＝\n]{0,20}[=＝])", "减"),
        (rf"({NUMBER})\s?[%％]?\s?[-–—~～至到]\s?({NUMBER})\s?[%％]", _percent),
        (r"(?<=[\d%])\s?[-–—~～]\s?(?=\d)", "到"),
        (rf"({NUMBER})\s?[%％]()", _percent),
        (r"(?<![\w)）\]])[-−]\s?(?=[\d$€£¥￥])", "负"),
        (rf"([$€£¥￥])\s?({NUMBER})\s?([万亿千百]{{0,2}})(?:[美欧]?元|英镑)?", _money),
        (rf"(?<![A-Za-z\d.])({NUMBER})\s?({_UNIT})(?![A-Za-z\d])",
         lambda m: amount(m[1]) + _UNITS[m[2]]),
        (r"(?<![\d./])(\d{1,4})/(\d{1,4})(?![\d/]|\.\d)", _fraction),
        (r"(?<=\d)\s?/\s?(?=\d)", "除以"),
        (r"(?<=\d)\s?[x*]\s?(?=\d)", "乘以"),
        (r"\^2(?!\d)", "的平方"),
        (r"\^3(?!\d)", "的立方"),
        (r"\^(\d{1,15})", lambda m: f"的{amount(m[1])}次方"),
        (rf"(?<![\d.第])2(?=\s?[{_MEASURES}])", "两"),
        (r"(?<=\d)\s?>\s?(?=\d)", "大于"),
        (r"(?<=\d)\s?<\s?(?=\d)", "小于"),
        (r"\d{1,15}(?:\.\d{1,15}){2,8}", lambda m: "点".join(amount(p) for p in m[0].split("."))),
        (NUMBER, lambda m: amount(m[0])),
    )
)  # fmt: skip
_SIGN = re.compile("[" + "".join(map(re.escape, _SIGNS)) + "]")
_DIGIT = re.compile(r"\d")


def say(text: str) -> str:
    """``text``, its digits already 0-9, with words for everything that is not one."""
    if _DIGIT.search(text):
        text = spell_long_runs(text, DIGITS, "")
        for pattern, said in _WITH_DIGITS:
            text = pattern.sub(said, text)
    # C++ and R&D are names: a sign between Latin letters is left for the check to report.
    return _SIGN.sub(lambda m: _SIGNS[m[0]], text)
