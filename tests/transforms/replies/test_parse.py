"""From raw replies to answers: what is mended, and what is a flaw."""

import pytest

from transforms.replies.parse import answer_in

GOOD = [
    '{"question": "What is it?"}',
    '```json\n{"question": "What is it?"}\n```',
    'Sure! Here it is: {"question": "What is it?"} I hope this helps.',
    '<think>They want {"question": "no"}.</think>{"question": "What is it?"}',
    'so I should say it.</think>\n\n{"question": "What is it?"}',
    '{"Question": "What is it?", "note": "fine"}',
    '{"a": 1} {"question": "What is it?"}',
    '{ broken {"question": "What is it?"}',
    '{"question": "<think>hm</think>What is it?"}',
    ' \n{"question": " What is it? "}\n',
]


@pytest.mark.parametrize("text", GOOD)
def test_an_answer_is_found_among_fences_chatter_and_closed_thoughts(text: str) -> None:
    assert answer_in(text, "question") == ("What is it?", [])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty_reply"),
        ("   \n", "empty_reply"),
        ('{"question": ""}', "empty_reply"),
        ("What is it?", "not_json"),
        ('{"question": "What is', "not_json"),
        ('{"answer": "What is it?"}', "wrong_json"),
        ('{"question": ["What is it?"]}', "wrong_json"),
        ('{"question": null}', "wrong_json"),
        ("<think>Let me see, the user wants", "reasoning_leak"),
        ('{"question": "<think>Let me see"}', "reasoning_leak"),
        ("{" * 100_000, "not_json"),
        ("[" * 100_000, "not_json"),
        ('{"question":' * 5000, "not_json"),
    ],
)
def test_what_holds_no_whole_answer_is_a_flaw(text: str, code: str) -> None:
    answer, flaws = answer_in(text, "question")
    assert answer == ""
    assert [found for found, _ in flaws] == [code]
