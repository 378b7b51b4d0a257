"""How Chinese says numbers, dates, money, units and signs (cn2an makes the number words)."""

import re
from functools import lru_cache
from re import Match

from cn2an import an2cn

from transforms.text.digits import NUMBER, TERM_MINUS, spell_long_runs
from transforms.text.patterns import apply, compiled, one_of

DIGITS = dict(zip("0123456789", "零一二三四五六七八九", strict=True))

_CURRENCIES = {"$": "美元", "€": "欧元", "£": "英镑", "¥": "元", "￥": "元"}
_UNITS = {
    "km/h": "公里每小时", "m/s": "米每秒", "km^2": "平方公里", "m^2": "平方米", "cm^2": "平方厘米",
    "m^3": "立方米", "cm^3": "立方厘米", "km": "公里", "cm": "厘米", "mm": "毫米", "nm": "纳米",
    "m": "米", "kg": "千克", "mg": "毫克", "g": "克", "ml": "毫升", "mL": "毫升", "L": "升",
    "°C": "摄氏度", "℃": "摄氏度", "°F": "华氏度", "°": "度", "GB": "吉字节", "MB": "兆字节",
    "KB": "千字节", "GHz": "吉赫兹", "MHz": "兆赫兹", "kHz": "千赫兹", "Hz": "赫兹",
    "min": "分钟", "h": "小时", "s": "秒", "ms": "毫秒", "TB": "太字节", "kcal": "千卡",
    "kWh": "千瓦时", "kW": "千瓦", "W": "瓦", "V": "伏",
}  # fmt: skip
_SIGNS = {
    "&": "和", "+": "加", "=": "等于", "＝": "等于", "＋": "加", "×": "乘以", "÷": "除以",
    "±": "正负", "≈": "约等于", "≤": "小于等于", "≥": "大于等于", "≠": "不等于", "°": "度",
    "℃": "摄氏度", "%": "百分号", "％": "百分号", "＆": "和",
    "$": "美元", "€": "欧元", "£": "英镑", "¥": "元", "￥": "元", "@": "at", "√": "根号",
    "∞": "无穷大", "→": "到", "⇒": "得出", "·": "", "π": "派", "α": "阿尔法", "β": "贝塔",
    "γ": "伽马", "Δ": "德尔塔", "λ": "兰姆达", "μ": "缪", "σ": "西格玛", "θ": "西塔", "Ω": "欧姆",
    "❤": "爱心",
    "➕": "加", "➖": "减", "➗": "除以", "✕": "乘以", "✖": "乘以", "‰": "千分号",
}  # fmt: skip
_MEASURES = "个只条次种年天位本名句段张件部份间家辆座棵双对场杯"


@lru_cache(maxsize=8192)
def cardinal(digits: str) -> str:
    """1234 -> 一千二百三十四, 2000 -> 两千."""
    words = str(an2cn(int(digits)))
    return "两" + words[1:] if words[:2] in ("二千", "二万", "二亿") else words


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


def _percent(m: Match[str]) -> str:
    return f"百分之{amount(m[1])}" + (f"到百分之{amount(m[2])}" if m[2] else "")


def _money(m: Match[str]) -> str:
    return amount(m[2]) + (m[3] or "") + _CURRENCIES[m[1]]


def _fraction(m: Match[str]) -> str:
    if m[0] == "24/7":
        return "全天候"
    return f"{amount(m[2])}分之{amount(m[1])}"


def _version(m: Match[str]) -> str:
    return m[1] + "点".join(amount(part) for part in m[2].split("."))


def _clock(m: Match[str]) -> str:
    half = {"a": "上午", "p": "下午"}[m[3].lower()]
    return half + _minutes(m[1], m[2] or "00")


def _minutes(hour: str, minute: str) -> str:
    said = "两" if hour in ("2", "02") else cardinal(hour)
    if minute == "00":
        return f"{said}点"
    return f"{said}点{'零' if minute[0] == '0' else ''}{cardinal(minute)}分"


