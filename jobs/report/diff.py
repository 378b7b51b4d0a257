"""What became of a text: its words, marked where the other side lacks them."""

import difflib
import re
from collections.abc import Sequence
from typing import Final, TypeAlias

Place: TypeAlias = tuple[int, int]  # which text, which piece of it
Parts: TypeAlias = list[tuple[bool, str]]  # (marked, text), in order; texts join to the whole
MAX_WORDS: Final = 1200  # of both sides together; longer texts are not compared
MIN_RATIO: Final = 0.3  # with less in common the marks would only be in the way
# a list's number, one letter of a script without spaces, a word, a run of spaces, or one mark
PIECES: Final = re.compile(
    r"(?<![^\s])\d+[.)](?=\s)|"
    r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u0e00-\u0eff\u3040-\u9fff]+|\s+|."
)


def differences(before: Sequence[str], after: str) -> tuple[list[Parts], Parts]:
    """The texts of ``before``, what ``after`` lacks of them marked, and ``after`` likewise.

    Case counts, spaces do not. Unmarked where the texts are too long or share too little.
    """
    pieces = [*map(PIECES.findall, before), PIECES.findall(after)]
    marked: set[tuple[int, int]] = set()
    for gone, new in _changed(pieces) or []:
        marked.update([*gone, *new])
    shown = [
        _parts(text, [(n, place) in marked for place in range(len(text))])
        for n, text in enumerate(pieces)
    ]
    return shown[:-1], shown[-1]


def changes(before: Sequence[str], after: str) -> list[tuple[str, str]] | None:
    """What was put in the place of what, in order; None if too much differs to say."""
    pieces = [*map(PIECES.findall, before), PIECES.findall(after)]
    found = _changed(pieces)
    if found is None:
        return None
    return [(_between(pieces, gone), _between(pieces, new)) for gone, new in found]


def _changed(pieces: Sequence[list[str]]) -> list[tuple[list[Place], list[Place]]] | None:
    """The runs of words that differ between all texts but the last, and the last."""
    # places of the words, without the spaces between them
    words = [
        [(n, place) for place, piece in enumerate(text) if not piece.isspace()]
        for n, text in enumerate(pieces)
    ]
    left, right = [place for text in words[:-1] for place in text], words[-1]
    if not left or not right or len(left) + len(right) > MAX_WORDS:
        return None
    one, other = ([pieces[n][place] for n, place in side] for side in (left, right))
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    if matcher.ratio() < MIN_RATIO:
        return None
    return [
        (left[a:b], right[c:d]) for kind, a, b, c, d in matcher.get_opcodes() if kind != "equal"
    ]


def _between(pieces: Sequence[list[str]], places: Sequence[Place]) -> str:
    """The text from the first of some consecutive words to the last."""
    texts: dict[int, list[int]] = {}
    for n, place in places:
        texts.setdefault(n, []).append(place)
    return " ".join("".join(pieces[n][at[0] : at[-1] + 1]) for n, at in texts.items())


def _parts(pieces: Sequence[str], flags: list[bool]) -> Parts:
    """Runs of marked and of other pieces; a space is marked only between two marked pieces."""
    for place, piece in enumerate(pieces):
        if piece.isspace():
            around = flags[max(0, place - 1) : place] + flags[place + 1 : place + 2]
            flags[place] = len(around) == 2 and all(around)
    parts: Parts = []
    for flag, piece in zip(flags, pieces, strict=True):
        if parts and parts[-1][0] == flag:
            parts[-1] = (flag, parts[-1][1] + piece)
        else:
            parts.append((flag, piece))
    return parts
