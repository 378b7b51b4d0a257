"""Chinese: its table. The grammar of numbers is in transforms/text/chinese."""

import re

from transforms.text.chinese.say import say
from transforms.text.language import Language, Lists

LANGUAGE = Language(
    code="zh",
    say=say,
    chars_per_second=4.5,
    ascii_only=False,
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
    dot="点",
    blank="空格",
    abbreviations=frozenset(),
    intro_tails=("包括", "有", "是", "为", "如", "例如", "比如", "和"),
    intro_pauses=("如下", "即", "说", "道"),
    dependent=(),
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
    common=re.compile(r"(?!)"),
    greetings=("请", "你好", "您好", "嗨", "嘿", "能否", "麻烦", "帮我", "你能", "你可以"),
    preambles=re.compile(
        r"(?:当然(?:可以)?|好的|没问题|可以的|很高兴能?为[您你].{0,8}|这是个好问题)(?:，.{0,12})?[！。]"
    ),
    questions=re.compile(
        r".{1,200}(?:吗|呢|什么|多少|几个|哪些|哪里|谁|为什么|怎么办|怎么样|如何)"
    ),
    asks_sentences=re.compile("([两三四五六七八九十])(?:句话|个句子)"),
    asks_result=re.compile(
        "计算|求|解方程|方程|多少|推导|证明|等于|平均|总和|概率|面积|体积|表达式|点积|导数"
    ),
    equals=re.compile("等于|除以|乘以"),
    closings=re.compile(r".{0,20}(?:答案|结果|总和|平均值|总数|解)(?:应该|就)?(?:是|为|等于)"),
    about_emoji=re.compile("表情"),
    lists=Lists(
        separator="、",
        pair="和",
        last="，以及",
        ordinals=tuple(f"第{number}，" for number in "一二三四五六七八九十"),
        finally_="最后，",
        steps=("首先，", "然后，", "接着，", "之后，"),
        last_step="最后，",
        procedure=re.compile("步骤|做法|流程|方法如下|操作|指示|食谱|教程"),
        opened=re.compile("首先|其次|然后|接着|最后|第[一二三四五六七八九十]|步骤"),
        recipe=re.compile(r".{0,10}(?:材料|食材|原料|做法|步骤|配料|制作方法)[：。]"),
        leads=re.compile("(?:以下|下面|这里)(?:是|为|有|列出)"),
        announces=re.compile(r"(?:以下|下面|这里|这些)|.{0,80}(?:如下|以下|下面|下列|包括|例如)"),
        counts=("两", "三", "四", "五", "六", "七", "八", "九", "十"),
    ),
)
