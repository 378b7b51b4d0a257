"""What the text rules know about each language, as data. A new language is a new table here."""

import re
from dataclasses import dataclass
from typing import TypeAlias

from schemas.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Language:
    """One language's alphabet, punctuation, pace and turns of speech."""

    code: str
    chars_per_second: float  # of the spoken text, spaces included
    unspeakable: re.Pattern[str]  # one character that the voice cannot say
    sentence_end: re.Pattern[str]
    joiner: str  # between two sentences
    comma: str
    period: str
    question: str
    either: str  # what a slash between two words says
    blank: str  # what a gap to be filled says
    abbreviations: frozenset[str]  # lower case, without the last period: they end no sentence
    intro_tails: tuple[str, ...]  # a colon after one of these becomes a comma, else a period
    fillers: tuple[str, ...]  # before any instruction
    question_fillers: tuple[str, ...]  # before a question
    request_fillers: tuple[str, ...]  # before a request that starts with one of `requests`
    polite_question: str  # makes "Describe it." into "Could you describe it?"; "" for none
    requests: frozenset[str]  # verbs that open a request, in lower case
    openers: frozenset[str]  # other first words that lose their capital after a filler
    greetings: tuple[str, ...]  # texts that start so get no filler


ENGLISH = Language(
    code="en",
    chars_per_second=15.0,
    unspeakable=re.compile(r"[^A-Za-z ,.?!'\-]"),
    sentence_end=re.compile(r"(?<![.!?])[.!?]++[\"'”’)\]]*+(?=\s|$)|\n++"),
    joiner=" ",
    comma=",",
    period=".",
    question="?",
    either=" or ",
    blank=" blank ",
    abbreviations=frozenset(
        "mr mrs ms dr prof st jr sr vs etc e.g i.e no fig approx inc ltd co corp dept est gen col "
        "sgt capt rev hon gov sen rep u.s u.k u.n d.c ph.d a.m p.m al ca cf vol pp ed".split()
    ),
    intro_tails=tuple(
        "including include includes included are is was were as follows like by of for with to be "
        "that and or in from such also".split()
    ),
    fillers=("Hey,", "Hi,", "So,", "Um,", "Okay,", "Well,"),
    question_fillers=("Hey,", "So,", "Um,", "I was wondering,", "Just curious,"),
    request_fillers=("Please", "Could you please", "Hey, could you", "Um, can you", "Can you"),
    polite_question="you",
    requests=frozenset(
        "write generate create describe explain identify provide give find list name design "
        "summarize summarise suggest rewrite re-write make compare come classify construct "
        "categorize determine calculate take change edit choose add analyze analyse convert "
        "compose develop rearrange answer implement brainstorm select pick paraphrase invent "
        "predict define translate rank formulate transform reword sort outline tell complete "
        "expand draft decide solve fill detect improve organize insert read indicate connect "
        "correct propose compute arrange build assign review estimate help extract produce adapt "
        "evaluate validate reorganize reverse devise divide craft proofread merge delete share "
        "replace link parse deduce offer multiply substitute derive research count concatenate "
        "simplify discuss recommend assess specify differentiate introduce prove verify "
        "prepare plan discover search format turn elaborate show draw teach check illustrate "
        "report explore modify point put infer restate shorten group label match alter cut number "
        "reply respond rephrase debug order".split()
    ),
    openers=frozenset(
        "what how why who which when where whose is are do does did can could would should will "
        "has have had given in the a an using based if as for from this these those there it on "
        "to of by with during over after before imagine think suppose assume consider pretend "
        "act use state output order respond reply look we you my your our their his her "
        "considering choosing some any all each one two three four five".split()
    ),
    greetings=("hi", "hello", "hey", "please", "could you", "can you", "would you", "dear"),
)

CHINESE = Language(
    code="zh",
    chars_per_second=4.5,
    # A name such as Python or SEO may stand in Chinese text.
    unspeakable=re.compile(r"[^\u3400-\u9fff\U00020000-\U0003ffff〇A-Za-z ，。？！、'\-]"),
    sentence_end=re.compile(
        r"(?<![。！？；!?])[。！？；!?]++[”’」』）)\"]*+|(?<![.])[.]++(?=\s|$)|\n++"
    ),
    joiner="",
    comma="，",
    period="。",
    question="？",
    either="或",
    blank="空格",
    abbreviations=frozenset(),
    intro_tails=("包括", "有", "是", "为", "如", "例如", "比如", "如下", "即", "说", "道", "和"),
    fillers=("嗯，", "那个，", "你好，", "嘿，"),
    question_fillers=("请问，", "我想问一下，", "嗯，", "那个，"),
    request_fillers=("请", "麻烦你", "请你", "嗯，请", "那个，请"),
    polite_question="",
    requests=frozenset(
        "生成 列出 写一 写出 写三 写两 描述 创建 解释 建议 提供 找出 总结 设计 计算 确定 识别 创造 "
        "构建 创作 找到 给出 分析 比较 编辑 编写 分类 说出 选择 想出 判断 举一 改变 提出 修改 定义 "
        "制定 回答 说一 概述 讲一 鉴定 概括 评估 添加 制作 预测 编制 列举 优化 翻译 重写 改写 推荐 "
        "将以 将这 将给 将句 把以 用一 为一 为以 告诉 说明 介绍 解决 简要 重新".split()
    ),
    openers=frozenset(),
    greetings=("请", "你好", "您好", "嗨", "嘿", "能否", "麻烦", "帮我", "你能", "你可以"),
)

LANGUAGES = {table.code: table for table in (ENGLISH, CHINESE)}


PerLang: TypeAlias = tuple[tuple[str, int], ...]  # (language or "default", value), sorted


def for_lang(values: PerLang, lang: str) -> int:
    """The value for a language, or the default."""
    found = dict(values)
    return found.get(lang, found["default"])


def is_known(lang: str) -> bool:
    """Whether there are rules for this language."""
    return lang.replace("_", "-").split("-")[0].lower() in LANGUAGES


def language(lang: str) -> Language:
    """The table of ``lang``; a region is ignored (``zh-CN`` is ``zh``)."""
    found = LANGUAGES.get(lang.replace("_", "-").split("-")[0].lower())
    if found is None:
        raise SettingsError(
            f"text rules: language {lang!r} is not known, wanted one of {sorted(LANGUAGES)}; "
            "add a table to transforms/text/language.py or leave those rows out of the source"
        )
    return found
