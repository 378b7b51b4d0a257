"""From a raw reply to the answer it holds: tolerant of fences and chatter, not of half answers."""

import json
import re
from typing import Any

Flaw = tuple[str, str]  # code, detail
_THOUGHT = re.compile(r"<(think|thinking|thought|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
_THOUGHT_END = re.compile(r"</(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_THOUGHT_START = re.compile(r"<(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_DECODER = json.JSONDecoder(strict=False)
MAX_OBJECTS = 50  # that are tried in one reply


def without_thoughts(text: str) -> tuple[str, list[Flaw]]:
    """A reply without its closed reasoning; reasoning that never ends is a flaw."""
    text = _THOUGHT.sub("", text)
    ends = list(_THOUGHT_END.finditer(text))  # the template may have opened it
    if ends:
        text = text[ends[-1].end() :]
    if _THOUGHT_START.search(text):
        return "", [("reasoning_leak", "the reply is reasoning without an end")]
    return text.strip(), []


def answer_in(text: str, answer_key: str) -> tuple[str, list[Flaw]]:
    """The string under ``answer_key`` in the first JSON object that has it, or the flaw."""
    text, flaws = without_thoughts(text)
    if flaws:
        return "", flaws
    if not text:
        return "", [("empty_reply", "the reply is empty")]
    start, seen = text.find("{"), False
    for _ in range(MAX_OBJECTS):
        if start < 0:
            break
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            start = text.find("{", start + 1)
            continue
        seen = True
        found = _under(value, answer_key)
        if isinstance(found, str):
            answer, flaws = without_thoughts(found)
            return answer, flaws or ([] if answer else [("empty_reply", "the answer is empty")])
        start = text.find("{", end)
    if seen:
        return "", [("wrong_json", f"no text under the key '{answer_key}'")]
    return "", [("not_json", f"no whole JSON object, got {text[:40]!r}")]


def _under(value: Any, answer_key: str) -> object:  # noqa: ANN401 - whatever JSON holds
    if not isinstance(value, dict):
        return None
    return next((item for key, item in value.items() if key.strip().lower() == answer_key), None)
