"""The nearest centroid of each frame, exactly, at the speed of the fastest matrix product here.

A first pass scores all centroids with fast and rough arithmetic (bfloat16 where the processor has
tiles for it, float32 elsewhere). Whatever its rounding can have hidden, by a bound that always
holds, is scored again with less error, and what float32 cannot tell apart is decided in float64.
So the answer is that of float64, whatever the threads, the batches and the kernels are.

The bounds: a product of vectors rounded to a precision u errs by at most about 2u |x| |c|
(Cauchy-Schwarz), a float32 sum of D terms by at most D 2^-24 |x| |c| (Higham, Accuracy and
Stability of Numerical Algorithms, section 3.1). Scores are x.c - |c|^2 / 2, of which the largest
is the nearest; subtracting the centroids' mean from both changes no order and makes bounds tighter.

Legend of shape suffixes: T frames, D dimensions, K centroids, N pairs of frame and centroid.
"""

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Floats = npt.NDArray[np.float32]

BLOCK: Final = 2048  # frames per product: their scores stay near the processor
HALF_UNIT: Final = 2.0**-9  # a bfloat16 has 8 bits
SINGLE_UNIT: Final = 2.0**-24


class Assigner:
    """Centroids [K, D], ready to be compared with frames on ``device``."""

    def __init__(
        self, centroids_KD: Floats, device: str = "cpu", *, rough: bool | None = None
    ) -> None:
        """``rough``: whether a bfloat16 pass comes first; None: where the processor is good at it.

        It changes the time and never the result.
        """
        import torch

        wide = torch.from_numpy(np.ascontiguousarray(centroids_KD)).to(device).double()
        self._wide_KD = wide
        self._half_norms_K = (wide**2).sum(1) / 2
        mean_D = wide.mean(0) if len(wide) else wide.sum(0)
        centered = wide - mean_D
        self._mean_D = mean_D.float()
        self._single_DK = centered.float().T.contiguous()
        self._biases_K = ((centered**2).sum(1) / 2).float()
        self._reach = float(centered.norm(dim=1).max()) if len(wide) else 0.0
        self._offset = float(mean_D.norm())
        self._device = device
        self._rough = has_tiles() and device == "cpu" if rough is None else rough
        self._half_DK = centered.bfloat16().T if self._rough else None  # as tiles want it
        lost = centered - centered.bfloat16().double()
        self._lost = float(lost.norm(dim=1).max()) if len(wide) else 0.0
        self._largest_bias = float(self._biases_K.max()) if len(wide) else 0.0
        self._rooms = threading.local()  # results of one block, not allocated for each anew

    def nearest(self, frames_TD: npt.NDArray[np.float32] | npt.NDArray[np.float16]) -> "Ids":
        """The index [T] of the nearest centroid; the lowest index where two are equal."""
        import torch

        found = np.empty(len(frames_TD), np.int32)
        for start in range(0, len(frames_TD), BLOCK):
            block = torch.from_numpy(frames_TD[start : start + BLOCK]).to(self._device)
            found[start : start + BLOCK] = self.nearest_of(block.float()).cpu().numpy()
        return found

    def nearest_of(self, frames_TD: "Tensor") -> "Tensor":
        """The same for one block of float32 frames that are on the device already: int64 [T]."""
        if len(frames_TD) > BLOCK:
            raise ValueError(f"{len(frames_TD)} frames in a block, wanted {BLOCK} at most")
        import torch

        dims = len(self._mean_D)
        centered_TD = torch.sub(frames_TD, self._mean_D, out=self._take("x", frames_TD, dims))
        lengths_T = torch.linalg.vector_norm(centered_TD, dim=1)
        if self._half_DK is None:
            return self._single(frames_TD, centered_TD, lengths_T)
        num = self._half_DK.shape[1]
        half_TD = self._take("x16", frames_TD, dims, torch.bfloat16).copy_(centered_TD)
        half_TK = self._take("s16", frames_TD, num, torch.bfloat16)
        torch.mm(half_TD, self._half_DK, out=half_TK)
        scores_TK = torch.sub(half_TK, self._biases_K, out=self._take("s", frames_TD, num))
        best_T, found_T, second_T = _two_best(scores_TK)
        lost_TD = torch.sub(centered_TD, half_TD, out=self._take("lost", frames_TD, dims))
        lost_T = torch.linalg.vector_norm(lost_TD, dim=1)
        slack_T = lost_T * self._reach + 1.01 * lengths_T * self._lost
        slack_T += HALF_UNIT * (best_T.abs() + self._largest_bias)
        unsure = (second_T >= best_T - 2.02 * slack_T).nonzero()[:, 0]
        if len(unsure):
            parts = (frames_TD[unsure], centered_TD[unsure], lengths_T[unsure])
            found_T[unsure] = self._single(*parts)
        return found_T

    def _take(
        self, name: str, like_TD: "Tensor", width: int, dtype: "torch.dtype | None" = None
    ) -> "Tensor":
        """Room for one block [T, width], of float32 unless told; what stood there is lost."""
        import torch

        room: Tensor | None = getattr(self._rooms, name, None)
        if room is None:
            kind = dtype or torch.float32
            room = torch.empty((BLOCK, width), dtype=kind, device=self._device)
            setattr(self._rooms, name, room)
        return room[: len(like_TD)]

    def _single(self, frames_TD: "Tensor", centered_TD: "Tensor", lengths_T: "Tensor") -> "Tensor":
        """By float32, and by float64 where that cannot tell."""
        import torch

        scores_TK = self._take("s", frames_TD, self._single_DK.shape[1])
        torch.mm(centered_TD, self._single_DK, out=scores_TK)
        scores_TK -= self._biases_K
        best_T, found_T, second_T = _two_best(scores_TK)
        unit = (len(self._mean_D) + 8) * SINGLE_UNIT
        slack_T = unit * (lengths_T + self._offset) * self._reach
        slack_T += 4 * SINGLE_UNIT * (best_T.abs() + self._largest_bias)
        least_T = best_T - 2 * slack_T
        unsure = (second_T >= least_T).nonzero()[:, 0]
        if len(unsure):
            close = scores_TK[unsure] >= least_T[unsure, None]
            found_T[unsure] = self._exact(frames_TD[unsure], close)
        return found_T

    def _exact(self, frames_TD: "Tensor", close_TK: "Tensor") -> "Tensor":
        """The best of the marked centroids in float64; the lowest index of equal ones."""
        import torch

        rows_N, columns_N = close_TK.nonzero(as_tuple=True)
        scores_TK = torch.full(close_TK.shape, -torch.inf, dtype=torch.float64).to(self._device)
        step = 65536
        for start in range(0, len(rows_N), step):
            rows, columns = rows_N[start : start + step], columns_N[start : start + step]
            products = frames_TD[rows].double() * self._wide_KD[columns]
            scores_TK[rows, columns] = products.sum(1) - self._half_norms_K[columns]
        best_T1 = scores_TK.amax(1, keepdim=True)
        return (scores_TK == best_T1).int().argmax(1)


Ids = npt.NDArray[np.int32]


def _two_best(scores_TK: "Tensor") -> tuple["Tensor", "Tensor", "Tensor"]:
    """The best score, its index, and the best of the others (-inf for one centroid alone).

    The best is overwritten with -inf for the search of the second, and put back.
    """
    best_T, found_T = scores_TK.max(1)
    columns = found_T[:, None]
    scores_TK.scatter_(1, columns, -float("inf"))
    second_T = scores_TK.amax(1)
    scores_TK.scatter_(1, columns, best_T[:, None])
    return best_T, found_T, second_T


@cache
def has_tiles() -> bool:
    """Whether the processor multiplies bfloat16 matrices by tiles (Intel AMX, from 2023 on)."""
    info = Path("/proc/cpuinfo")
    return info.exists() and "amx_bf16" in info.read_text("utf-8", "replace")
