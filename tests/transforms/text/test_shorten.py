"""An answer keeps its point when it is shortened, or is rejected with the reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.text.rules import Spoken, shorten_response

FRUIT = "Some fruit:\n\n1. **Apple**: It is red, and it is sweet.\n2. **Plum**: It is blue.\n"
LONG = "1. Do the first of all the things.\n2. Do another of them.\n3. Do the last of them."


def said(text: str, max_chars: int, lang: str = "en", asked: str = "") -> str:
    spoken = shorten_response(text, lang, max_chars=max_chars, asked=asked)
    assert not spoken.reasons, spoken.reasons
    return spoken.text


def code(text: str, max_chars: int, lang: str = "en", asked: str = "") -> str:
    spoken = shorten_response(text, lang, max_chars=max_chars, asked=asked)
    assert spoken == Spoken("", spoken.reasons)
    return spoken.reasons[0][0]


@pytest.mark.parametrize(
    ("lang", "text", "wanted"),
    [
        ("en", "They are:\n- red\n- blue\n- green", "They are red, blue, and green."),
        ("en", "The list:\n- Red\n- Blue", "The list. Red and Blue."),
        ("en", "1. Boil the water, then wait.\n2. Add the tea.",
         "First, boil the water, then wait. Second, add the tea."),
        ("en", "Follow these steps:\n1. Boil water, a lot.\n2. Add tea.\n3. Wait a bit.",
         "Follow these steps. First, boil water, a lot. Then, add tea. Finally, wait a bit."),
        ("en", "1. First, do it, now.\n2. Then, rest.", "First, do it, now. Then, rest."),
        ("en", "- **Apple**: red\n- **Plum**: blue", "Apple, red. Plum, blue."),
        ("en", "1. Fruit:\n   - apple\n   - plum\n2. Meat, any.",
         "First, Fruit. Apple and plum. Second, Meat, any."),
        ("en", "| Fruit | Color |\n|---|---|\n| Apple | red |", "Fruit, Color. Apple, red."),
        ("en", "1. Buy some eggs, today.\n\nThey are cheap.\n\n2. Cook them.",
         "First, buy some eggs, today. They are cheap. Second, cook them."),
        ("zh", "水果有：\n1. 苹果\n2. 梨\n3. 桃", "水果有苹果、梨，以及桃。"),
        ("zh", "1. 先烧水，再等。\n2. 加茶。\n3. 喝。",
         "第一，先烧水，再等。第二，加茶。最后，喝。"),
        ("de", "Es sind:\n- rot\n- blau\n- grün", "Es sind rot, blau und grün."),
        ("de", "1. Koche Wasser, viel.\n2. Gib Tee dazu.",
         "Erstens, Koche Wasser, viel. Zweitens, Gib Tee dazu."),
    ],
)  # fmt: skip
def test_a_list_is_spoken_in_sequence(lang: str, text: str, wanted: str) -> None:
    assert said(text, 200, lang) == wanted


@pytest.mark.parametrize(
    ("lang", "text", "wanted"),
    [
        ("en", "Sure! It is five.", "It is five."),
        ("en", "Of course, I can help with that. It is five.", "It is five."),
        ("en", "Certainly. It is five.", "It is five."),
        ("en", "Sure!", "Sure!"),
        ("en", "Certainly not. It is five.", "Certainly not. It is five."),
        ("zh", "当然！是五。", "是五。"),
        ("de", "Natürlich! Es ist fünf.", "Es ist fünf."),
    ],
)
def test_an_opening_that_says_nothing_is_dropped(lang: str, text: str, wanted: str) -> None:
    assert said(text, 200, lang) == wanted


def test_a_list_gets_shorter_before_it_is_cut() -> None:
    assert said(FRUIT, 99) == (
        "Some fruit. First, Apple. It is red, and it is sweet. Second, Plum, It is blue."
    )
    assert said(FRUIT, 40) == "Some fruit. Apple and Plum."
    assert code(FRUIT, 20) == "list_too_long"


def test_a_cut_list_keeps_two_items_or_none() -> None:
    text = (
        "It helps. Reasons:\n- It is quite cheap, now.\n- It is near, too.\n- It is very old, too."
    )
    assert said(text, 70) == "It helps. Reasons. It is quite cheap, now. It is near, too."
    assert said(text, 50) == "It helps."


@pytest.mark.parametrize(
    ("intro", "asked"),
    [
        ("Here are three things:", ""),
        ("It goes so:", "Name three things."),
        ("Follow these steps:", ""),
        ("It goes so:", "Write instructions with steps."),
    ],
)
def test_a_list_with_a_promised_number_or_of_steps_is_never_cut(intro: str, asked: str) -> None:
    text = f"It is easy. {intro}\n{LONG}"
    assert said(text, 80, asked=asked) == "It is easy."
    assert said(text, 110) == said(text, 110, asked="How many?") or "three" in intro


def test_labels_that_tell_nothing_do_not_stand_for_their_items() -> None:
    chapters = "".join(f"{n}. Chapter {n}: The story of the {n} houses, told.\n" for n in (1, 2, 3))
    assert code(chapters, 60) == "list_too_long"


@pytest.mark.parametrize(
    ("lang", "text", "wanted"),
    [
        ("en", "We add them up, slowly. Then we wait for a while. So the answer is 5.",
         "We add them up, slowly. So the answer is five."),
        ("zh", "我们先把它们加起来。然后再等一会儿。所以答案是5。",
         "我们先把它们加起来。所以答案是五。"),
        ("de", "Wir zählen sie langsam. Dann warten wir noch. Die Antwort ist 5.",
         "Wir zählen sie langsam. Die Antwort ist fünf."),
    ],
)  # fmt: skip
def test_a_sentence_that_states_the_answer_is_kept(lang: str, text: str, wanted: str) -> None:
    assert said(text, len(wanted) + 4, lang) == wanted


def test_a_calculation_without_its_result_is_rejected() -> None:
    text = "We add the numbers. First 2 + 3 = 5. And 5 + 1 = 6. And 6 + 2 = 8."
    assert code(text, 50, asked="Calculate the sum.") == "incomplete"
    assert said(text, 50, asked="Tell a story.") == "We add the numbers."


def test_sentences_that_were_asked_for_are_told_whole() -> None:
    text = "One is here today. Two is here today. Three is here today."
    assert code(text, 40, asked="Describe it in 3 sentences.") == "incomplete"
    assert said(text, 60, asked="Describe it in 3 sentences.") == text
    assert (
        said(text, 40, asked="Merge these 5 sentences.") == "One is here today. Two is here today."
    )


def test_a_recipe_is_told_whole_or_not_at_all() -> None:
    text = "A fine cake.\n\nIngredients:\n- an egg\n\nInstructions:\n1. Mix it well.\n2. Bake it."
    assert code(text, 60) == "incomplete"
    assert "an egg" in said(text, 200).lower()


@pytest.mark.parametrize(
    "text",
    [
        "It is so. Here is an example. It goes on and on and on.",
        "It is so. See this:\nx y z and so on.",
    ],
)
def test_a_cut_never_ends_on_an_introduction(text: str) -> None:
    assert said(text, 32) == "It is so."


ITEMS = st.lists(st.sampled_from(["red", "Do it now, please.", "**Plan**: Make one, soon."]))


@given(items=ITEMS, numbered=st.booleans(), max_chars=st.integers(10, 200))
def test_an_answer_never_ends_with_one_item_of_several(
    items: list[str], numbered: bool, max_chars: int
) -> None:
    marks = [f"{n}. " if numbered else "- " for n in range(1, len(items) + 1)]
    lines = "\n".join(mark + item for mark, item in zip(marks, items, strict=True))
    spoken = shorten_response(f"It helps. The list:\n{lines}", "en", max_chars=max_chars)
    if len(items) > 1 and spoken.text not in ("", "It helps."):
        num_said = sum(spoken.text.lower().count(word) for word in ("red", "do it now", "plan"))
        assert num_said >= 2
