"""Nearest centroids are float64's whatever comes first; k-means is the same on any threads."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import BackendError
from transforms.clustering import assign
from transforms.clustering.assign import Assigner
from transforms.clustering.files import centroid_bytes, centroids_of, check_shape
from transforms.clustering.fit import fit_kmeans, inertia, seed_rows

Floats = npt.NDArray[np.float32]


def brute(frames: Floats, centroids: Floats) -> list[int]:
    """The lowest index of the least distance, in float64, one frame at a time."""
    wide = centroids.astype(np.float64)
    norms = (wide**2).sum(axis=1) / 2
    return [int((norms - (wide * row.astype(np.float64)).sum(axis=1)).argmin()) for row in frames]


def low_rank(count: int, dims: int, seed: int) -> Floats:
    chance = np.random.default_rng(seed)
    basis = np.random.default_rng(99).normal(size=(4, dims))
    found = chance.normal(size=(count, 4)) @ basis + 0.1 * chance.normal(size=(count, dims))
    return found.astype(np.float32)


@pytest.mark.parametrize("rough", [True, False])
@settings(max_examples=25, deadline=None)
@given(
    frames=st.integers(0, 40),
    clusters=st.integers(1, 50),
    offset=st.sampled_from([0.0, 30.0]),
    seed=st.integers(0, 2**31),
)
def test_the_nearest_is_what_float64_finds(
    rough: bool, frames: int, clusters: int, offset: float, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    centroids = (chance.normal(size=(clusters, 24)) + offset).astype(np.float32)
    found = (chance.normal(size=(frames, 24)) + offset).astype(np.float32)
    assert Assigner(centroids, rough=rough).nearest(found).tolist() == brute(found, centroids)


@pytest.mark.parametrize("rough", [True, False])
def test_what_rounding_hides_is_decided_in_float64(rough: bool) -> None:
    """Frames halfway between two centroids, moved by less than float32 sums can tell."""
    chance = np.random.default_rng(5)
    centroids = chance.normal(size=(40, 256)).astype(np.float32) * 8
    pairs = chance.integers(0, 40, (500, 2))
    middle = (centroids[pairs[:, 0]].astype(np.float64) + centroids[pairs[:, 1]]) / 2
    frames = (middle + 1e-6 * chance.normal(size=middle.shape)).astype(np.float32)
    expected = brute(frames, centroids)
    assert Assigner(centroids, rough=rough).nearest(frames).tolist() == expected
    rounded = (frames @ centroids.T - (centroids**2).sum(1) / 2).argmax(1)
    assert (rounded != expected).any(), "the case is too easy to show anything"


@pytest.mark.parametrize("rough", [True, False])
def test_of_equal_centroids_the_lowest_is_nearest(rough: bool) -> None:
    one = np.ones((1, 8), np.float32)
    centroids = np.concatenate([one + 3, one, one, one - 3])
    assert Assigner(centroids, rough=rough).nearest(np.repeat(one, 5, axis=0)).tolist() == [1] * 5


def test_blocks_and_half_precision_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, centroids = low_rank(300, 32, 1), low_rank(20, 32, 2)
    whole = Assigner(centroids).nearest(frames).tolist()
    monkeypatch.setattr(assign, "BLOCK", 64)
    assert Assigner(centroids).nearest(frames).tolist() == whole
    half = frames.astype(np.float16)
    expected = brute(half.astype(np.float32), centroids)
    assert Assigner(centroids).nearest(half).tolist() == expected


def test_blocks_share_the_threads_and_leave_them_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each block has one thread of its own; torch shares out what comes after as before."""
    monkeypatch.setattr(assign, "BLOCK", 64)
    frames, centroids = low_rank(300, 32, 1), low_rank(20, 32, 2)
    seen: set[tuple[int, int]] = set()
    nearest = Assigner._nearest

    def watched(assigner: Assigner, block: torch.Tensor) -> torch.Tensor:
        seen.add((threading.get_ident(), torch.get_num_threads()))
        return nearest(assigner, block)

    monkeypatch.setattr(Assigner, "_nearest", watched)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        found = Assigner(centroids).nearest(frames).tolist()
        assert torch.get_num_threads() == 3
        after = ThreadPoolExecutor(1).submit(torch.get_num_threads).result()
    finally:
        torch.set_num_threads(before)
    assert found == brute(frames, centroids)
    assert {number for _, number in seen} == {1}
    assert threading.get_ident() not in {thread for thread, _ in seen}
    assert after == 3


