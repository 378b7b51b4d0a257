"""Measures of the sound itself: lengths, silences, clipping, speaking rate."""

from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.utterance import Measure, taken, unavailable
from transforms.backends.tts import Samples

SOUND_MEASURES: Final = (
    "chars_per_s",
    "clipped_fraction",
    "duration_s",
    "leading_silence_s",
    "longest_silence_s",
    "trailing_silence_s",
)
SILENCE_DBFS: Final = -50.0
FRAME_S: Final = 0.01
CLIP: Final = 32767


def sound_measures(samples: Samples, rate: int, spoken_text: str) -> list[Measure]:
    """SOUND_MEASURES of int16 samples [N], N > 0, at ``rate`` Hz."""
    duration_s = len(samples) / rate
    leading, inner, trailing = silences(samples, rate)
    letters = sum(letter.isalnum() for letter in spoken_text)
    clipped = np.count_nonzero(np.abs(samples.astype(np.int32)) >= CLIP)
    return [
        taken("chars_per_s", letters / duration_s) if letters else unavailable("chars_per_s"),
        taken("clipped_fraction", clipped / len(samples)),
        taken("duration_s", duration_s),
        taken("leading_silence_s", leading),
        taken("longest_silence_s", inner),
        taken("trailing_silence_s", trailing),
    ]


def silences(samples: npt.NDArray[np.int16], rate: int) -> tuple[float, float, float]:
    """Leading, longest inner and trailing silence in seconds; all of it leads if none speaks."""
    size = max(1, round(rate * FRAME_S))
    count = len(samples) // size
    if count == 0:
        return 0.0, 0.0, 0.0
    frames = samples[: count * size].reshape(count, size).astype(np.float64)
    power = (frames**2).mean(axis=1) / 32768.0**2
    spoken = np.flatnonzero(power >= 10 ** (SILENCE_DBFS / 10))
    if len(spoken) == 0:
        return count * FRAME_S, 0.0, 0.0
    inner = int(np.diff(spoken).max() - 1) if len(spoken) > 1 else 0
    return spoken[0] * FRAME_S, inner * FRAME_S, (count - 1 - spoken[-1]) * FRAME_S
