"""The median pitch of a clip: by it at least, voices are told apart."""

from typing import Final

import numpy as np

from transforms.audio import resample, to_float
from transforms.backends.tts import Samples

RATE_HZ: Final = 8000
FRAME_S, HOP_S = 0.05, 0.02
BOUNDS_HZ: Final = (60.0, 420.0)
VOICED: Final = 0.5  # of the normalized autocorrelation at the best lag
OCTAVE: Final = 0.9  # a shorter lag that is nearly as good is the period


def median_pitch_hz(samples: Samples, sample_rate_hz: int) -> float | None:
    """The median over voiced frames of a mono signal [N]; None where none is voiced.

    Each frame's period is the lag of the highest normalized autocorrelation (the first within 10 %
    of it, against octave errors).
    """
    heard = resample(to_float(samples), sample_rate_hz, RATE_HZ).astype(np.float64)
    size, hop = round(FRAME_S * RATE_HZ), round(HOP_S * RATE_HZ)
    least, most = (round(RATE_HZ / hertz) for hertz in BOUNDS_HZ[::-1])
    loud = np.abs(heard).max(initial=0.0)
    found = []
    for start in range(0, len(heard) - size - most, hop):
        frame = heard[start : start + size]
        energy = float((frame**2).sum())
        if energy < size * (0.05 * loud) ** 2 or energy == 0.0:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(
            heard[start + least : start + most + size], size
        )
        norms = np.sqrt(energy * (windows**2).sum(axis=1)) + 1e-12
        likeness = (windows @ frame) / norms
        peak = float(likeness.max())
        if peak < VOICED:
            continue
        place = int(np.argmax(likeness >= OCTAVE * peak))
        while place + 1 < len(likeness) and likeness[place + 1] > likeness[place]:
            place += 1
        found.append(RATE_HZ / (least + place))
    return float(np.median(found)) if found else None