def test_a_fit_is_the_same_bytes_on_one_thread_and_on_two() -> None:
    rows = low_rank(25_000, 32, 3).astype(np.float16)
    threads = torch.get_num_threads()
    made = []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            made.append(centroid_bytes(fit_kmeans(rows, 24, 8)))
    finally:
        torch.set_num_threads(threads)
    assert made[0] == made[1]
    assert made[0] != centroid_bytes(fit_kmeans(rows, 24, 9))


def test_a_fit_is_no_worse_than_scikit_learns() -> None:
    from sklearn.cluster import MiniBatchKMeans

    rows = low_rank(12_000, 24, 4)
    theirs = MiniBatchKMeans(
        30, batch_size=10_000, n_init=3, reassignment_ratio=0.0, random_state=0
    ).fit(rows)
    ours = fit_kmeans(rows, 30, 0)
    assert inertia(rows, ours) <= 1.02 * inertia(rows, theirs.cluster_centers_.astype(np.float32))
    assert inertia(rows, ours) <= inertia(rows, fit_kmeans(rows, 30, 0, passes=0))


def test_seeds_are_rows_apart_and_drawn_in_proportion_to_squared_distance() -> None:
    rows = np.zeros((40, 2), np.float32)
    rows[:, 0] = [0.0] * 20 + [1.0] * 10 + [3.0] * 10
    second = [seed_rows(rows, 2, seed)[1] for seed in range(300)]
    first = [seed_rows(rows, 1, seed)[0] for seed in range(300)]
    far = sum(3.0 in rows[[one, two], 0] for one, two in zip(first, second, strict=True))
    assert all(rows[a, 0] != rows[b, 0] for a, b in zip(first, second, strict=True))
    # first at 0 (1/2): 3 with 90/100; first at 1 (1/4): 40/60; first at 3 (1/4): always
    assert far / 300 == pytest.approx(0.5 * 0.9 + 0.25 * 2 / 3 + 0.25, abs=0.08)


def test_rows_that_are_all_alike_can_be_clustered() -> None:
    rows = np.ones((50, 3), np.float32)
    assert fit_kmeans(rows, 4, 0).tolist() == [[1.0] * 3] * 4


@pytest.mark.parametrize(
    ("clusters", "dims", "said"),
    [(4, None, "3 centroids, wanted 4"), (3, 6, "of 5 dimensions, the model's frames have 6")],
)
def test_centroids_of_another_shape_are_refused_with_both_numbers(
    clusters: int, dims: int | None, said: str
) -> None:
    with pytest.raises(BackendError, match=said):
        check_shape((3, 5), clusters, dims, "units")


def _npy(values: Any) -> bytes:
    import io

    sink = io.BytesIO()
    np.save(sink, values, allow_pickle=True)
    return sink.getvalue()


def test_a_file_of_centroids_is_safetensors_or_npy() -> None:
    rows = low_rank(3, 5, 0)
    assert centroids_of(centroid_bytes(rows), "x").tolist() == rows.tolist()
    assert centroids_of(_npy(rows), "x").tolist() == rows.tolist()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a file",
        _npy(np.array([{}])),
        _npy(np.zeros(4, np.float32)),
        _npy(np.full((2, 2), np.nan)),
        _npy(np.zeros((2, 2), np.int64)),
    ],
)
def test_what_is_no_centroids_is_refused_with_the_cure(data: bytes) -> None:
    with pytest.raises(BackendError, match=r"km\.safetensors: .*(import-kmeans|finite floats)"):
        centroids_of(data, "km.safetensors")
