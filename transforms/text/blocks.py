"""A text as paragraphs and lists of finished sentences."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from transforms.text.markup import Line

MAX_LOOK_AHEAD = 8  # lines between two numbers of one list


@dataclass(frozen=True)
class Item:
    """An item of a list: a label ("Plan:") or "", its sentences, the items below it."""

    label: str
    sentences: tuple[str, ...]
    nested: tuple["Item", ...] = ()


@dataclass(frozen=True)
class Paragraph:
    """Sentences in a row; the last may end with a colon."""

    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """A list. It is not ``complete`` if its end was not read."""

    items: tuple[Item, ...]
    numbered: bool
    complete: bool = True


Block: TypeAlias = Paragraph | Listing


def blocks(lines: Sequence[tuple[Line, list[str]]]) -> list[Block]:
    """The blocks of a text from its lines, each with its finished sentences."""
    found: list[Block] = []
    items: list[Item] = []
    base, number, deep, numbered = 0, 0, False, False

    def close() -> None:
        if items:
            found.append(Listing(tuple(items), numbered))
            items.clear()

    for position, (line, sentences) in enumerate(lines):
        if not sentences:
            continue
        if line.kind in ("item", "label"):
            deep = bool(items) and line.indent > base + 1
            item = Item(sentences[0], tuple(sentences[1:])) if line.kind == "label" else None
            item = item or Item("", tuple(sentences))
            if not deep and items and line.number == 1 and number > 1:
                close()  # the count starts anew: another list
            if not items:
                base, numbered = line.indent, line.number is not None
            if deep:
                items[-1] = replace(items[-1], nested=(*items[-1].nested, item))
            else:
                items.append(item)
                number = line.number or 0
        elif items and (
            line.kind == "more" or (numbered and _resumes(lines, position, base, number + 1))
        ):
            items[-1] = _extended(items[-1], sentences, deep)
        else:
            close()
            last = found[-1] if found else None
            if isinstance(last, Paragraph):
                found[-1] = Paragraph((*last.sentences, *sentences))
            else:
                found.append(Paragraph(tuple(sentences)))
    close()
    return found


def _resumes(lines: Sequence[tuple[Line, list[str]]], start: int, base: int, number: int) -> bool:
    """Whether the list goes on with ``number`` after the text at ``start``."""
    for line, _ in lines[start + 1 : start + MAX_LOOK_AHEAD]:
        if line.kind == "heading":
            return False
        if line.kind in ("item", "label") and line.indent <= base + 1:
            return line.number == number
    return False


def _extended(item: Item, sentences: list[str], deep: bool) -> Item:
    if deep and item.nested:
        *before, last = item.nested
        last = replace(last, sentences=(*last.sentences, *sentences))
        return replace(item, nested=(*before, last))
    return replace(item, sentences=(*item.sentences, *sentences))


def without_last(found: list[Block]) -> list[Block]:
    """``found`` less its last sentence or item, whose end has not been read."""
    *before, last = found
    if isinstance(last, Paragraph):
        return [*before, Paragraph(last.sentences[:-1])] if last.sentences[1:] else before
    if not last.items[1:]:
        return before
    return [*before, replace(last, items=last.items[:-1], complete=False)]
