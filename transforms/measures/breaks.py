"""Breaks in the sound: stretches that are missing, and stretches that are there twice."""

from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.measures import of_family
from schemas.utterance import Measure, taken
from transforms.backends.tts import Samples

BREAK_MEASURES: Final = of_family("breaks")
GAP_S: Final = 0.01  # of one value: no voice holds it that long
BESIDE_S: Final = 0.005
BESIDE_DB: Final = 20.0  # under the clip's level, what stands beside a gap is still speech
WINDOW: Final = 32  # samples that are compared at once; a power of two
SAMPLED_BITS: Final = 3  # a window in 8 is compared, chosen by what it holds
QUIET: Final = 16  # of 32768: under it, samples have few values and meet by chance
LAG_S: Final = 0.05  # nearer, it is a period of the voice
REPEAT_S: Final = 0.02  # shorter, it is chance
LAGS: Final = 4
PRIME: Final = 0x100000001B3


def break_measures(samples: Samples, rate: int) -> list[Measure]:
    """BREAK_MEASURES of int16 samples [N], N > 0."""
    return [
        taken("dropouts", float(dropouts(samples, rate))),
        taken("repeated_audio_s", repeated_samples(samples, rate) / rate),
    ]


def dropouts(samples: Samples, rate: int) -> int:
    """Stretches of one value with speech right before and right after: sound was lost there.

    A pause of a voice fades, and may be followed by a hard sound, but is not cut on both sides.
    """
    wave = samples.astype(np.float64)
    beside = max(1, round(BESIDE_S * rate))
    least = float(np.mean(wave**2)) * 10 ** (-BESIDE_DB / 10)
    starts, ends = _runs(np.diff(samples) == 0)
    ends = ends + 1  # of samples, whose number is one more than that of the steps between them
    lost = 0
    for start, end in zip(starts, ends, strict=True):
        if end - start < GAP_S * rate or start < beside or end + beside > len(wave):
            continue
        sides = (wave[start - beside : start], wave[end : end + beside])
        lost += all(float(np.mean(side**2)) > least > 0 for side in sides)
    return lost


def repeated_samples(samples: Samples, rate: int) -> int:
    """The longest stretch that comes again sample for sample, in samples; 0 under REPEAT_S.

    Windows are found again by hash, those of a few distances are compared whole.
    """
    places = _found_again(samples)
    if not len(places):
        return 0
    lags = places[:, 1] - places[:, 0]
    far = lags >= LAG_S * rate
    values, counts = np.unique(lags[far], return_counts=True)
    longest = 0
    for lag in values[np.argsort(-counts, kind="stable")[:LAGS]].tolist():
        starts, ends = _runs(samples[:-lag] == samples[lag:])
        at = np.searchsorted(starts, places[lags == lag, 0], side="right") - 1
        lengths = np.minimum(ends - starts, lag)[np.unique(at)]  # a period comes on and on
        longest = max(longest, int(lengths.max()))
    return longest if longest >= REPEAT_S * rate else 0


def _found_again(samples: Samples) -> npt.NDArray[np.int64]:
    """Places (first, next) of sampled windows that hold the same and are not quiet [P, 2]."""
    hashed = samples.astype(np.int64).view(np.uint64)
    loud = np.abs(samples.astype(np.int32)) >= QUIET
    size = 1
    while size < WINDOW:
        if len(hashed) <= size:
            return np.zeros((0, 2), np.int64)
        factor = np.uint64(pow(PRIME, size, 1 << 64))
        hashed = hashed[:-size] * factor + hashed[size:]
        loud = loud[:-size] | loud[size:]
        size *= 2
    mixed = hashed * np.uint64(0x9E3779B97F4A7C15)
    places = np.flatnonzero(loud & (mixed >> np.uint64(64 - SAMPLED_BITS) == 0))
    order = np.argsort(mixed[places], kind="stable")
    places, keys = places[order], mixed[places[order]]
    same = np.flatnonzero(keys[1:] == keys[:-1])
    return np.stack([places[same], places[same + 1]], axis=1)


def _runs(there: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Starts and ends of the stretches that are true."""
    edges = np.flatnonzero(np.diff(there.astype(np.int8), prepend=0, append=0))
    return edges[::2], edges[1::2]
