"""The embedded "LLM": deterministic rules that put an instruction and its answer into speech.

Rewrite: few fillers, nothing a voice cannot say, numbers as words, the meaning whole (so nothing
is cut). Respond: plain sentences, cut at a sentence end. (LLaMA-Omni, arXiv:2409.06666, appendix.)
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from transforms.text.blocks import Block, blocks, without_last
from transforms.text.clean import clean, has_emoji
from transforms.text.language import Language, language
from transforms.text.lists import lower_first, spoken
from transforms.text.markup import strip_markup
from transforms.text.sentences import join, split
from transforms.text.shorten import shorten
from transforms.text.speakable import Limits, problems
from transforms.text.spoken import finish, introduce, soften, upper_first
from transforms.text.verbalize import verbalize

VERSION = 4  # raised whenever a rule changes what it returns

MAX_ASKED_CHARS = 500
HEAD_FACTOR, HEAD_CHARS = 6, 1500  # of an answer that are read: markup shrinks, lists condense

_NO_INPUT = frozenset(("", "noinput", "no input", "none", "n/a", "无", "无输入", "没有输入"))
_SIGN_ALONE = re.compile(r"\s*[\"'`]?[?!.,;:&%$#@+=/<>^~]{1,2}[\"'`]?\s*(?:\n|$)")

Draw = Callable[[str], float]
LeftOut = Mapping[str, str]  # code of `markup` -> the first such thing


class InputPolicy(StrEnum):
    """What becomes of a row whose Alpaca ``input`` is not empty.

    MERGE speaks it after the instruction when it is short and speakable; else the row is rejected
    with ``input_too_long`` or ``input_not_speakable``. REJECT rejects every such row
    (``input_not_allowed``). IGNORE speaks the instruction alone: only for sources whose
    instructions stand without their input, since the answer may refer to it.
    """

    MERGE = "merge"
    REJECT = "reject"
    IGNORE = "ignore"


@dataclass(frozen=True)
class Spoken:
    """A spoken text, or else the reasons (code, detail) why there is none: never both."""

    text: str
    reasons: tuple[tuple[str, str], ...] = ()


def rewrite_instruction(
    text: str,
    input_text: str,
    lang: str,
    *,
    policy: InputPolicy = InputPolicy.MERGE,
    max_input_chars: int = 200,
    filler_rate: float = 0.2,
    max_chars: int = 400,
    draw: Draw,
) -> Spoken:
    """An instruction as somebody would say it.

    ``draw(label)`` gives a number in [0, 1) that depends on the row alone. The text is whole or
    rejected (``empty_instruction``, ``too_long``, the codes of `problems` and `InputPolicy`).
    """
    table = language(lang)
    if len(text) > 4 * max_chars + 2000:
        return _rejected(
            "too_long", f"{len(text)} characters before rewriting, at most {max_chars}"
        )
    if has_emoji(text) and table.about_emoji.search(text):
        return _rejected("symbols", "it asks about emoji, which no voice can show")
    said, left_out = _whole(text, table)
    if not said:
        return _rejected("empty_instruction", "the instruction is empty")
    if text.rstrip()[-1:].isalnum() and table.questions.fullmatch(said[-1][:-1]):
        said[-1] = said[-1][:-1] + table.question
    given = clean(input_text[: 4 * max_input_chars + 100], table.code).strip()
    if given.strip("<>. ").lower() not in _NO_INPUT and policy is not InputPolicy.IGNORE:
        if policy is InputPolicy.REJECT:
            return _rejected("input_not_allowed", "the row has an input, the policy is reject")
        if len(given) > max_input_chars:
            detail = f"{len(input_text)} characters of input, at most {max_input_chars}"
            return _rejected("input_too_long", detail)
        more, unsaid = _whole(given, table)
        if not more or (reasons := _reasons(_paragraph(more, table), table, math.inf, unsaid)):
            code, detail = reasons[0] if more else ("empty", "nothing to say")
            return _rejected("input_not_speakable", f"{code}: {detail}"[:80])
        if _paragraph(more, table).rstrip(".。") not in _paragraph(said, table):
            said += more
    sentence = _paragraph(said, table)
    if reasons := _reasons(sentence, table, max_chars, left_out):
        return Spoken("", reasons)
    with_filler = _with_filler(sentence, table, filler_rate, draw)
    return Spoken(with_filler if len(with_filler) <= max_chars else sentence)


def shorten_response(text: str, lang: str, *, max_chars: int, asked: str = "") -> Spoken:
    """An answer as speech of at most ``max_chars``; `shorten` says what is left out.

    ``asked`` is the question: what it asks for in number ("three ways") is not cut short.

    Code, tables, URLs, formulas and placeholders in what is said reject it; so does a first
    sentence that does not fit (``too_long``), a first line that is a sign (``symbols``), an answer
    that is of no use in parts (``incomplete``), a list that fits in no form (``list_too_long``),
    or nothing to say (``no_response``).
    """
    table = language(lang)
    head = text[: HEAD_FACTOR * max_chars + HEAD_CHARS]
    found, left_out = _blocks(head, table)
    if _SIGN_ALONE.match(head):
        return _rejected("symbols", "the answer is a sign, which no voice can show")
    whole = len(head) == len(text)
    if not whole and found:
        found = without_last(found)
        if not found:
            return _rejected("too_long", f"the first sentence is above {max_chars} characters")
    if not found:
        return _rejected("no_response", "the answer is empty")
    asked = verbalize(asked[:MAX_ASKED_CHARS], table.code)
    short = shorten(found, table, max_chars, whole=whole, asked=asked)
    if short.reason is not None:
        return Spoken("", (short.reason,))
    said = _paragraph(short.sentences, table)
    reasons = _reasons(said, table, max_chars, left_out)
    return Spoken("", reasons) if reasons else Spoken(said)


def _blocks(text: str, table: Language) -> tuple[list[Block], LeftOut]:
    """A text as blocks of finished sentences, and what of it cannot be said.

    A sentence may be a mark of `markup` where that was, or end with a colon.
    """
    marked = strip_markup(clean(text, table.code))
    plain = soften(verbalize(marked.text, table.code), table)
    lines = plain.split("\n")
    assert len(lines) == len(marked.lines), "a rule removed or made a line"
    found = blocks(
        [
            (
                line,
                [done for raw in split(said, table) if (done := finish(raw, table, capital=False))],
            )
            for line, said in zip(marked.lines, lines, strict=True)
        ]
    )
    return found, dict(reversed(marked.problems))


def _whole(text: str, table: Language) -> tuple[list[str], LeftOut]:
    """All sentences of a text, and what of it cannot be said."""
    found, left_out = _blocks(text, table)
    return spoken(found, table) or [], left_out


def _paragraph(found: list[str], table: Language) -> str:
    """Sentences as one text: after an introduction that leads over, the next one goes on."""
    *before, last = found
    if last[-1] in ":：":
        last = last[:-1].rstrip() + table.period
    out: list[str] = []
    for sentence in [*(introduce(sentence, table) for sentence in before), last]:
        goes_on = bool(out) and (out[-1][-1].isalnum() or out[-1].endswith(table.comma))
        out.append((lower_first if goes_on else upper_first)(sentence, table))
    return join(out, table)


def _reasons(
    text: str, table: Language, max_chars: float, left_out: LeftOut
) -> tuple[tuple[str, str], ...]:
    """What keeps a voice from saying ``text``. Words and seconds are the check step's business."""
    most = int(min(max_chars, 10**9))
    limits = Limits(max_chars=most, max_words=10**9, max_seconds=math.inf)
    found = problems(text, table.code, limits)
    return tuple(
        (code, f"no voice can say {left_out[code]!r}"[:80] if code in left_out else detail)
        for code, detail in found
    )


