"""Near duplicates among signatures: which row is like an older one (LSH by bands, then checked).

Shapes: M rows in the order of age (oldest first), P permutations, a byte each.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from transforms.minhash import least_matches

WANTED_RECALL = 0.95  # of the pairs whose similarity is just the threshold
MAX_OLDER = 4096  # rows of one bucket that a row is compared with: its oldest
FACTOR = np.uint64(0x100000001B3)
Ranks = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Likeness:
    """For each row [M] the oldest row like it, or -1, and how many bytes of the two agree."""

    older: Ranks
    matches: npt.NDArray[np.int32]


def band_rows(threshold: float, num_perm: int) -> int:
    """Bytes per band: the most with which a pair at ``threshold`` shares a band often enough.

    A pair of similarity J shares one of b bands of r bytes with probability 1 - (1 - J^r)^b.
    """
    for rows in range(num_perm, 1, -1):
        if 1 - (1 - threshold**rows) ** (num_perm // rows) >= WANTED_RECALL:
            return rows
    return 1


def find_like(
    signatures: npt.NDArray[np.uint8], groups: npt.NDArray[np.uint64], threshold: float
) -> Likeness:
    """The verdict of each row depends on the rows before it and on nothing else.

    ``signatures`` are [M, P], ``groups`` [M]: only rows of one group are compared. A row is like
    an older one, itself repeated or not, if the estimate of their Jaccard similarity is at least
    ``threshold``. Memory beside the input: about 40 bytes per row.
    """
    num_rows, num_perm = signatures.shape
    older = np.full(num_rows, num_rows, np.int64)
    matches = np.zeros(num_rows, np.int32)
    wanted = least_matches(threshold, num_perm)
    rows = band_rows(threshold, num_perm)
    for start in range(0, num_perm - rows + 1, rows):
        keys = _band_keys(signatures[:, start : start + rows], groups)
        for pivots, targets in _pairs(keys, older):
            agree = _agreement(signatures, pivots, targets)
            good = (agree >= wanted) & (groups[pivots] == groups[targets])
            older[targets[good]] = pivots[good]
            matches[targets[good]] = agree[good]
    older[older == num_rows] = -1
    return Likeness(older, matches)


def roots(older: Ranks) -> Ranks:
    """For each row [M] the row at the end of its chain, which is like no older one."""
    found = np.where(older < 0, np.arange(len(older)), older)
    while True:
        further = found[found]
        if np.array_equal(further, found):
            return found
        found = further


def _band_keys(
    band: npt.NDArray[np.uint8], groups: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    keys = groups.copy()
    for column in range(band.shape[1]):
        keys = (keys ^ band[:, column]) * FACTOR
        keys ^= keys >> np.uint64(29)
    return keys


def _pairs(keys: npt.NDArray[np.uint64], older: Ranks) -> Iterator[tuple[Ranks, Ranks]]:
    """Pairs (older row, row) that share a bucket: of each bucket first those with its oldest row.

    Rows that have by then been found like a row as old as the pivot are left out, so a bucket of
    equals is passed through once. ``older`` is read between pairs, and changes there.
    """
    order = np.argsort(keys, kind="stable")  # by age within a bucket
    ordered = keys[order]
    firsts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.diff(np.append(firsts, len(ordered)))
    shared = sizes > 1
    firsts, sizes = firsts[shared], sizes[shared]
    places = np.repeat(firsts, sizes)  # the first place of each row's bucket
    offsets = np.arange(len(places)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    rows = order[places + offsets]
    for turn in range(min(int(sizes.max(initial=0)) - 1, MAX_OLDER)):
        later = offsets > turn
        places, offsets, rows = places[later], offsets[later], rows[later]
        if not len(rows):
            return
        pivots = order[places + turn]
        open_ = older[rows] > pivots
        yield pivots[open_], rows[open_]
        # a row found like this pivot, or like an older row, is done with this bucket
        undone = older[rows] > pivots
        places, offsets, rows = places[undone], offsets[undone], rows[undone]


def _agreement(
    signatures: npt.NDArray[np.uint8], one: Ranks, other: Ranks, step: int = 1 << 17
) -> npt.NDArray[np.int32]:
    """Equal bytes of each pair, some pairs at a time."""
    found = np.zeros(len(one), np.int32)
    for start in range(0, len(one), step):
        piece = slice(start, start + step)
        found[piece] = np.count_nonzero(signatures[one[piece]] == signatures[other[piece]], axis=1)
    return found
