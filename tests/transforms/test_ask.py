"""The steps that ask: repairs, reasons, context, seeds. Every reply is one that a model gave."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest

from schemas.conversation import Conversation, turn
from schemas.errors import BackendError
from tests.builders import ask_respond, ask_rewrite, conversation, heard, planned_table, run_step
from tests.sound import sine, wav
from transforms.ask import AskingStep
from transforms.backends.chat.protocol import Ask, ChatError, Reply, RequestRefused, Sampling
from transforms.text.rules import InputPolicy


@dataclass
class Said:
    """What was asked of a Scripted model."""

    asks: list[Ask] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Scripted:
    """A model that gives these replies in turn, the last one for ever; an exception is raised."""

    replies: tuple[Any, ...]
    said: Said = field(default_factory=Said)
    sampling: Sampling = Sampling(model="scripted")
    max_in_flight: int = 4
    processes: int = 1

    def identity(self) -> Mapping[str, object]:
        return {"model": "scripted"}

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Scripted"]:
        yield self

    async def complete(self, ask: Ask) -> Reply:
        number = min(len(self.said.asks), len(self.replies) - 1)
        self.said.asks.append(ask)
        given = self.replies[number]
        if isinstance(given, Exception):
            raise given
        reply = Reply(
            text="",
            finish_reason="stop",
            refusal="",
            model="scripted",
            prompt_tokens=10,
            completion_tokens=5,
            attempts=1,
        )
        return {**reply, **(given if isinstance(given, dict) else {"text": given})}  # type: ignore[typeddict-item]


def question(text: str) -> str:
    return json.dumps({"question": text})


def response(text: str) -> str:
    return json.dumps({"response": text})


def rows(step: AskingStep, *conversations: Conversation, spoken: Any = None) -> list[Any]:
    """What the step makes of these conversations; questions are the user turns, or ``spoken``."""
    table = planned_table(conversations).to_pylist()
    for row in table:
        row["questions"] = spoken or [
            {"turn": number, "spoken_text": item["text"], "reasons": []}
            for number, item in enumerate(row["turns"])
            if item["role"] == "user"
        ]
    shown = [{name: row[name] for name in step.reads.names} for row in table]
    return run_step(step, pa.RecordBatch.from_pylist(shown, schema=step.reads))


def codes(item: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in item["reasons"]]


def test_a_good_reply_is_taken_at_once() -> None:
    model = Scripted((question("So, could you name three colors?"),))
    (row,) = rows(ask_rewrite(model), conversation("Name 3 colors.", "Red, green, blue."))
    assert row["questions"][0]["spoken_text"] == "So, could you name three colors?"
    assert row["questions"][0]["reasons"] == []
    assert len(model.said.asks) == 1
    assert row["rewrite_calls"][0]["prompt_tokens"] == 10


def test_leftover_typography_and_digits_are_mended_without_a_second_request() -> None:
    model = Scripted((question("Name 3 colors — “warm” ones; quickly…"),))
    (row,) = rows(ask_rewrite(model), conversation("Name 3 colors.", "Red."))
    assert row["questions"][0]["spoken_text"] == "Name three colors, warm ones, quickly."
    assert len(model.said.asks) == 1


def test_a_flawed_reply_is_asked_for_again_and_the_model_is_told_what_was_wrong() -> None:
    model = Scripted((question("Name some colors."), question("Name three colors.")))
    (row,) = rows(ask_rewrite(model), conversation("Name 3 colors.", "Red."))
    assert row["questions"][0]["spoken_text"] == "Name three colors."
    roles = [role for role, _ in model.said.asks[1].messages]
    assert roles == ["system", "user", "assistant", "user"]
    assert "left out a number of the instruction (3)" in model.said.asks[1].messages[-1][1]
    assert model.said.asks[0].seed != model.said.asks[1].seed
    assert [call["attempt"] for call in row["rewrite_calls"]] == [0, 1]


def test_after_the_last_ask_the_turn_is_rejected_with_every_reason() -> None:
    model = Scripted(("no JSON", question("Name some colors (warm)."), question("Name colors.")))
    (row,) = rows(ask_rewrite(model, max_asks=3), conversation("Name 3 colors.", "Red."))
    assert row["questions"][0]["spoken_text"] == ""
    assert codes(row["questions"][0]) == ["lost_number", "not_json"]
    assert len(model.said.asks) == 3


def test_a_refusal_is_not_asked_for_again() -> None:
    model = Scripted((response("I'm sorry, but I can't help with that."),))
    (row,) = rows(ask_respond(model), conversation("Do it.", "Done."))
    assert codes(row["answers"][0]) == ["refusal"]
    assert len(model.said.asks) == 1


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ({"text": '{"response": "It is', "finish_reason": "length"}, "truncated"),
        ({"text": "", "refusal": "No."}, "refusal"),
        ("", "empty_reply"),
        ("<think>Well, the user", "reasoning_leak"),
        (
            response("Bonjour, je ne sais pas ce que vous voulez dire par tout cela."),
            "wrong_language",
        ),
        (response("See https://example.org/a/b?c=1&d=2 for more."), "url"),
        (response("```python\nprint(1)\n```"), "code"),
        (response("What is the tallest mountain of all? It is tall."), "repeats"),
        (response("It is very tall. " * 40), "too_long"),
        (response("I am Claude, and I know it."), "names_a_model"),
    ],
)
def test_each_way_to_answer_badly_has_its_reason(reply: Any, code: str) -> None:
    (row,) = rows(
        ask_respond(Scripted((reply,)), max_asks=1),
        conversation("What is the tallest mountain of all?", ""),
    )
    assert code in codes(row["answers"][0])
    assert row["answers"][0]["spoken_text"] == ""


def test_closed_reasoning_is_taken_off_and_the_answer_is_used() -> None:
    model = Scripted(("<think>They want it short.</think>" + response("It is Everest."),))
    (row,) = rows(ask_respond(model), conversation("What is the tallest mountain?", ""))
    assert row["answers"][0]["spoken_text"] == "It is Everest."


def test_a_dialogue_is_answered_turn_by_turn_with_what_was_said_before() -> None:
    model = Scripted((response("First."), response("Second.")))
    said = conversation("One?", "x", "Two?", "y", system="Be kind.")
    (row,) = rows(ask_respond(model), said)
    assert [item["spoken_text"] for item in row["answers"]] == ["First.", "Second."]
    shown = model.said.asks[1].messages[1][1]
    assert "user: One? / assistant: First." in shown
    assert "Be kind." in shown
    assert "x" not in shown.replace("exchange", "")


def test_what_follows_an_unusable_turn_is_not_asked_for() -> None:
    model = Scripted(("nothing",))
    (row,) = rows(ask_respond(model, max_asks=1), conversation("One?", "x", "Two?", "y"))
    assert [codes(item) for item in row["answers"]] == [["not_json"], ["not_asked"]]
    assert len(model.said.asks) == 1


def test_the_sources_answer_is_shown_only_where_the_job_says_so() -> None:
    for use in (False, True):
        model = Scripted((response("It is so."),))
        rows(ask_respond(model, use_reference=use), conversation("Is it?", "REFERENCE"))
        assert ("REFERENCE" in model.said.asks[0].messages[1][1]) == use


def test_one_rows_error_is_its_own() -> None:
    model = Scripted((RequestRefused("HTTP 400: bad"), question("Name a fruit.")))
    bad, good = rows(
        ask_rewrite(model), conversation("Name a color.", "x"), conversation("Name a fruit.", "y")
    )
    assert bad["rewrite_error"]["error_class"] == "RequestRefused"
    assert not bad["rewrite_error"]["retryable"]
    assert good["rewrite_error"] is None
    assert good["questions"][0]["spoken_text"] == "Name a fruit."


def test_a_row_that_fails_keeps_the_calls_that_it_made() -> None:
    model = Scripted((question("Name some colors."), ChatError("gone", retryable=True)))
    (row,) = rows(ask_rewrite(model), conversation("Name 3 colors.", "x"))
    assert row["rewrite_error"]["retryable"]
    assert len(row["rewrite_calls"]) == 1


def test_an_error_of_the_whole_backend_is_no_rows_error() -> None:
    with pytest.raises(BackendError, match="gone"):
        rows(ask_rewrite(Scripted((BackendError("gone"),))), conversation("Name it.", "x"))


def test_seeds_follow_from_row_step_turn_and_attempt_alone() -> None:
    def seeds(*conversations: Conversation) -> set[int]:
        model = Scripted(("no",))
        rows(ask_rewrite(model, max_asks=2), *conversations)
        return {ask.seed for ask in model.said.asks}

    one, other = conversation("Name it.", "x"), conversation("Say it.", "x")
    assert len(seeds(one)) == 2
    assert seeds(one, other) == seeds(one) | seeds(other)
    assert not seeds(one) & seeds(other)


def test_a_turn_with_audio_is_left_as_it_was_said_and_not_asked_for() -> None:
    clip = wav(sine(440.0, 0.3))
    model = Scripted((question("never"),))
    (row,) = rows(ask_rewrite(model), conversation(heard("hello there", clip), "Hi."))
    assert row["questions"][0]["spoken_text"] == "hello there"
    assert model.said.asks == []


@pytest.mark.parametrize(
    ("policy", "text", "code", "shown"),
    [
        (InputPolicy.MERGE, "a red apple", "", True),
        (InputPolicy.MERGE, "a red apple " * 30, "input_too_long", False),
        (InputPolicy.REJECT, "a red apple", "input_not_allowed", False),
        (InputPolicy.IGNORE, "a red apple", "", False),
        (InputPolicy.REJECT, "<noinput>", "", False),
    ],
)
def test_a_rows_input_follows_the_jobs_policy(
    policy: InputPolicy, text: str, code: str, shown: bool
) -> None:
    model = Scripted((question("Describe it."),))
    row = conversation("Describe it.", "x")
    row["turns"][0] = turn("user", "Describe it.", input=text)
    (made,) = rows(ask_rewrite(model, input_policy=policy), row)
    assert codes(made["questions"][0]) == ([code] if code else [])
    assert bool(model.said.asks) == (not code)
    assert ("red apple" in str(model.said.asks)) == shown


@pytest.mark.parametrize("row", [conversation("", "x"), conversation("Dis-moi.", "x", lang="fr")])
def test_what_cannot_be_rewritten_costs_no_request(row: Conversation) -> None:
    model = Scripted((question("never"),))
    (made,) = rows(ask_rewrite(model), row)
    assert codes(made["questions"][0])
    assert model.said.asks == []


def test_rows_are_asked_for_side_by_side() -> None:
    @dataclass(frozen=True, eq=False)
    class Slow(Scripted):
        async def complete(self, ask: Ask) -> Reply:
            reply = await Scripted.complete(self, ask)
            for _ in range(200):
                await asyncio.sleep(0.001)
                if len(self.said.asks) == 8:
                    return reply
            raise ChatError("the others never came")

    model = Slow((question("Name it."),))
    made = rows(ask_rewrite(model), *(conversation(f"Name it {'so ' * n}.", "x") for n in range(8)))
    assert [row["rewrite_error"] for row in made] == [None] * 8


def test_german_rows_are_asked_for_judged_and_repaired_in_german() -> None:
    lost = question("Sag mal, kannst du mir Farben nennen?")
    model = Scripted((lost, question("Sag mal, kannst du mir 3 Farben nennen?")))
    (row,) = rows(ask_rewrite(model), conversation("Nenne 3 Farben.", "Rot.", lang="de"))
    assert row["questions"][0]["spoken_text"] == "Sag mal, kannst du mir drei Farben nennen?"
    told = [content for _, content in model.said.asks[1].messages]
    assert told[1].startswith("Anweisung: Nenne 3 Farben.")
    assert "eine Zahl der Anweisung fehlte" in told[-1]
    english = response("Red, green and blue are the colors of the screen, and that is it.")
    model = Scripted((english,) * 3)
    (row,) = rows(ask_respond(model), conversation("Nenne drei Farben.", "Rot.", lang="de"))
    assert "wrong_language" in codes(row["answers"][0])
    assert "es war nicht auf Deutsch" in model.said.asks[1].messages[-1][1]
    model = Scripted((response("Rot, Grün und Blau, und alle 3 sind schön."),))
    (row,) = rows(ask_respond(model), conversation("Nenne drei Farben.", "Rot.", lang="de-AT"))
    assert row["answers"][0]["spoken_text"] == "Rot, Grün und Blau, und alle drei sind schön."
