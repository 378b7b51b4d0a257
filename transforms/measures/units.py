"""Measures of discrete units: how many, how even, how long one stays."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from schemas.measures import of_family
from schemas.utterance import Measure, taken, unavailable

UNIT_MEASURES: Final = of_family("units")


def unit_measures(
    codes: Sequence[int] | None,
    durations: Sequence[int] | None,
    num_frames: int,
    duration_s: float,
) -> list[Measure]:
    """UNIT_MEASURES of collapsed units [T'] and their lengths [T'] in frames.

    ``codes`` None: the turn has no units. Without ``durations`` each unit counts as one frame, and
    the longest run is unavailable if runs were collapsed (fewer codes than frames).
    """
    if codes is None or duration_s <= 0:
        return [unavailable(name) for name in UNIT_MEASURES]
    rate = taken("units_per_s", len(codes) / duration_s)
    if not len(codes):
        return [unavailable("longest_unit_run_s"), unavailable("unit_entropy_bits"), rate]
    lengths = np.ones(len(codes)) if durations is None else np.asarray(durations, np.float64)
    _, which = np.unique(np.asarray(codes), return_inverse=True)
    frames = np.bincount(which, weights=lengths)
    share = frames / frames.sum()
    entropy = float(-(share * np.log2(share)).sum())
    lost = durations is None and len(codes) != num_frames
    longest = _longest(np.asarray(codes), lengths)
    frame_s = duration_s / max(num_frames, 1)
    return [
        unavailable("longest_unit_run_s")
        if lost
        else taken("longest_unit_run_s", longest * frame_s),
        taken("unit_entropy_bits", max(entropy, 0.0)),
        rate,
    ]


def _longest(codes: np.ndarray, lengths: np.ndarray) -> float:
    """The longest run in frames; neighbors are equal only where nothing was collapsed."""
    starts = np.flatnonzero(np.diff(codes, prepend=codes[0] - 1))
    return float(np.add.reduceat(lengths, starts).max())