def _time(m: Match[str]) -> str:
    seconds = m[3] and int(m[3])
    return _minutes(m[1], m[2]) + (f"{cardinal(m[3])}秒" if seconds else "")


def _phone(m: Match[str]) -> str:
    return ("加" if m[0][0] == "+" else "") + "，".join(
        one_by_one(run) for run in re.findall(r"\d+", m[0])
    )


def _scientific(m: Match[str]) -> str:
    return f"{amount(m[1])}乘以十的{'负' if m[2] == '-' else ''}{cardinal(m[3])}次方"


_UNIT = one_of(_UNITS)
_RANGE = "[-–—~～至到]"
_WITH_DIGITS = compiled((
    (r"(?<![\d.])\.(?=\d)", "0."),
    (r"(?<![\w.])(\d{1,2})[.．](?=[\u3400-\u9fff])", lambda m: f"第{cardinal(m[1])}，"),
    (r"(?<=\d)[,，](?=\d{1,2}(?!\d)|\d{4})", "，"),
    (r"(?<![\d/-])(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?![\d/-])", _date),
    (rf"(?<!\d)([12]\d{{3}}) ?{_RANGE} ?([12]\d{{3}})(?= ?年)",
     lambda m: f"{one_by_one(m[1])}到{one_by_one(m[2])}"),
    (r"(?<!\d)([12]\d{3})年 ?[-–—~～至到] ?([12]\d{3})(?= ?年)",
     lambda m: f"{one_by_one(m[1])}年到{one_by_one(m[2])}"),
    (r"(?<![\d.])([12]000)(?= ?年(?:前|后|来|间|以|的历史|历史|之))", lambda m: cardinal(m[1])),
    (r"(?<!\d)([12]\d{3}) ?(?=年(?!级|龄|薪|产))", lambda m: one_by_one(m[1])),
    (r"(?<!\d)1[3-9]\d{9}(?!\d)|(?<!\d)0\d{2,3}-\d{7,8}(?!\d)|(?<!\d)[48]00-\d{3,4}-\d{3,4}(?!\d)"
     r"|\+\d{1,3}(?:[- ]\d{2,11}){1,4}(?!\d)", _phone),
    (r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)",
     lambda m: "点".join(cardinal(part) for part in m[0].split("."))),
    (r"((?:版本|Python|Java|Android|iOS|HTML|[vV]) ?)(\d{1,4}(?:\.\d{1,4}){1,3})(?![\d.]*\d)",
     _version),
    (r"(?<![\w.])(\d{1,9}(?:\.\d{1,9})?)[eE]([-+]?)(\d{1,3})(?![\w.]*\d)", _scientific),
    (r"(?<![\d:：.])([01]?\d)(?:[:：]([0-5]\d))? ?([AaPp])\.?[Mm]\b\.?", _clock),
    (r"(?<![\d:：.])([01]?\d|2[0-3])[:：]([0-5]\d)(?:[:：]([0-5]\d))?(?![\d:：])", _time),
    (r"(?<=\d)(?:[:：]| [:：] )(?=\d)", "比"),
    (TERM_MINUS, "减"),
    (r"(?<=\d) ?[-–−] ?(?=\d[^=＝\n]{0,20}[=＝])", "减"),
    (rf"({NUMBER}) ?[%％]? ?{_RANGE} ?({NUMBER}) ?[%％]", _percent),
    (rf"([$€£¥￥]) ?({NUMBER}) ?{_RANGE} ?[$€£¥￥]?({NUMBER}) ?([万亿千百]{{0,2}})(?:[美欧]?元)?",
     lambda m: f"{amount(m[2])}到{amount(m[3])}{m[4]}{_CURRENCIES[m[1]]}"),
    (rf"({NUMBER}) ?{_RANGE} ?({NUMBER}) ?({_UNIT})(?![A-Za-z\d])",
     lambda m: f"{amount(m[1])}到{amount(m[2])}{_UNITS[m[3]]}"),
    (r"(?<=[\d%]) ?[-–—~～] ?(?=\d)", "到"),
    (rf"({NUMBER}) ?[%％]()", _percent),
    (r"(?<=[\w)）]) [-−–] (?=[$€£¥￥])", "，"),
    (r"(?:(?<![\w)）\]^])[-−]|(?<=[=(,，] )[-−] )(?=[\d$€£¥￥])", "负"),
    (rf"([$€£¥￥]) ?({NUMBER}) ?([万亿千百]{{0,2}})(?:[美欧]?元|英镑)?", _money),
    (rf"({NUMBER}) ?([万亿千百]{{0,2}}) ?([€£$])",
     lambda m: amount(m[1]) + m[2] + _CURRENCIES[m[3]]),
    (rf"(?<![A-Za-z\d.])({NUMBER}) ?({_UNIT})(?![A-Za-z\d])",
     lambda m: amount(m[1]) + _UNITS[m[2]]),
    (r"(?<![\d./])(\d{1,3})[又 ](\d{1,2})/(\d{1,2})(?![\d/]|\.\d)",
     lambda m: f"{amount(m[1])}又{amount(m[3])}分之{amount(m[2])}"),
    (r"(?<![\d./])(\d{1,4})/(\d{1,4})(?![\d/]|\.\d)", _fraction),
    (r"(?<=\d) ?/ ?(?=\d)", "除以"),
    (r"(?<=\d) ?[x*] ?(?=\d)", "乘以"),
    (r"√ ?(?=[\dA-Za-z])", "根号"),
    (r"\^2(?!\d)", "的平方"),
    (r"\^3(?!\d)", "的立方"),
    (r"\^-(\d{1,15})", lambda m: f"的负{amount(m[1])}次方"),
    (r"\^(\d{1,15})", lambda m: f"的{amount(m[1])}次方"),
    (r"\b[Nn][Oo]\. ?(?=\d)", "第"),
    (rf"(?<![\d.第])2(?= ?(?:[{_MEASURES}]|点(?!\d)|小时|分钟|星期|倍))", "两"),
    (r"(?<=\d) ?> ?(?=\d)", "大于"),
    (r"(?<=\d) ?< ?(?=\d)", "小于"),
    (r"\d{1,15}(?:\.\d{1,15}){2,8}", lambda m: "点".join(amount(p) for p in m[0].split("."))),
    (NUMBER, lambda m: amount(m[0])),
))  # fmt: skip
_SIGN_RULES = compiled((
    (r"(·[\u3400-\u9fff]{1,6})[-－](?=[\u3400-\u9fff])", r"\1"),  # a name: 蒂姆·伯纳斯-李
    (r"(?<=[A-Za-z\u3400-\u9fff]) ?> ?(?=[\w])", "大于"),
    (r"(?<=[A-Za-z\u3400-\u9fff]) ?< ?(?=[\w])", "小于"),
    (r"\b([CF])#(?!\w)", r"\1 Sharp"),
    (r"#(?=[\u3400-\u9fffA-Za-z])", "话题"),
    (r"(?<=[A-Za-z\u3400-\u9fff])\^(?=[A-Za-z])", "的"),
    (r"(?<=[A-Za-z])@(?=[A-Za-z])", " at "),
    ("[" + "".join(map(re.escape, _SIGNS)) + "]", lambda m: _SIGNS[m[0]]),
))  # fmt: skip
_SIGN = re.compile("[#^<>" + "".join(map(re.escape, _SIGNS)) + "]")
_DIGIT = re.compile(r"\d")


def say(text: str) -> str:
    """``text``, its digits already 0-9, with words for everything that is not one."""
    if _DIGIT.search(text):
        text = apply(_WITH_DIGITS, spell_long_runs(text, DIGITS, ""))
    return apply(_SIGN_RULES, text) if _SIGN.search(text) else text
