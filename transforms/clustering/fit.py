"""K-means for large samples: seeds by k-means++, one mini-batch pass, a few passes over all rows.

The settings are those that HuBERT's own script gives to scikit-learn (batches of 10,000, seeds from
the first three batches, no reassignment of small clusters), with two differences: one seeding in
the place of the best of 20, and full Lloyd passes after the mini-batches, which more than make up
for it (python -m benchmarks.units shows both). Rows come in an order that is random already, since
they are sorted by a hash, so batches are slices.

Equal rows give equal bytes on a CPU, whatever its threads: assignments are exact
(transforms/clustering/assign.py), sums are taken row after row, and a seed is drawn by a race whose
close finishes are run again in float64.

    Arthur and Vassilvitskii 2007, k-means++; Sculley 2010, Web-scale k-means clustering.

Legend of shape suffixes: N rows, D dimensions, K clusters.
"""

from collections.abc import Iterator
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

from transforms.clustering.assign import SINGLE_UNIT, Assigner

Rows: TypeAlias = npt.NDArray[np.float16] | npt.NDArray[np.float32]
Wide: TypeAlias = npt.NDArray[np.float64]

BATCH: Final = 10_000
SEED_BATCHES: Final = 3
PASSES: Final = 3


def fit_kmeans(
    rows_ND: Rows, num_clusters: int, seed: int, *, device: str = "cpu", passes: int = PASSES
) -> npt.NDArray[np.float32]:
    """Centroids [K, D] of finite rows in random order, of which there are at least K."""
    if len(rows_ND) < num_clusters:
        raise ValueError(f"{num_clusters} clusters of {len(rows_ND)} rows")
    first = rows_ND[: max(SEED_BATCHES * BATCH, 3 * num_clusters)].astype(np.float32)
    centers_KD = first[seed_rows(first, num_clusters, seed)].astype(np.float64)
    counts_K = np.zeros(num_clusters)
    for batch_ND in _batches(rows_ND):
        assigner = Assigner(centers_KD.astype(np.float32), device)
        sums_KD, new_K = cluster_sums(batch_ND, assigner, num_clusters)
        counts_K += new_K
        share_K1 = (1.0 / np.maximum(counts_K, 1.0))[:, None]
        centers_KD += (sums_KD - new_K[:, None] * centers_KD) * share_K1
    for _ in range(passes):
        totals_KD, counts_K = np.zeros_like(centers_KD), np.zeros(num_clusters)
        assigner = Assigner(centers_KD.astype(np.float32), device)
        for batch_ND in _batches(rows_ND):
            sums_KD, new_K = cluster_sums(batch_ND, assigner, num_clusters)
            totals_KD += sums_KD
            counts_K += new_K
        used = counts_K > 0
        centers_KD[used] = totals_KD[used] / counts_K[used, None]
    return centers_KD.astype(np.float32)


def cluster_sums(
    batch_ND: npt.NDArray[np.float32], assigner: Assigner, num_clusters: int
) -> tuple[Wide, Wide]:
    """Sums [K, D] of the rows that are nearest to each center, row after row; their counts [K]."""
    nearest_N = assigner.nearest(batch_ND)
    places = (nearest_N, np.arange(len(batch_ND)))
    chosen_KN = sparse.csr_array(
        (np.ones(len(batch_ND), np.float32), places), shape=(num_clusters, len(batch_ND))
    )
    counts_K = np.bincount(nearest_N, minlength=num_clusters).astype(np.float64)
    return (chosen_KN @ batch_ND).astype(np.float64), counts_K


def seed_rows(rows_ND: npt.NDArray[np.float32], num: int, seed: int) -> list[int]:
    """``num`` rows by k-means++: each drawn with a chance that grows with its squared distance.

    A row is drawn by a race: row i ends after e_i / d_i^2, e_i exponential, and the first one wins,
    which happens with the chance d_i^2 / sum of d^2. e_i is drawn anew for each seed.
    """
    import torch

    chance = np.random.Generator(np.random.PCG64(seed % 2**64))
    rows = torch.from_numpy(rows_ND)
    lengths_N = (rows**2).sum(1)
    chosen = [int(chance.integers(len(rows_ND)))]
    distances_N = torch.full((len(rows_ND),), torch.inf)
    largest = float(lengths_N.max())
    error = 4 * (rows_ND.shape[1] + 8) * SINGLE_UNIT * largest  # of a squared distance
    while len(chosen) < num:
        last = chosen[-1]
        to_last_N = lengths_N + lengths_N[last] - 2 * (rows @ rows[last])
        distances_N = torch.minimum(distances_N, to_last_N)
        draws_N = chance.standard_exponential(len(rows_ND), dtype=np.float32)
        chosen.append(_winner(rows_ND, distances_N.numpy(), draws_N, chosen, error))
    return chosen


def _winner(
    rows_ND: npt.NDArray[np.float32],
    distances_N: npt.NDArray[np.float32],
    draws_N: npt.NDArray[np.float32],
    chosen: list[int],
    error: float,
) -> int:
    """The row with the least draw over distance; rows that rounding may have hidden run again."""
    draws_N = np.maximum(draws_N, np.finfo(np.float32).tiny)
    slowest_N = draws_N / np.maximum(distances_N - error, 0.0).clip(min=1e-30)
    fastest_N = draws_N / np.maximum(distances_N + error, 1e-30)
    close = np.flatnonzero(fastest_N <= slowest_N.min() * (1 + 1e-6))
    if len(close) == 1:
        return int(close[0])
    taken = rows_ND[chosen].astype(np.float64)
    times = []
    for row in close.tolist():
        gaps = taken - rows_ND[row].astype(np.float64)
        distance = float(np.einsum("kd,kd->k", gaps, gaps).min())
        times.append(float(draws_N[row]) / distance if distance > 0 else np.inf)
    return int(close[int(np.argmin(times))])


def inertia(rows_ND: Rows, centroids_KD: npt.NDArray[np.float32], device: str = "cpu") -> float:
    """The mean squared distance of a row to its nearest centroid."""
    assigner, total = Assigner(centroids_KD, device), 0.0
    for batch_ND in _batches(rows_ND):
        gaps = batch_ND - centroids_KD[assigner.nearest(batch_ND)]
        total += float(np.einsum("nd,nd->", gaps, gaps, dtype=np.float64))
    return total / max(1, len(rows_ND))


def _batches(rows_ND: Rows) -> Iterator[npt.NDArray[np.float32]]:
    for start in range(0, len(rows_ND), BATCH):
        yield np.ascontiguousarray(rows_ND[start : start + BATCH], np.float32)
