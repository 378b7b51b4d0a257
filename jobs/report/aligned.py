"""The words of an utterance on its time axis, where alignment gave their times."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jobs.report.words import clipped

MAX_WORDS: Final = 150
MAX_WORD: Final = 40  # characters


@dataclass(frozen=True)
class Spoken:
    """A word, where it begins and how long it is, in percent of the clip."""

    word: str
    left: float
    width: float
    start_s: float
    end_s: float


def spoken_words(words: Any, duration_s: float) -> list[Spoken]:  # noqa: ANN401 - JSON
    """The first MAX_WORDS words. What is no [word, start_s, end_s] within the clip is left out."""
    found = []
    for item in _triples(words if isinstance(words, list) else []):
        word, start_s, end_s = item
        if not (0 <= start_s < end_s <= duration_s + 0.05) or not math.isfinite(end_s):
            continue
        left, width = (100 * value / duration_s for value in (start_s, end_s - start_s))
        found.append(
            Spoken(clipped(word, MAX_WORD), round(left, 2), round(width, 2), start_s, end_s)
        )
    return found[:MAX_WORDS]


def _triples(words: Iterable[Any]) -> Iterable[tuple[str, float, float]]:
    for item in words:
        if isinstance(item, Mapping):
            item = [item.get("word"), item.get("start_s"), item.get("end_s")]
        match item:
            case [str() as word, int() | float() as start, int() | float() as end]:
                yield word, float(start), float(end)
