"""What listening to one utterance gives: measures from an alignment, a transcript, a VAD.

Pure functions; docs/checks.md says what each measure means and where its thresholds come from.
"""

from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from schemas.utterance import Measure, Word, taken, unavailable
from transforms.backends.listening import Alignment

ALIGN_MEASURES: Final = ("align_low_words", "align_score", "aligned")
FIRST_MEASURES: Final = (
    "asr_cer",
    "asr_letter_errors",
    "asr_num_letters",
    "asr_num_words",
    "asr_wer",
    "asr_word_errors",
)
SECOND_MEASURES: Final = ("asr_cer_second", "asr_wer_between", "asr_wer_second")
FIRST_AND_JUDGED: Final = (*FIRST_MEASURES, "asr_wer_judged")
ASR_MEASURES: Final = (*FIRST_AND_JUDGED, *SECOND_MEASURES)
MOS_MEASURES: Final = ("mos",)
Rule: TypeAlias = Literal["agree", "both", "either"]
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
    """WER and CER against what was to be said, and their counts: a corpus has the sums' ratio.

    Edits over the length of what was to be said, so they may exceed 1 (Morris et al. 2004, as jiwer
    has it); letters are those of the words, without the spaces between them.
    """
    if not said:
        return [unavailable(name) for name in FIRST_MEASURES]
    word_errors = edits(said, heard)
    letters = "".join(said)
    letter_errors = edits(letters, "".join(heard))
    return [
        taken("asr_cer", letter_errors / len(letters)),
        taken("asr_letter_errors", letter_errors),
        taken("asr_num_letters", len(letters)),
        taken("asr_num_words", len(said)),
        taken("asr_wer", word_errors / len(said)),
        taken("asr_word_errors", word_errors),
    ]


def edits(said: list[str] | str, heard: list[str] | str) -> int:
    """Substitutions, deletions and insertions of words, or of letters where texts are given."""
    import jiwer

    if not heard:  # jiwer reads an empty text as a word where letters are counted
        return len(said)
    found: Any
    if isinstance(said, str):
        found = jiwer.process_characters(said, str(heard))
    else:
        found = jiwer.process_words(" ".join(said), " ".join(heard))
    return int(found.substitutions + found.deletions + found.insertions)


def judged_measures(
    said: list[str],
    first: list[str],
    second: list[str] | None,
    rule: Rule = "agree",
    agree_max: float = 0.3,
) -> list[Measure]:
    """What two recognizers say together; with one, ``asr_wer_judged`` is its own WER.

    ``asr_wer_between`` is how far they are apart, over the longer transcript (0 to 1). ``agree``:
    the better of both, and unavailable where they are further apart than ``agree_max``, so that a
    text on which recognizers do not agree rejects nothing. ``both``: the better of both in any
    case. ``either``: the worse.
    """
    if not said:
        return [unavailable(name) for name in ("asr_wer_judged", *SECOND_MEASURES)]
    wer = edits(said, first) / len(said)
    if second is None:
        return [taken("asr_wer_judged", wer), *map(unavailable, SECOND_MEASURES)]
    other = edits(said, second) / len(said)
    longer, shorter = (first, second) if len(first) >= len(second) else (second, first)
    between = edits(longer, shorter) / len(longer) if longer else 0.0
    letters = "".join(said)
    better, worse = sorted((wer, other))
    if rule == "agree" and between > agree_max:
        verdict = unavailable("asr_wer_judged")
    else:
        verdict = taken("asr_wer_judged", worse if rule == "either" else better)
    return [
        verdict,
        taken("asr_cer_second", edits(letters, "".join(second)) / len(letters)),
        taken("asr_wer_between", between),
        taken("asr_wer_second", other),
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