def _rejected(code: str, detail: str) -> Spoken:
    return Spoken("", ((code, detail),))


def _is_bare(first: str, word: str, table: Language) -> bool:
    """A command of one word, or a code word in front: nobody stumbles into those."""
    if not table.joiner:
        return len(first) < 4
    return (
        len(first.split()) < 2
        or not word.replace("'", "").isalpha()
        or word[1:] != word[1:].lower()
    )


def _with_filler(text: str, table: Language, rate: float, draw: Draw) -> str:
    """``text`` after a filler that suits a question, a request or a statement; or as it is."""
    if text.lower().startswith(table.greetings) or draw("filler") >= rate:
        return text
    first = next(split(text, table))
    word = first.split()[0].strip(",.?!") if table.joiner else first[:2]
    if _is_bare(first, word, table):
        return text
    is_request = word.lower() in table.requests
    fillers = table.fillers
    if is_request and first[-1] == table.period:
        fillers = table.request_fillers
    elif first[-1] == table.question and not is_request:
        fillers = table.question_fillers
    filler = fillers[int(draw("which_filler") * len(fillers))]
    if is_request and table.polite_question and table.polite_question in filler.split():
        text = first[:-1] + table.question + text[len(first) :]
    if not table.joiner:
        return filler + text
    text = lower_first(text, table)
    return f"{filler} {text}"
