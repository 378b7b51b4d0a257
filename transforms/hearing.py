"""What listening to one utterance gives: measures from an alignment, a transcript, a VAD.

Pure functions; docs/checks.md says what each measure means and where its thresholds come from.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.utterance import Measure, Word, taken, unavailable
from transforms.backends.listening import Alignment

ALIGN_MEASURES: Final = ("align_low_words", "align_score", "aligned")
ASR_MEASURES: Final = ("asr_cer", "asr_wer")
VAD_MEASURES: Final = (
    "speech_fraction",
    "vad_leading_s",
    "vad_longest_pause_s",
    "vad_trailing_s",
)
LOW_FIT: Final = -4.0  # nats per frame: a word of another text, seldom one that was said
SPEECH_PROBABILITY: Final = 0.5  # silero's own threshold
WINDOW_S: Final = 0.032


def align_measures(alignment: Alignment | None) -> list[Measure]:
    """``aligned`` 0 or 1; where 1, the fit over all words and the fraction of those that do not."""
    if alignment is None:
        return [unavailable(name) for name in ALIGN_MEASURES]
    if not alignment.words:
        return [
            unavailable("align_low_words"),
            unavailable("align_score"),
            taken("aligned", 0.0),
        ]
    lengths = [word.end_s - word.start_s for word in alignment.words]
    fit = sum(word.fit * length for word, length in zip(alignment.words, lengths, strict=True))
    low = sum(word.fit < LOW_FIT for word in alignment.words)
    return [
        taken("align_low_words", low / len(alignment.words)),
        taken("align_score", fit / sum(lengths)),
        taken("aligned", 1.0),
    ]


def aligned_words(alignment: Alignment | None) -> list[Word]:
    """The words and their times, in the form that the WORD struct holds."""
    return [
        {"word": item.word, "start_s": round(item.start_s, 3), "end_s": round(item.end_s, 3)}
        for item in (alignment.words if alignment is not None else ())
    ]


def asr_measures(said: list[str], heard: list[str]) -> list[Measure]:
    """Edits over the length of what was to be said, by words and by letters; may exceed 1."""
    from rapidfuzz.distance import Levenshtein

    if not said:
        return [unavailable(name) for name in ASR_MEASURES]
    letters, found = "".join(said), "".join(heard)
    return [
        taken("asr_cer", Levenshtein.distance(letters, found) / len(letters)),
        taken("asr_wer", Levenshtein.distance(said, heard) / len(said)),
    ]


def vad_measures(probabilities_T: npt.NDArray[np.float32]) -> list[Measure]:
    """Speech as silero hears it; where it hears none, all of the clip leads."""
    count = len(probabilities_T)
    if not count:
        return [unavailable(name) for name in VAD_MEASURES]
    spoken = np.flatnonzero(probabilities_T >= SPEECH_PROBABILITY)
    if not len(spoken):
        leading, pause, trailing = count, 0, 0
    else:
        leading, trailing = int(spoken[0]), int(count - 1 - spoken[-1])
        pause = int(np.diff(spoken).max() - 1) if len(spoken) > 1 else 0
    return [
        taken("speech_fraction", len(spoken) / count),
        taken("vad_leading_s", leading * WINDOW_S),
        taken("vad_longest_pause_s", pause * WINDOW_S),
        taken("vad_trailing_s", trailing * WINDOW_S),
    ]
