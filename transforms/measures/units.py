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
    num_codebooks: int = 1,
) -> list[Measure]:
    """UNIT_MEASURES of units [nq * T'], codebook after codebook, and their lengths [T'] in frames.

    ``codes`` None: the turn has no units. Without ``durations`` each unit counts as one frame, and
    the longest run is unavailable if runs were collapsed (fewer units than frames). Of several
    codebooks a frame is one unit, which stays while all its codes do; the entropy is their mean.
    """
    if codes is None or duration_s <= 0:
        return [unavailable(name) for name in UNIT_MEASURES]
    books = np.asarray(codes, np.int64).reshape(num_codebooks, -1)
    count = books.shape[1]
    rate = taken("units_per_s", count / duration_s)
    if not count:
        return [unavailable("longest_unit_run_s"), unavailable("unit_entropy_bits"), rate]
    lengths = np.ones(count) if durations is None else np.asarray(durations, np.float64)
    entropy = float(np.mean([_entropy(book, lengths) for book in books]))
    lost = durations is None and count != num_frames
    longest = _longest(books, lengths)
    frame_s = duration_s / max(num_frames, 1)
    return [
        unavailable("longest_unit_run_s")
        if lost
        else taken("longest_unit_run_s", longest * frame_s),
        taken("unit_entropy_bits", max(entropy, 0.0)),
        rate,
    ]


def _entropy(codes: np.ndarray, lengths: np.ndarray) -> float:
    _, which = np.unique(codes, return_inverse=True)
    frames = np.bincount(which, weights=lengths)
    share = frames / frames.sum()
    return float(-(share * np.log2(share)).sum())


def _longest(books: np.ndarray, lengths: np.ndarray) -> float:
    """The longest run in frames; neighbors are equal only where nothing was collapsed."""
    changes = np.diff(books, prepend=books[:, :1] - 1).any(axis=0)
    starts = np.flatnonzero(changes)
    return float(np.add.reduceat(lengths, starts).max())
