"""How lists are spoken: as one sentence, in sequence, or by their labels alone."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import IntEnum

from transforms.text.blocks import Block, Item, Listing, Paragraph
from transforms.text.language import Language
from transforms.text.markup import MARKED
from transforms.text.spoken import lead_over

MAX_PHRASE_CHARS = 60  # of an item that is spoken inside a sentence with the others
MAX_PHRASE_WORDS = 9
MAX_LABEL_CHARS = 50  # of a first sentence that may stand for its item
_ENDS = ".。:： ,，"
_FIRST_WORD = re.compile(r"[^\s,.;:?!]+")
_MEASURE = "个种点条项步款本部首类样大件句"


class Form(IntEnum):
    """How much of each item of a list is said."""

    FULL = 0
    FIRST = 1  # its label and first sentence
    LABEL = 2  # its label, or a short first sentence


def spoken(found: Iterable[Block], table: Language, form: Form = Form.FULL) -> list[str] | None:
    """The sentences of all blocks, lists in ``form``; None if a list has no such form."""
    out: list[str] = []
    for block in found:
        if isinstance(block, Paragraph):
            out += block.sentences
            continue
        listed = say_list(block, table, form, out[-1] if out else "")
        if listed is None:
            return None
        out = with_list(out, listed, table)
    return out


def with_list(before: list[str], listed: list[str], table: Language) -> list[str]:
    """Sentences and a list after them; one of phrases goes on with the sentence before it."""
    if before and len(listed) == 1:
        before = [*before[:-1], lead_over(before[-1], table)]
    return before + listed


def say_list(listing: Listing, table: Language, form: Form, intro: str) -> list[str] | None:
    """The sentences of a list after ``intro``, or None where it has no such form.

    Short items become one sentence ("red, blue, and green"). The others are opened by ordinals
    ("First, ...") where they were numbered, and by "then" where the introduction speaks of steps.
    """
    if form is not Form.FULL and any(MARKED.search(text) for text in _texts(listing.items)):
        return None  # what was left out may be the point: no shorter form hides it
    if form is Form.LABEL:
        labels = [_label(item) for item in listing.items]
        shown = [label for label in labels if label is not None]
        if len(shown) < len(labels) or not _tell_apart(shown):
            return None
        return [enumerate_phrases(shown, table)]
    if form is Form.FIRST and any(
        item.sentences[:1][0][-1] in ":：" for item in listing.items if item.sentences
    ):
        return None
    phrases = _phrases(listing.items)
    if phrases is not None and len(phrases) > 1:
        return [enumerate_phrases(phrases, table)]
    openers = _openers(listing, table, intro)
    out: list[str] = []
    for opener, item in zip(openers, listing.items, strict=True):
        sentences = _item(item, table, form)
        if opener:
            sentences[0] = opener + lower_first(sentences[0], table)
        out += sentences
    return out


def _texts(items: Iterable[Item]) -> Iterable[str]:
    for item in items:
        yield from (item.label, *item.sentences)
        yield from _texts(item.nested)


def _item(item: Item, table: Language, form: Form) -> list[str]:
    sentences = list(item.sentences if form is Form.FULL else item.sentences[:1])
    if item.label and len(sentences) == 1 and len(sentences[0].split()) <= MAX_PHRASE_WORDS // 2:
        sentences = [item.label.rstrip(_ENDS) + _pause(table) + sentences[0]]
    elif item.label:
        sentences = [item.label, *sentences]
    if item.nested and form is Form.FULL:
        phrases = _phrases(item.nested)
        if phrases is not None:
            sentences.append(enumerate_phrases(phrases, table))
        else:
            for below in item.nested:
                sentences += _item(below, table, form)
    return sentences


def _pause(table: Language) -> str:
    return table.comma + table.joiner


def _phrases(items: Sequence[Item]) -> list[str] | None:
    """The items, if all are short enough to stand in one sentence."""
    found: list[str] = []
    for item in items:
        text = item.label or "".join(item.sentences[:1])
        if item.nested or len(item.sentences) + bool(item.label) != 1 or text[-1:] in "?!？！":
            return None
        phrase = text.rstrip(_ENDS)
        if not _is_phrase(phrase, MAX_PHRASE_CHARS):
            return None
        found.append(phrase)
    return found


def _is_phrase(phrase: str, max_chars: int) -> bool:
    return (
        0 < len(phrase) <= max_chars
        and len(phrase.split()) <= MAX_PHRASE_WORDS
        and not any(mark in phrase for mark in ",，、;.。?？!！")
        and not MARKED.search(phrase)
    )


def _label(item: Item) -> str | None:
    text = (item.label or "".join(item.sentences[:1])).rstrip(_ENDS)
    return text if _is_phrase(text, MAX_LABEL_CHARS) else None


def _tell_apart(labels: list[str]) -> bool:
    """Whether labels say something: "Chapter one, chapter two" does not."""
    _, most = Counter(label.split()[0] for label in labels).most_common(1)[0]
    return most <= (len(labels) + 1) // 2


def enumerate_phrases(phrases: Sequence[str], table: Language) -> str:
    """Red, blue, and green."""
    first, *rest = phrases
    lowered = [lower_first(phrase, table) for phrase in rest]
    alike = all(phrase[:1].islower() for phrase in lowered)  # all lose their capital, or none
    shown = [first, *(lowered if alike else rest)]
    joins = table.lists
    if len(shown) == 1:
        return shown[0] + table.period
    if len(shown) == 2:
        pair = joins.last if any(joins.pair in phrase for phrase in shown) else joins.pair
        return pair.join(shown) + table.period
    return joins.separator.join(shown[:-1]) + joins.last + shown[-1] + table.period


def _openers(listing: Listing, table: Language, intro: str) -> Sequence[str]:
    number = len(listing.items)
    joins = table.lists
    if any(joins.opened.match(item.label or item.sentences[0]) for item in listing.items):
        return [""] * number
    if not listing.numbered or not 2 <= number <= len(joins.ordinals):
        return [""] * number
    if joins.procedure.search(intro):
        first, *then = joins.steps
        between = [then[index % len(then)] for index in range(number - 2)]
        return [first, *between, joins.last_step if listing.complete else then[0]]
    openers = list(joins.ordinals[:number])
    if number > 2 and listing.complete:
        openers[-1] = joins.finally_
    return openers


def lower_first(text: str, table: Language) -> str:
    """``text`` as the continuation of a sentence: its first word loses a capital of position."""
    word = _FIRST_WORD.match(text)
    if word is None or not table.joiner:
        return text
    plain = word[0].replace("'", "")
    if not (plain[1:].islower() or word[0] == "A"):
        return text
    lowered = word[0].lower()
    if lowered in table.requests or lowered in table.openers or table.common.fullmatch(lowered):
        following = text[word.end() :].lstrip()
        is_title = following[:1].isupper() and not following.startswith(("I ", "I'"))
        return text if is_title else text[0].lower() + text[1:]
    return text


def announces(intro: str, table: Language) -> bool:
    """Whether a sentence introduces a list: by its colon or by its words."""
    return leads(intro, table) or table.lists.announces.match(intro) is not None


def leads(sentence: str, table: Language) -> bool:
    """Whether a sentence is nothing without what follows it: "Here is an example:"."""
    return sentence[-1:] in (":", "：") or table.lists.leads.match(sentence) is not None


def promises(text: str, number: int, table: Language, *, at_least: bool) -> bool:
    """Whether ``text`` speaks of ``number`` things, or of that many and more."""
    found = announced_number(text, table)
    return found is not None and (found >= number if at_least else found == number)


def count_of(word: str, table: Language) -> int | None:
    """The number that one of the table's count words stands for."""
    counts = table.lists.counts
    return counts.index(word.lower()) + 2 if word.lower() in counts else None


def announced_number(intro: str, table: Language) -> int | None:
    """How many items an introduction promises ("here are five tips"), if it does."""
    words = intro.lower().replace("-", " ").split()
    for value, word in enumerate(table.lists.counts, start=2):
        if table.joiner:
            if word in words:
                return value
        elif re.search(rf"{word}[{_MEASURE}]", intro):
            return value
    return None
