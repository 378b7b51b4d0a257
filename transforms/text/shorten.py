"""An answer within a spoken length that keeps its point: the rule that says what is left out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from transforms.text.blocks import Block, Listing, Paragraph
from transforms.text.language import Language
from transforms.text.lists import (
    Form,
    announces,
    count_of,
    leads,
    promises,
    say_list,
    spoken,
    with_list,
)
from transforms.text.markup import MARK
from transforms.text.sentences import join
from transforms.text.spoken import introduce


@dataclass(frozen=True)
class Shortened:
    """The sentences to say, or why (code, detail) there are none."""

    sentences: list[str]
    reason: tuple[str, str] | None = None


def shorten(
    found: Sequence[Block], table: Language, max_chars: int, *, whole: bool, asked: str = ""
) -> Shortened:
    """What to say of an answer.

    ``whole``: all of the answer was read. ``asked``: the question, with its numbers as words.

    An opening that says nothing ("Sure!") goes first. Then, in this order:

    1. the whole answer, its lists in the fullest form in which everything fits (see `Form`);
    2. the longest beginning that fits, each list in the fullest form that fits, and a last
       sentence that states the answer ("So the answer is five.");
    3. of a list that fits in no form, its first items, two at least. A list of steps, or one
       whose introduction or question names its number of items, is whole or left out.

    Nothing is said (``incomplete``) of a recipe, of an answer in a number of sentences that was
    asked for, and of a calculation whose result is left out, unless it is said whole. A cut never
    ends on an introduction, nor with one item of a list of several (``list_too_long``).
    """
    blocks = _without_preamble(list(found), table)
    if whole:
        for form in Form:
            sentences = spoken(blocks, table, form)
            if sentences is not None and length(sentences, table) <= max_chars:
                return Shortened(sentences)
    full = spoken(blocks, table) or []
    if why := _indivisible(full, table, asked):
        return Shortened([], ("incomplete", f"{why}, and it is above {max_chars} characters"))
    kept = _kept(blocks, table, max_chars, whole, asked)
    if not kept:
        first = len(introduce(full[0], table)) if full else 0
        if first > max_chars:
            detail = f"the first sentence has {first} characters, at most {max_chars}"
            return Shortened([], ("too_long", detail))
        return Shortened([], ("list_too_long", f"only its introduction fits into {max_chars}"))
    left_out = [sentence for sentence in full if sentence not in kept]
    if (
        kept[-1] not in full[-1:]
        and table.asks_result.search(asked)
        and _calculates(left_out, table)
    ):
        return Shortened([], ("incomplete", "the result of a calculation would be left out"))
    return Shortened(kept)


def _indivisible(full: list[str], table: Language, asked: str) -> str:
    match = table.asks_sentences.search(asked)
    if match and count_of(match[1], table) == len(full):
        return f"{match[0]!r} were asked for"
    if any(map(table.lists.recipe.fullmatch, full)):
        return "a recipe is of no use in parts"
    return ""


def _kept(
    blocks: list[Block], table: Language, max_chars: int, whole: bool, asked: str
) -> list[str]:
    closing = _closing(blocks, table) if whole else ""
    if not closing:
        return _beginning(blocks, table, max_chars, asked)
    room = max_chars - len(closing) - len(table.joiner)
    kept = _beginning(blocks, table, room, asked)
    if kept:
        return kept if closing in kept else [*kept, closing]
    return _beginning(blocks, table, max_chars, asked) or (
        [closing] if len(closing) <= max_chars else []
    )


def _calculates(sentences: list[str], table: Language) -> bool:
    steps = [text for text in sentences if table.equals.search(text) or MARK["math"] in text]
    return len(steps) > 1


def length(sentences: list[str], table: Language) -> int:
    """Characters of the sentences as they are said."""
    return len(join([introduce(sentence, table) for sentence in sentences], table))


def _without_preamble(blocks: list[Block], table: Language) -> list[Block]:
    first = blocks[0]
    if not isinstance(first, Paragraph) or not table.preambles.fullmatch(first.sentences[0]):
        return blocks
    rest = first.sentences[1:]
    return [Paragraph(rest), *blocks[1:]] if rest else blocks[1:] or blocks


def _closing(blocks: Sequence[Block], table: Language) -> str:
    last = blocks[-1]
    if isinstance(last, Paragraph) and table.closings.match(last.sentences[-1]):
        return last.sentences[-1]
    return ""


def _beginning(blocks: Sequence[Block], table: Language, room: int, asked: str) -> list[str]:
    kept: list[str] = []
    for block in blocks:
        if isinstance(block, Paragraph):
            for sentence in block.sentences:
                if length([*kept, sentence], table) > room:
                    return _without_introduction(kept, table)
                kept.append(sentence)
            continue
        intro = kept[-1] if kept and announces(kept[-1], table) else ""
        before = kept[:-1] if intro else kept
        listed = _fitting(block, table, kept, room, intro)
        if listed is None:
            part = _cut(block, table, kept, room, intro, asked)
            return _without_introduction(with_list(kept, part, table) if part else before, table)
        kept = with_list(kept, listed, table)
    return _without_introduction(kept, table)


def _without_introduction(kept: list[str], table: Language) -> list[str]:
    while kept and leads(kept[-1], table):
        kept = kept[:-1]
    return kept


def _fitting(
    block: Listing, table: Language, kept: list[str], room: int, intro: str
) -> list[str] | None:
    if not block.complete:
        return None
    for form in Form:
        listed = say_list(block, table, form, intro)
        if listed is not None and length(with_list(kept, listed, table), table) <= room:
            return listed
    return None


def _cut(
    block: Listing, table: Language, kept: list[str], room: int, intro: str, asked: str
) -> list[str]:
    number, open_end = len(block.items), not block.complete
    promised = any(promises(text, number, table, at_least=open_end) for text in (intro, asked))
    if promised or any(map(table.lists.procedure.search, (intro, asked))):
        return []
    for count in range(len(block.items) - block.complete, 1, -1):
        part = replace(block, items=block.items[:count], complete=False)
        for form in Form:
            listed = say_list(part, table, form, intro)
            if listed is not None and length(with_list(kept, listed, table), table) <= room:
                return listed
    return []
