"""An answer within a spoken length that keeps its point: the rule that says what is left out."""

from collections.abc import Sequence
from dataclasses import replace

from transforms.text.blocks import (
    Block,
    Form,
    Listing,
    Paragraph,
    announced_number,
    announces,
    say_list,
    spoken,
)
from transforms.text.language import Language
from transforms.text.sentences import join
from transforms.text.spoken import introduce


def shorten(found: Sequence[Block], table: Language, max_chars: int, *, whole: bool) -> list[str]:
    """The sentences to say; [] if none keep the point. ``whole``: all of the answer was read.

    An opening that says nothing ("Sure!") goes first. Then, in this order:

    1. the whole answer, its lists in the fullest form in which everything fits (see `Form`);
    2. the longest beginning that fits, each list in the fullest form that fits, and a last
       sentence that states the answer ("So the answer is five.");
    3. of a list that fits in no form, its first items, two at least. A list of steps, or one
       whose introduction promises a number of items, is whole or left out.

    It never ends on an introduction, nor with one item of a list of several.
    """
    blocks = _without_preamble(list(found), table)
    if whole:
        for form in Form:
            sentences = spoken(blocks, table, form)
            if sentences is not None and length(sentences, table) <= max_chars:
                return sentences
    closing = _closing(blocks, table) if whole else ""
    room = max_chars - (len(closing) + len(table.joiner) if closing else 0)
    kept = _beginning(blocks, table, room)
    if not kept and closing:
        kept, closing = _beginning(blocks, table, max_chars), ""
    if closing and closing not in kept:
        kept.append(closing)
    return kept


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


def _beginning(blocks: Sequence[Block], table: Language, room: int) -> list[str]:
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
            part = _cut(block, table, kept, room, intro)
            return _without_introduction(kept + part if part else before, table)
        kept += listed
    return _without_introduction(kept, table)


def _without_introduction(kept: list[str], table: Language) -> list[str]:
    while kept and kept[-1][-1] in ":：":
        kept = kept[:-1]
    return kept


def _fitting(
    block: Listing, table: Language, kept: list[str], room: int, intro: str
) -> list[str] | None:
    if not block.complete:
        return None
    for form in Form:
        listed = say_list(block, table, form, intro)
        if listed is not None and length([*kept, *listed], table) <= room:
            return listed
    return None


def _cut(block: Listing, table: Language, kept: list[str], room: int, intro: str) -> list[str]:
    number = announced_number(intro, table)
    promised = number is not None and (not block.complete or number == len(block.items))
    if promised or table.lists.procedure.search(intro):
        return []
    for count in range(len(block.items) - block.complete, 1, -1):
        part = replace(block, items=block.items[:count], complete=False)
        for form in Form:
            listed = say_list(part, table, form, intro)
            if listed is not None and length([*kept, *listed], table) <= room:
                return listed
    return []
