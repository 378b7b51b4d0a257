"""The rules speak an instruction whole and an answer short, or say why not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.text import rules
from transforms.text.markup import Markup, strip_markup
from transforms.text.rules import (
    HEAD_CHARS,
    HEAD_FACTOR,
    InputPolicy,
    Spoken,
    rewrite_instruction,
    shorten_response,
)
from transforms.text.speakable import Limits, problems

RICH = st.text() | st.text(alphabet="ab Zé.,:;!?()[]*-_#`|$/=+1290%\n\"'你好。，：（）")
NO_LIMITS = Limits(max_chars=10**9, max_words=10**9, max_seconds=1e9)


def rewrite(
    text: str,
    input_text: str = "",
    lang: str = "en",
    *,
    draw: float = 0.99,
    policy: InputPolicy = InputPolicy.MERGE,
    max_chars: int = 400,
) -> Spoken:
    return rewrite_instruction(
        text,
        input_text,
        lang,
        policy=policy,
        max_input_chars=60,
        filler_rate=0.5,
        max_chars=max_chars,
        draw=lambda label: 0.0 if label == "filler" and draw < 0.9 else draw,
    )


def code(spoken: Spoken) -> str:
    assert spoken.text == ""
    return spoken.reasons[0][0]


@pytest.mark.parametrize(
    ("lang", "text", "input_text", "said"),
    [
        ("en", "Name 3 colors", "", "Name three colors."),
        ("en", "what is a café?", "", "What is a cafe?"),
        ("en", "Find the mean: 2, 5, 10", "", "Find the mean, two, five, ten."),
        ("en", "Edit this sentence:", "He go home", "Edit this sentence. He go home."),
        ("en", "Sort this.", "[5, 3]", "Sort this. Five, three."),
        ("en", "Say 'yes'; then (maybe) \"no\"", "", "Say yes, then, maybe, no."),
        ("en", "Use he/she", "<noinput>", "Use he or she."),
        ("en", "who is it", "", "Who is it?"),
        ("en", "is the sky blue", "", "Is the sky blue?"),
        ("en", "What a day", "", "What a day."),
        ("en", "How are you? (informal)", "", "How are you, informal."),
        ("en", 'Say "It is." to me', "", "Say It is, to me."),
        ("en", "Pick one:\n- red\n- blue\n- green", "", "Pick one. Red, blue, and green."),
        ("en", "Stream 3000kbps of it", "", "Stream three thousand kilobits per second of it."),
        ("zh", "万维网(Web)的发明人是蒂姆·伯纳斯-李。", "", "万维网，Web的发明人是蒂姆伯纳斯李。"),
        ("en", "Nile - a river", "", "Nile, a river."),
        ("en", "it flows through- Egypt", "", "It flows through, Egypt."),
        ("de", "Nenne 3 Städte", "", "Nenne drei Städte."),
        ("de", "wie spät ist es", "", "Wie spät ist es?"),
        ("zh", "今天星期几个", "", "今天星期几个？"),
        ("en", "Find x if x > 2", "", "Find x if x is greater than two."),
        ("zh", "比较A和B。", "输入：书，笔", "比较A和B。输入，书，笔。"),
        ("zh", "求85和44的平均值", "", "求八十五和四十四的平均值。"),
    ],
)
def test_an_instruction_is_said_whole(lang: str, text: str, input_text: str, said: str) -> None:
    assert rewrite(text, input_text, lang) == Spoken(said)


@pytest.mark.parametrize(
    ("lang", "draw", "text", "said"),
    [
        ("en", 0.0, "Describe it.", "Please describe it."),
        ("en", 0.3, "Describe it.", "Could you please describe it?"),
        ("en", 0.0, "What is it?", "Hey, what is it?"),
        ("en", 0.0, "I like Paris.", "Hey, I like Paris."),
        ("en", 0.0, "Paris is big.", "Hey, Paris is big."),
        ("en", 0.0, "Hello, who is it?", "Hello, who is it?"),
        ("zh", 0.0, "描述它。", "请描述它。"),
        ("zh", 0.0, "这是什么？", "请问，这是什么？"),
        ("zh", 0.0, "请描述它。", "请描述它。"),
        ("en", 0.0, "Stop.", "Stop."),
        ("en", 0.0, "SELECT all rows from it.", "SELECT all rows from it."),
        ("en", 0.0, "iPhone or Android?", "iPhone or Android?"),
        ("de", 0.0, "Nenne drei Städte.", "Bitte nenne drei Städte."),
    ],
)
def test_a_filler_suits_its_sentence(lang: str, draw: float, text: str, said: str) -> None:
    assert rewrite(text, lang=lang, draw=draw) == Spoken(said)


def test_an_instruction_is_rejected_and_never_cut() -> None:
    assert code(rewrite("word " * 100, max_chars=100)) == "too_long"
    assert code(rewrite("word " * 10_000)) == "too_long"
    assert code(rewrite(" \u200b")) == "empty_instruction"
    assert code(rewrite("Run `a[0] = 1` now")) == "code"
    assert code(rewrite("Translate привет")) == "script"


def test_a_filler_never_pushes_an_instruction_over_its_limit() -> None:
    assert rewrite("Describe it.", draw=0.0, max_chars=12) == Spoken("Describe it.")


def test_an_input_is_merged_rejected_or_ignored_by_policy() -> None:
    assert code(rewrite("Fix it.", "long " * 30)) == "input_too_long"
    assert code(rewrite("Fix it.", "https://example.com/a")) == "input_not_speakable"
    assert code(rewrite("Fix it.", "a cat", policy=InputPolicy.REJECT)) == "input_not_allowed"
    assert rewrite("Fix it.", "", policy=InputPolicy.REJECT) == Spoken("Fix it.")
    assert rewrite("Fix it.", "a cat", policy=InputPolicy.IGNORE) == Spoken("Fix it.")


@pytest.mark.parametrize(
    ("text", "max_chars", "said"),
    [
        ("One is here. Two is here.", 15, "One is here."),
        ("**Bold** (yes) word.", 99, "Bold, yes, word."),
        ("1. Red\n2. Blue", 99, "Red and Blue."),
        ("It helps. Tips:\n\n1. Do this long thing.\n2. That.", 20, "It helps."),
        ("It helps, like:\n\n1. Do this.\n2. Do that.", 40, "It helps, like do this and do that."),
        ("It helps. See:\n```\ncode\n```", 10, "It helps."),
        ("Use amazon.com or the U.S. site.", 99, "Use amazon dot com or the US site."),
        ("Done 🎉", 99, "Done."),
    ],
)  # fmt: skip
def test_an_answer_keeps_whole_sentences(text: str, max_chars: int, said: str) -> None:
    assert shorten_response(text, "en", max_chars=max_chars) == Spoken(said)


@pytest.mark.parametrize(
    ("text", "max_chars", "wanted"),
    [
        ("", 50, "no_response"),
        ("🎉", 50, "no_response"),
        ("A very long first sentence indeed.", 20, "too_long"),
        ("word " * 5000, 20, "too_long"),
        ("Here they are:\n\n1. A very long item of a list.", 20, "list_too_long"),
        ("| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |", 50, "table"),
        ("It is #FFD1DC.", 50, "code"),
        ("A cake.\n\nIngredients:\n- an egg\n- some flour", 30, "incomplete"),
        ("Here it is:\n```python\nx = 1\n```", 50, "code"),
        ("See https://example.com/a now.", 50, "url"),
        ("Dear [Your Name], thank you.", 200, "placeholder"),
        ("?\n\n(Explanation: the sentence asks.)", 200, "symbols"),
    ],
)
def test_an_answer_that_cannot_be_said_has_its_reason(
    text: str, max_chars: int, wanted: str
) -> None:
    assert code(shorten_response(text, "en", max_chars=max_chars)) == wanted


@pytest.mark.parametrize("lang", ["de", "en", "zh"])
@given(text=RICH, max_chars=st.integers(1, 80))
def test_an_answer_is_speakable_and_within_its_limit_or_rejected(
    lang: str, text: str, max_chars: int
) -> None:
    spoken = shorten_response(text, lang, max_chars=max_chars)
    assert bool(spoken.text) != bool(spoken.reasons)
    assert len(spoken.text) <= max_chars
    assert spoken == shorten_response(text, lang, max_chars=max_chars)
    assert not spoken.text or problems(spoken.text, lang, NO_LIMITS) == []


@pytest.mark.parametrize("lang", ["de", "en", "zh"])
@given(text=RICH, input_text=RICH, draw=st.floats(0, 0.99))
def test_an_instruction_is_a_speakable_sentence_or_rejected(
    lang: str, text: str, input_text: str, draw: float
) -> None:
    spoken = rewrite(text, input_text, lang, draw=draw)
    assert bool(spoken.text) != bool(spoken.reasons)
    assert not spoken.text or spoken.text[-1] in ".?!。？！"
    assert not spoken.text or problems(spoken.text, lang, NO_LIMITS) == []
    assert spoken == rewrite(text, input_text, lang, draw=draw)


@pytest.mark.parametrize("text", ["a" * 5000, "word " * 200_000, "1" * 3000, "(" * 100_000])
def test_hostile_rows_are_rejected(text: str) -> None:
    assert rewrite(text).reasons
    assert shorten_response(text, "en", max_chars=260).reasons


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("**__~~``~~__**", "markup"),
        ("# \n- \n> \n***", "empty_instruction"),
        ("\u200b\u200d\ufeff\u202e", "empty_instruction"),
        ("Привет, как дела?", "script"),
        ("مرحبا كيف حالك", "script"),
        ("Tell me about pаypal", "script"),  # a Cyrillic letter among Latin ones
        ("Describe 你好 in English", "script"),
        ("a" * 1000, "too_long"),
        ("Which emoji is 😀?", "symbols"),
        ("word " * 200_000, "too_long"),
    ],
)
def test_bad_text_is_rejected_with_its_reason(text: str, wanted: str) -> None:
    assert code(rewrite(text)) == wanted


def test_all_digits_are_said_or_too_long() -> None:
    assert rewrite("42").text == "Forty-two."
    assert code(rewrite("7" * 3000)) == "too_long"


def test_invisible_marks_and_emoji_leave_the_words() -> None:
    assert rewrite("Wri\u200bte a po\u00adem 🎉").text == "Write a poem."


def test_a_megabyte_is_never_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def strip(text: str) -> Markup:
        sizes.append(len(text))
        return strip_markup(text)

    monkeypatch.setattr(rules, "strip_markup", strip)
    assert code(rewrite("a b " * 250_000)) == "too_long"
    assert code(rewrite("Fix it.", "a b " * 250_000)) == "input_too_long"
    shorten_response("A b. " * 200_000, "en", max_chars=260)
    assert max(sizes) <= HEAD_FACTOR * 260 + HEAD_CHARS


def test_pronouns_of_a_later_turn_are_left_alone() -> None:
    assert rewrite("And who wrote it?").text == "And who wrote it?"
    assert shorten_response("He did, in it.", "en", max_chars=50).text == "He did, in it."


@pytest.mark.parametrize(
    ("lang", "text", "said"),
    [
        ("en", "(555) 123-4567", "Five five five, one two three, four five six seven."),
        ("en", "A Pen - $5", "A Pen, five dollars."),
        ("en", "iPad 11 - $849", "iPad eleven, eight hundred forty-nine dollars."),
        ("en", "1 1/2 oz of gin", "One and one half ounces of gin."),
        ("en", "It takes 60 min.", "It takes sixty minutes."),
        ("en", "Tony - a man - left", "Tony, a man, left."),
        ("en", 'It is "so." in it', "It is so, in it."),
        ("en", "Mon: rest\nTue: run", "Monday, rest, Tuesday, run."),
        ("en", "y(3) is 8", "Y of three is eight."),
        ("en", "Dec. 21 · 1:00", "December twenty-first, one o'clock."),
        ("en", "Cleopatra VII in The Scrolls VI", "Cleopatra the Seventh in The Scrolls Six."),
        ("en", "Chapter 1: 5 things", "Chapter one, five things."),
        ("zh", "iPad 11英寸 - $849", "iPad十一英寸，八百四十九美元。"),
        ("zh", "是：1.新年，2.国庆", "是，第一，新年，第二，国庆。"),
        ("zh", "数 1: 0.76", "数一，零点七六。"),
        ("de", "Wer war Ludwig XIV.?", "Wer war Ludwig der Vierzehnte?"),
        (
            "en",
            "y(x) = x² + 3x - 10",
            "Y of x equals x squared plus three x minus ten.",
        ),
        ("en", "Solve x - 5 = 2.", "Solve x minus five equals two."),
        (
            "en",
            "It was June 18, 1815, near it.",
            "It was June eighteenth, eighteen fifteen, near it.",
        ),
        ("zh", "求 x² + 3x - 10 的值", "求x的平方加三x减十的值。"),
        (
            "en",
            "[Verse 1]\nThe sun is up.\nChorus:\nIt is day.",
            "The sun is up. It is day.",
        ),
        (
            "en",
            "When facing a sudden change:\n\n1. Check the forecast.\n2. Pack a coat.",
            "When facing a sudden change, check the forecast and Pack a coat.",
        ),
    ],
)
def test_faults_that_were_read_in_real_rows_stay_mended(lang: str, text: str, said: str) -> None:
    assert shorten_response(text, lang, max_chars=200) == Spoken(said)
