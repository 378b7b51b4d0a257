"""The nearest centroid of each frame, exactly, at the speed of the fastest matrix product here.

A first pass scores all centroids with fast and rough arithmetic (bfloat16 where the processor has
tiles for it, float32 elsewhere). Whatever its rounding can have hidden, by a bound that always
holds, is scored again, at last in float64. So the answer is float64's, whatever the threads, the
batches and the kernels are.

Scores are x.c - |c|^2 / 2, of which the largest is the nearest; subtracting the centroids' mean
from both changes no order and makes bounds tighter. The bounds, with x' and c' the rounded vectors:

    |x.c - x'.c'| <= |x - x'| |c| + |x'| |c - c'|                  (Cauchy-Schwarz)
    a float32 sum of D products errs by D 2^-24 |x| |c| at most    (Higham, Accuracy and Stability
                                                                   of Numerical Algorithms, 3.1)

The rough pass computes the upper bound of each score in the product itself, by a few columns more:
-|c|^2 / 2 in three bfloat16 terms against ones, and |c| and |c - c'| against the frame's factors.

Legend of shape suffixes: T frames, D dimensions, A columns of the rough pass, K centroids, N pairs
of a frame and a centroid.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int32]

BLOCK: Final = 1536  # frames per product: with fewer, threads wait for one another in Python
HALF_UNIT: Final = 2.0**-8  # twice what rounding to bfloat16 changes a number by, as a share of it
SINGLE_UNIT: Final = 2.0**-24
PAIRS: Final = 256  # that are compared in float64 at a time
COLUMNS: Final = 32  # that the rough pass has more; tiles are 32 wide
UP: Final = 1.01  # more than rounding a factor to bfloat16 can take away
MANY_PAIRS: Final = 2  # a frame, on average; more are faster by a whole product


class Assigner:
    """Centroids [K, D], K at least 1, ready to be compared with frames on ``device``."""

    def __init__(
        self, centroids_KD: Floats, device: str = "cpu", *, rough: bool | None = None
    ) -> None:
        """``rough``: whether a bfloat16 pass comes first; None: where the processor is good at it.

        It changes the time and never the result.
        """
        import torch

        wide = torch.from_numpy(np.ascontiguousarray(centroids_KD)).to(device).double()
        self._device = device
        self._wide_KD = wide
        self._half_norms_K = (wide**2).sum(1) / 2
        mean_D = wide.mean(0)
        centered = wide - mean_D
        lengths_K, biases_K = centered.norm(dim=1), (centered**2).sum(1) / 2
        self._mean_D = mean_D.float()
        self._offset = float(mean_D.norm())
        self._single_KD = centered.float()
        self._biases_K = biases_K.float()
        self._reach, self._largest_bias = float(lengths_K.max()), float(biases_K.max())
        self._unit = (len(mean_D) + COLUMNS) * SINGLE_UNIT
        self._rough_AK: Tensor | None = None
        if has_tiles() and device == "cpu" if rough is None else rough:
            half = centered.bfloat16()
            lost_K = (centered - half.double()).norm(dim=1)
            self._factors_K2 = torch.stack([lengths_K, lost_K], dim=1).float() * UP
            terms = [biases_K.bfloat16()]
            terms.append((biases_K - terms[0].double()).bfloat16())
            terms.append((biases_K - terms[0].double() - terms[1].double()).bfloat16())
            more = torch.zeros(len(wide), COLUMNS, dtype=torch.bfloat16)
            more[:, :3] = -torch.stack(terms, dim=1)
            more[:, 3:5] = self._factors_K2.bfloat16()
            self._rough_AK = torch.cat([half, more], dim=1).T  # as tiles want it: [K, A] in memory
        self._rooms = threading.local()  # results of one block, not allocated for each anew

    def nearest(self, frames_TD: npt.NDArray[np.float32] | npt.NDArray[np.float16]) -> Ids:
        """The index [T] of the nearest centroid; the lowest index where two are equal."""
        import torch

        found = np.empty(len(frames_TD), np.int32)

        def fill(start: int) -> None:
            block = torch.from_numpy(frames_TD[start : start + BLOCK]).to(self._device).float()
            found[start : start + BLOCK] = self._nearest(block).cpu().numpy()

        starts = range(0, len(frames_TD), BLOCK)
        threads = min(torch.get_num_threads(), len(starts))
        if threads > 1 and self._device == "cpu":
            _on_threads(threads, fill, starts)
        else:
            for start in starts:
                fill(start)
        return found

    def _nearest(self, frames_TD: "Tensor") -> "Tensor":
        """The same of one block: int64 [T]."""
        import torch

        room = self._take("centered", len(frames_TD), len(self._mean_D))
        centered_TD = torch.sub(frames_TD, self._mean_D, out=room)
        if self._rough_AK is None:
            return self._single(frames_TD, centered_TD)
        rows_N, columns_N = self._rough_pairs(centered_TD, self._rough_AK)
        found_T = np.empty(len(frames_TD), np.int64)
        found_T[rows_N] = columns_N  # of frames with one candidate; the others follow
        rows_N, columns_N = _undecided(rows_N, columns_N)
        if len(rows_N) > MANY_PAIRS * len(frames_TD):
            unsure = np.unique(rows_N)
            found_T[unsure] = self._single(frames_TD[unsure], centered_TD[unsure]).numpy()
        elif len(rows_N):
            rows_N, columns_N = self._close_pairs(centered_TD, rows_N, columns_N)
            found_T[rows_N] = columns_N
            rows_N, columns_N = _undecided(rows_N, columns_N)
            if len(rows_N):
                found_T[np.unique(rows_N)] = self._best_pair(frames_TD, rows_N, columns_N).numpy()
        return torch.from_numpy(found_T)

    def _rough_pairs(
        self, centered_TD: "Tensor", rough_AK: "Tensor"
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Frames and the centroids [N] that may be nearest to them, in order."""
        import torch

        num, dims = centered_TD.shape
        half_TA = self._take("half", num, dims + COLUMNS, torch.bfloat16)
        half_TA[:, :dims].copy_(centered_TD)
        lost_TD = self._take("lost", num, dims)
        lost_TD.copy_(half_TA[:, :dims]).sub_(centered_TD)  # one mixed operation takes longer
        lengths_T = torch.linalg.vector_norm(centered_TD, dim=1) * UP
        factors_T2 = torch.stack(
            [
                torch.linalg.vector_norm(lost_TD, dim=1) * UP + self._unit * lengths_T,
                lengths_T,
            ],
            dim=1,
        )
        half_TA[:, dims:].zero_()
        half_TA[:, dims : dims + 3] = 1.0
        half_TA[:, dims + 3 : dims + 5].copy_(factors_T2 * UP)
        upper_TK = self._take("upper", num, rough_AK.shape[1], torch.bfloat16)
        torch.mm(half_TA, rough_AK, out=upper_TK)
        wide_TK = self._take("scores", num, rough_AK.shape[1]).copy_(upper_TK)
        first_T = torch.from_numpy(wide_TK.numpy().argmax(axis=1))  # torch's takes four times it
        best_T = wide_TK.gather(1, first_T[:, None])[:, 0]
        errors_T = (factors_T2 * self._factors_K2[first_T]).sum(1) * 2 * UP**3
        least_T = best_T - HALF_UNIT * best_T.abs() - errors_T - self._unit * self._largest_bias
        least_T -= HALF_UNIT * least_T.abs()
        marks_TK = self._take("marks", num, rough_AK.shape[1], torch.bool).numpy()
        np.greater_equal(wide_TK.numpy(), least_T[:, None].numpy(), out=marks_TK)
        return np.divmod(np.flatnonzero(marks_TK), rough_AK.shape[1])

    def _close_pairs(
        self,
        centered_TD: "Tensor",
        rows_N: npt.NDArray[np.int64],
        columns_N: npt.NDArray[np.int64],
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Those of the pairs, in order, that float32 cannot tell from the best of their frame."""
        import torch

        parts, dims = [], centered_TD.shape[1]
        for start in range(0, len(rows_N), PAIRS):
            rows = torch.from_numpy(rows_N[start : start + PAIRS])
            columns = torch.from_numpy(columns_N[start : start + PAIRS])
            products_ND = self._take("centroids", len(rows), dims)
            torch.index_select(self._single_KD, 0, columns, out=products_ND)
            frames_ND = self._take("lost", len(rows), dims)
            products_ND *= torch.index_select(centered_TD, 0, rows, out=frames_ND)
            parts.append((products_ND.sum(1) - self._biases_K[columns]).numpy())
        scores_N = np.concatenate(parts)
        starts = np.flatnonzero(np.diff(rows_N, prepend=-1))
        best_T = torch.from_numpy(np.maximum.reduceat(scores_N, starts))
        lengths_T = torch.linalg.vector_norm(centered_TD[rows_N[starts]], dim=1)
        least_T = (best_T - 2 * self._slack(lengths_T, best_T)).numpy()
        close = scores_N >= np.repeat(least_T, np.diff([*starts, len(rows_N)]))
        return rows_N[close], columns_N[close]

    def _slack(self, lengths_T: "Tensor", best_T: "Tensor") -> "Tensor":
        """How far a score of float32 may be from the true one, of centered frames of a length."""
        slack_T = self._unit * (lengths_T + self._offset) * self._reach
        return slack_T + 4 * SINGLE_UNIT * (best_T.abs() + self._largest_bias)

    def _single(self, frames_TD: "Tensor", centered_TD: "Tensor") -> "Tensor":
        """By float32, and by float64 where that cannot tell."""
        import torch

        scores_TK = self._take("scores", len(frames_TD), len(self._biases_K))
        torch.mm(centered_TD, self._single_KD.T, out=scores_TK)
        scores_TK -= self._biases_K
        best_T, found_T = scores_TK.max(1)
        lengths_T = torch.linalg.vector_norm(centered_TD, dim=1)
        least_T1 = (best_T - 2 * self._slack(lengths_T, best_T))[:, None]
        scores_TK.scatter_(1, found_T[:, None], -torch.inf)
        unsure = (scores_TK.amax(1, keepdim=True) >= least_T1).nonzero()[:, 0]
        if len(unsure):
            close = scores_TK[unsure] >= least_T1[unsure]
            close.scatter_(1, found_T[unsure][:, None], True)
            rows_N, columns_N = (item.cpu().numpy() for item in close.nonzero(as_tuple=True))
            found_T[unsure] = self._best_pair(frames_TD[unsure], rows_N, columns_N)
        return found_T

    def _best_pair(
        self,
        frames_TD: "Tensor",
        rows_N: npt.NDArray[np.int64],
        columns_N: npt.NDArray[np.int64],
    ) -> "Tensor":
        """The best centroid of each row that is named, in float64; the lowest of equal ones.

        ``rows_N`` are sorted, and of one row ``columns_N`` are.
        """
        import torch

        parts, dims = [], frames_TD.shape[1]
        for start in range(0, len(rows_N), PAIRS):
            rows = torch.from_numpy(rows_N[start : start + PAIRS]).to(self._device)
            columns = torch.from_numpy(columns_N[start : start + PAIRS]).to(self._device)
            products_ND = self._take("products", len(rows), dims, torch.float64)
            torch.index_select(self._wide_KD, 0, columns, out=products_ND)
            products_ND *= frames_TD[rows]
            parts.append((products_ND.sum(1) - self._half_norms_K[columns]).cpu().numpy())
        scores_N = np.concatenate(parts)
        starts = np.flatnonzero(np.diff(rows_N, prepend=-1))
        best = np.maximum.reduceat(scores_N, starts)
        winning = scores_N == np.repeat(best, np.diff([*starts, len(rows_N)]))
        places = np.where(winning, np.arange(len(rows_N)), len(rows_N))
        firsts = np.minimum.reduceat(places, starts)
        return torch.from_numpy(columns_N[firsts]).to(self._device)

    def _take(
        self, name: str, num: int, width: int, dtype: "torch.dtype | None" = None
    ) -> "Tensor":
        """Room for [num, width], of float32 unless told; what stood there is lost."""
        import torch

        room: Tensor | None = getattr(self._rooms, name, None)
        if room is None:
            kind = dtype or torch.float32
            room = torch.empty((max(BLOCK, PAIRS), width), dtype=kind, device=self._device)
            setattr(self._rooms, name, room)
        return room[:num]


def _undecided(
    rows_N: npt.NDArray[np.int64], columns_N: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The pairs of the rows that have more than one."""
    many = np.bincount(rows_N)[rows_N] > 1
    return rows_N[many], columns_N[many]


def _on_threads(count: int, work: Callable[[int], None], items: Iterable[int]) -> None:
    """Work on every item, each on one thread: a block is too small for torch to share it out."""
    import torch

    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for _ in pool.map(work, items):
                pass
    finally:
        torch.set_num_threads(threads)  # threads that torch starts from now on would have one


@cache
def has_tiles() -> bool:
    """Whether the processor multiplies bfloat16 matrices by tiles (Intel AMX, from 2023 on)."""
    info = Path("/proc/cpuinfo")
    return info.exists() and "amx_bf16" in info.read_text("utf-8", "replace")
