"""The adapters: from a raw row in a known layout to a Conversation."""

import difflib
from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeAlias

from jobs.sources.fields import (
    Defaults,
    conversation,
    detect_lang,
    malformed,
    optional_text,
    require_list,
    require_object,
    require_text,
    turn_text,
)
from jobs.sources.messages import adapt_messages, role_of
from schemas.conversation import Conversation, turn
from schemas.errors import SettingsError

__all__ = [
    "ADAPTERS",
    "LAYOUTS",
    "Adapter",
    "Defaults",
    "adapt_alpaca",
    "adapt_messages",
    "adapt_plain",
    "adapt_sharegpt",
    "detect_lang",
    "fitting_adapter",
    "get_adapter",
]

Adapter: TypeAlias = Callable[[object, Defaults], Conversation]
SHAREGPT_ROLES: Final = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
LAYOUTS: Final = {
    "alpaca": "instruction, input, output",
    "sharegpt": "conversations: from, value",
    "messages": "messages: role, content",
    "plain": "instruction, input, response",
}


def adapt_alpaca(value: object, defaults: Defaults) -> Conversation:
    """A row of ``instruction``, optional ``input`` and ``output``; without output: an empty answer.

    Raises MalformedRow.
    """
    return _adapt_instruction(value, defaults, "alpaca", "output", ("plain", "response"))


def adapt_plain(value: object, defaults: Defaults) -> Conversation:
    """A row of ``instruction``, optional ``input`` and ``response``; else as ``alpaca``."""
    return _adapt_instruction(value, defaults, "plain", "response", ("alpaca", "output"))


def _adapt_instruction(
    value: object, defaults: Defaults, who: str, answer: str, other: tuple[str, str]
) -> Conversation:
    row = require_object(value, who, f"an object with 'instruction' and '{answer}'")
    other_adapter, other_answer = other
    if answer not in row and isinstance(row.get(other_answer), str):
        # The answer is there under the other layout's name: to read an empty one would lose it.
        malformed(
            who,
            f"'{answer}' is missing and '{other_answer}' is there",
            f"'{answer}'",
            f"use adapter '{other_adapter}'",
        )
    instruction = require_text(row, "instruction", who)
    turns = [
        turn("user", instruction, input=optional_text(row, "input", who)),
        turn("assistant", optional_text(row, answer, who)),
    ]
    return conversation(row, turns, defaults, who)


def adapt_sharegpt(value: object, defaults: Defaults) -> Conversation:
    """A row of ``conversations`` (or ``conversation``): turns of ``from`` and ``value``.

    Raises MalformedRow.
    """
    row = require_object(value, "sharegpt", "an object with 'conversations'")
    has_short_name = row.get("conversations") is None and "conversation" in row
    key = "conversation" if has_short_name else "conversations"
    turns = []
    for index, item in enumerate(require_list(row, key, "sharegpt"), start=1):
        who = f"sharegpt: turn {index}"
        said = require_object(item, who, "an object with 'from' and 'value'")
        role = role_of(said, "from", who, SHAREGPT_ROLES)
        turns.append(turn(role, turn_text(said, "value", who, role)))
    return conversation(row, turns, defaults, "sharegpt")


ADAPTERS: Final[Mapping[str, Adapter]] = {
    "alpaca": adapt_alpaca,
    "sharegpt": adapt_sharegpt,
    "messages": adapt_messages,
    "plain": adapt_plain,
}


def get_adapter(name: str, more: Collection[str] = ()) -> Adapter:
    """The adapter of this name. Raises SettingsError, naming the nearest one, of ``more`` too."""
    if name not in ADAPTERS:
        known = (*ADAPTERS, *more)
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        cure = f"did you mean '{nearest[0]}'?" if nearest else "name one of these"
        raise SettingsError(
            f"source adapter: '{name}' arrived; wanted one of {', '.join(known)}; {cure}"
        )
    return ADAPTERS[name]


def fitting_adapter(value: object) -> str | None:
    """The adapter whose layout the keys of this row have, or None."""
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("messages"), list):
        return "messages"
    if any(isinstance(value.get(key), list) for key in ("conversations", "conversation")):
        return "sharegpt"
    if "instruction" in value:
        return "plain" if "response" in value and "output" not in value else "alpaca"
    return None
