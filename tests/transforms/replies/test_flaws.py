"""What is wrong with an answer in itself; and good answers in which nothing is."""

import json
import random
from pathlib import Path

import pytest

from transforms.replies.flaws import flaws_of_answer, flaws_of_reply, repeats
from transforms.text.rules import shorten_response

RULES = "Write only what a voice can say: no lists, brackets, quotation marks, links or symbols."
DATA = Path(__file__).parents[4] / "shared" / "data"


def codes(answer: str, lang: str = "en", source: str = "") -> list[str]:
    return [code for code, _ in flaws_of_answer(answer, lang, told=RULES, source=source)]


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "Sorry, I am unable to answer this.",
        "I cannot assist with that request.",
        "Unfortunately I can't provide that information.",
    ],
)
def test_a_refusal_is_seen(answer: str) -> None:
    assert "refusal" in codes(answer)


@pytest.mark.parametrize("answer", ["抱歉，我无法回答这个问题。", "对不起，我不能提供这样的内容。"])
def test_a_chinese_refusal_is_seen(answer: str) -> None:
    assert "refusal" in codes(answer, "zh")


@pytest.mark.parametrize(
    "answer",
    [
        "I can't wait to see the garden in spring.",
        "I'm sorry to hear that. A warm bath and an early night may help you to feel better.",
        "Unfortunately the museum is closed on Mondays.",
        "You can say that you are sorry, and ask how you can help.",
    ],
)
def test_what_only_sounds_like_a_refusal_is_none(answer: str) -> None:
    assert codes(answer) == []


def test_a_refusal_that_the_row_itself_asks_for_is_none() -> None:
    said = "I'm sorry, but I can't come to the party."
    assert codes(said, source=said) == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("As an AI language model, I have no favorite color.", "names_a_model"),
        ("My name is Qwen and I was made to help.", "names_a_model"),
        (f"{RULES} So what is it?", "prompt_leak"),
        ("the cat sat on the mat and " * 6, "loop"),
        (
            "Bonjour, je ne sais pas ce que vous voulez faire avec tous ces livres.",
            "wrong_language",
        ),
        ("北京是中国的首都，有三千多年的历史。", "wrong_language"),
        ("Это столица большой страны.", "wrong_language"),
    ],
)
def test_leaks_loops_and_other_languages_are_seen(answer: str, code: str) -> None:
    assert code in codes(answer)


def test_english_where_chinese_was_wanted_is_seen() -> None:
    assert "wrong_language" in codes("The capital of China is Beijing.", "zh")
    assert codes("我觉得Python很好学。", "zh") == []


def test_a_model_that_the_question_names_may_be_named() -> None:
    assert codes("Gemini is a sign of the zodiac.", source="What is Gemini?") == []


def test_what_the_server_says_of_a_reply_is_a_flaw() -> None:
    assert flaws_of_reply("length", "")[0][0] == "truncated"
    assert flaws_of_reply("content_filter", "")[0][0] == "refusal"
    assert flaws_of_reply("stop", "I will not.")[0][0] == "refusal"
    assert flaws_of_reply("stop", "") == []


def test_an_answer_that_begins_with_the_whole_question_repeats_it() -> None:
    assert repeats("Why is the sky blue? It is.", "Why is the sky blue?")
    assert not repeats("The sky is blue since light scatters.", "Why is the sky blue?")


def test_garbage_of_a_random_model_is_seen() -> None:
    chance = random.Random(5)
    letters = "abcdefghijklmnopqrstuvwxyz"
    for _ in range(50):
        words = ["".join(chance.choices(letters, k=chance.randint(3, 9))) for _ in range(20)]
        assert "wrong_language" in codes(" ".join(words).capitalize() + ".")


@pytest.mark.parametrize(("name", "lang"), [("alpaca_en_1k", "en"), ("alpaca_zh_1k", "zh")])
def test_few_spoken_answers_of_a_real_corpus_are_called_flawed(name: str, lang: str) -> None:
    found = sorted(DATA.glob(f"**/{name}*"))
    if not found:
        pytest.skip(f"{DATA} holds no {name}")
    alarms, judged = [], 0
    for row in json.loads(found[0].read_text("utf-8"))[:500]:
        said = shorten_response(row["output"], lang, max_chars=260 if lang == "en" else 90).text
        judged += bool(said)
        flaws = set(codes(said, lang, row["instruction"] + row["input"])) if said else set()
        if flaws - {"names_a_model"}:  # these corpora really say "as an AI" now and then
            alarms.append((flaws, said))
    assert judged > 300
    assert len(alarms) <= 0.03 * judged, alarms


@pytest.mark.parametrize(
    "answer",
    [
        "Es tut mir leid, aber dabei kann ich dir nicht helfen.",
        "Leider kann ich diese Frage nicht beantworten.",
        "Ich kann dir bei dieser Anfrage leider nicht weiterhelfen.",
        "Tut mir leid, das darf ich nicht tun.",
    ],
)
def test_a_german_refusal_is_seen(answer: str) -> None:
    assert "refusal" in codes(answer, "de")


@pytest.mark.parametrize(
    "answer",
    [
        "Leider hat das Museum am Montag geschlossen.",
        "Das tut mir leid. Ein warmes Bad und ein früher Abend helfen vielleicht.",
        "Ich kann den Frühling kaum erwarten.",
        "Der Fluss ist breit und ruhig, und die alte Brücke führt über ihn hinüber.",
    ],
)
def test_good_german_is_no_refusal_and_no_other_language(answer: str) -> None:
    assert codes(answer, "de") == []


def test_english_where_german_was_wanted_is_seen_and_the_other_way_round() -> None:
    english = "The river is wide and calm, and the old bridge leads over it."
    german = "Der Fluss ist breit und ruhig, und die alte Brücke führt über ihn."
    assert "wrong_language" in codes(english, "de")
    assert "wrong_language" in codes(german, "en")
    assert "wrong_language" in codes("北京是中国的首都，有三千多年的历史。", "de")
    assert "names_a_model" in codes("Als KI habe ich keine Lieblingsfarbe.", "de")
