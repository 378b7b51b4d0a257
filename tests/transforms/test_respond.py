"""Answers are shortened with their question in view, and reasons quote what cannot be said."""

import pyarrow as pa

from schemas.conversation import Turn, turn
from transforms.respond import Respond
from transforms.spoken import SpokenTurn

LIST = "It is easy.\n1. Do one of the things.\n2. Do another thing.\n3. Do the last thing."


def answers(*turns: Turn, max_chars: int = 60) -> list[SpokenTurn]:
    step = Respond(max_chars=(("default", max_chars),))
    batch = pa.RecordBatch.from_pylist([{"lang": "en", "turns": list(turns)}], schema=step.reads)
    with step.open({}) as respond:
        said: list[SpokenTurn] = respond(batch).column("answers").to_pylist()[0]
    return said


def test_an_answer_is_cut_by_what_its_own_question_asks() -> None:
    free, counted = answers(
        turn("user", "What helps?"),
        turn("assistant", LIST),
        turn("user", "Name three things."),
        turn("assistant", LIST),
    )
    assert free["spoken_text"] == "It is easy. Do one of the things and do another thing."
    assert counted["spoken_text"] == "It is easy."


def test_a_reason_quotes_what_no_voice_can_say() -> None:
    (said,) = answers(turn("user", "How?"), turn("assistant", "Run `x[0] = 1` now."))
    assert [(item["code"], item["detail"]) for item in said["reasons"]] == [
        ("code", "no voice can say 'x[0] = 1'")
    ]
