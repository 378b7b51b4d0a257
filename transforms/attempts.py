"""Synthesize, check, try again: what each attempt changes, and how attempts are compared.

The score of an attempt is the least of the marks that its measures earn, each from 0 to 1:

    alignment   0 if the text finds no path through the audio; else align_score from -3.5 (0) to
                -1 (1), and no more than 1 - align_low_words
    pace        letters per second, as wide as speech gets: 1 inside the language's bounds, 0 at
                half of the lower and twice the upper one
    pauses      1 up to 1.5 s of silence anywhere, 0 from 3 s
    clipping    1 - clipped_fraction / 0.02

The first of the best attempts ships. ``retry_below`` says with what score one is content.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.utterance import Attempt, Measure, value_of

RATES: Final = (1.0, 0.9, 0.81, 1.05)  # slower first; then again from the start
ALIGN_BOUNDS: Final = (-3.5, -1.0)
PAUSE_BOUNDS_S: Final = (1.5, 3.0)
MAX_CLIPPED: Final = 0.02
PACE: Final = {"en": (4.0, 30.0), "zh": (1.5, 12.0)}  # letters per second; none: no mark
RESPELL_FROM: Final = 2  # the attempt from which odd words are spelled out
_ACRONYM: Final = re.compile(r"\b[B-DF-HJ-NP-TV-Z]{2,5}\b")  # capitals without a vowel
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_HYPHEN: Final = re.compile(r"(?<=\w)-(?=\w)")


@dataclass(frozen=True)
class Variation:
    """What one attempt does otherwise than the first."""

    number: int
    rate: float  # a factor on the voice's own
    seed: int  # for backends that draw
    text: str


def variation(number: int, text: str, lang: str, seed: int, key: str, turn: int) -> Variation:
    """The attempt ``number`` at a text: a function of its arguments and of nothing else."""
    label = f"{seed}\x1f{key}\x1f{turn}\x1f{number}".encode()
    drawn = int.from_bytes(hashlib.sha256(label).digest()[:4], "big") >> 1
    again = number >= RESPELL_FROM and lang == "en"
    return Variation(number, RATES[number % len(RATES)], drawn, respell(text) if again else text)


def respell(text: str) -> str:
    """English words that voices stumble over, spelled out: MRI, JavaScript, eight-character."""
    spaced = _ACRONYM.sub(lambda found: " ".join(found.group()), text)
    return _HYPHEN.sub(" ", _CAMEL.sub(" ", spaced))


def score(measures: Sequence[Measure], lang: str) -> float:
    """The mark of an attempt, 0 to 1, by the least of its marks; 1 if nothing was measured."""
    marks = [1.0]
    aligned = value_of(measures, "aligned")
    if aligned is not None:
        fit, low = value_of(measures, "align_score"), value_of(measures, "align_low_words")
        marks.append(0.0 if fit is None else _ramp(fit, *ALIGN_BOUNDS))
        marks.append(1.0 if low is None else 1.0 - low)
    pace = value_of(measures, "chars_per_s")
    if pace is not None and lang in PACE:
        slow, fast = PACE[lang]
        marks.append(min(_ramp(pace, slow / 2, slow), _ramp(-pace, -2 * fast, -fast)))
    for name in ("leading_silence_s", "longest_silence_s", "trailing_silence_s"):
        silent = value_of(measures, name)
        if silent is not None:
            marks.append(_ramp(-silent, -PAUSE_BOUNDS_S[1], -PAUSE_BOUNDS_S[0]))
    clipped = value_of(measures, "clipped_fraction")
    if clipped is not None:
        marks.append(1.0 - min(1.0, clipped / MAX_CLIPPED))
    return round(min(marks), 6)


def best(attempts: Sequence[Attempt]) -> int:
    """The position of the attempt to keep: the best score, and of equal ones the first."""
    good = [place for place, item in enumerate(attempts) if not item["error"]]
    return max(good, key=lambda place: (attempts[place]["score"], -place))


def _ramp(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))
