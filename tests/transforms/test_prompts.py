"""Prompts: those that ship are whole, and one with a hole that is not there is an error."""

import pytest

from schemas.errors import SettingsError
from transforms.prompts.prompt import HOLES, PARTS, packaged_prompt, parse_prompt

GOOD = (
    "=== system\nRules, $max_chars.\n=== user\nSay: $text\nWith: $input\n=== again\nNo: $problems\n"
)
EVERY = [(step, lang) for step in ("rewrite", "respond") for lang in ("de", "en", "zh")]


@pytest.mark.parametrize(("step", "lang"), EVERY)
def test_the_prompts_that_ship_fill_every_hole(step: str, lang: str) -> None:
    prompt = packaged_prompt(step, lang)
    values = {hole: f"<{hole}>" for hole in HOLES[step]}
    system, user = prompt.messages(values)
    assert system[0] == "system"
    assert "<max_chars>" in system[1]
    assert all(f"<{hole}>" in user[1] for hole in HOLES[step] if hole != "max_chars")
    assert "$" not in system[1] + user[1]
    assert '{"question"' in system[1] or '{"response"' in system[1]


@pytest.mark.parametrize(("step", "lang"), EVERY)
def test_a_prompt_survives_the_way_through_a_manifest(step: str, lang: str) -> None:
    prompt = packaged_prompt(step, lang)
    again = parse_prompt(prompt.to_text(), step, "again")
    assert again.sha256 == prompt.sha256


def test_a_line_without_anything_to_say_is_left_out() -> None:
    prompt = parse_prompt(GOOD, "rewrite", "p")
    values = {"max_chars": "9", "text": "costs $5 {x}", "input": "", "history": ""}
    assert prompt.messages(values)[1] == ("user", "Say: costs $5 {x}")


def test_the_rules_stand_first_and_are_equal_for_all_rows_so_that_servers_cache_them() -> None:
    prompt = packaged_prompt("rewrite", "en")
    one = prompt.messages({"max_chars": "9", "text": "a", "input": "b", "history": ""})
    other = prompt.messages({"max_chars": "9", "text": "c", "input": "", "history": "d"})
    assert one[0] == other[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("$text", "$txt"), "the hole \\$txt; there are"),
        (GOOD.replace("$text", "it"), "lacks the hole \\$text"),
        (GOOD.replace("$problems", ""), "lacks the hole \\$problems"),
        (GOOD.replace("Say:", "Say for $ 5:"), "write \\$\\$ for a dollar sign"),
        (GOOD.replace("=== again", "=== agian"), "lacks the part '=== again'"),
        (GOOD + "=== more\nx\n", "unknown part 'more'"),
        ("Rewrite this: $text", "lacks the part '=== system'"),
        (GOOD.replace("Rules, $max_chars.", "Rules for $text."), "the hole \\$text"),
    ],
)
def test_a_prompt_that_cannot_work_is_an_error_that_names_the_place(text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        parse_prompt(text, "rewrite", "mine.txt")


def test_every_part_changes_the_checksum() -> None:
    plain = parse_prompt(GOOD, "rewrite", "p").sha256
    for word in ("Rules", "Say", "No:"):
        assert parse_prompt(GOOD.replace(word, "Other"), "rewrite", "p").sha256 != plain
    assert parse_prompt(GOOD, "rewrite", "p", "digits: no digits").sha256 != plain
    assert len(PARTS) == 3


@pytest.mark.parametrize("lang", ["de", "zh"])
def test_every_flaw_has_a_name_in_every_language(lang: str) -> None:
    english = [code for code, _ in packaged_prompt("rewrite", "en").problems]
    named = packaged_prompt("rewrite", lang).problems
    assert [code for code, _ in named] == english
    assert (
        len(
            {words for _, words in named}
            & set(dict(packaged_prompt("rewrite", "en").problems).values())
        )
        == 0
    )
