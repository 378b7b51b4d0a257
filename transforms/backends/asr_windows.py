"""Long speech in the windows that a recognizer reads: cut where it is quiet."""

from typing import Final

import numpy as np

from transforms.backends.listening import SAMPLE_RATE_HZ
from transforms.backends.tts import Samples

WINDOW_S: Final = 30.0  # what Whisper reads at once
SEARCHED_S: Final = 6.0  # before a window's end, where a quiet place is looked for
FRAME: Final = SAMPLE_RATE_HZ // 20  # 50 ms
MIN_SAMPLES: Final = SAMPLE_RATE_HZ // 10  # less holds no word


def windows(samples: Samples) -> list[Samples]:
    """Consecutive parts of at most ``WINDOW_S``; together they are all of the samples.

    A part that is not the last ends in the middle of the quietest 50 ms of its last seconds.
    """
    most = round(WINDOW_S * SAMPLE_RATE_HZ)
    found = []
    while len(samples) > most:
        first = most - round(SEARCHED_S * SAMPLE_RATE_HZ)
        frames = samples[first:most].astype(np.int64).reshape(-1, FRAME)
        quietest = int(np.argmin((frames * frames).sum(axis=1)))
        cut = first + quietest * FRAME + FRAME // 2
        found.append(samples[:cut])
        samples = samples[cut:]
    return [*found, samples]
