"""The order: every sample once, the same batches for any number of ranks."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SettingsError
from trainers.order import EpochOrder, OrderSettings, default_lanes, lanes_of_rank


def settings(**changes: Any) -> OrderSettings:
    return OrderSettings(**{"batch_size": 8, "lanes": 4, "block": 4, "window": 16} | changes)


def epoch_of(counts: list[int], order: OrderSettings, epoch: int = 0) -> tuple[Any, Any]:
    """All ids [steps, G] and padding flags of an epoch."""
    made = EpochOrder(counts, order, epoch)
    steps = [made.step(step, range(order.lanes)) for step in range(made.num_steps)]
    if not steps:
        return np.empty((0, order.batch_size), int), np.empty((0, order.batch_size), bool)
    return np.stack([ids for ids, _ in steps]), np.stack([flags for _, flags in steps])


SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=9)
ORDERS = st.builds(
    lambda lanes, width, block, window, seed, shuffle: OrderSettings(
        batch_size=lanes * width,
        lanes=lanes,
        block=block,
        window=window,
        seed=seed,
        shuffle=shuffle,
        remainder="pad",
    ),
    lanes=st.sampled_from([1, 2, 3, 4, 8, 64]),
    width=st.integers(1, 5),
    block=st.integers(1, 50),
    window=st.integers(1, 60),
    seed=st.integers(0, 2**64 - 1),
    shuffle=st.booleans(),
)


@given(counts=SIZES, order=ORDERS, epoch=st.integers(0, 5))
def test_a_padded_epoch_holds_every_sample_exactly_once(
    counts: list[int], order: OrderSettings, epoch: int
) -> None:
    ids, padding = epoch_of(counts, order, epoch)
    assert sorted(ids[~padding]) == list(range(sum(counts)))
    assert padding.sum() == -sum(counts) % order.batch_size
    assert not padding[:-1].any()
    assert ((ids >= 0) & (ids < sum(counts))).all()


@given(counts=SIZES, order=ORDERS, epoch=st.integers(0, 5))
def test_a_dropping_epoch_holds_full_batches_of_distinct_samples(
    counts: list[int], order: OrderSettings, epoch: int
) -> None:
    ids, padding = epoch_of(counts, dropping(order), epoch)
    assert ids.shape == (sum(counts) // order.batch_size, order.batch_size)
    assert len(set(ids.reshape(-1))) == ids.size
    assert not padding.any()


def dropping(order: OrderSettings) -> OrderSettings:
    return OrderSettings(**{**order.to_json(), "remainder": "drop"})  # type: ignore[arg-type]


@given(counts=SIZES, order=ORDERS, data=st.data())
def test_ranks_share_a_step_whatever_their_number(
    counts: list[int], order: OrderSettings, data: st.DataObject
) -> None:
    worlds = [n for n in range(1, order.lanes + 1) if order.lanes % n == 0]
    world = data.draw(st.sampled_from(worlds))
    whole = EpochOrder(counts, order, 3)
    for step in range(whole.num_steps):
        parts = [
            EpochOrder(counts, order, 3).step(step, lanes_of_rank(order, rank, world))[0]
            for rank in range(world)
        ]
        assert {len(part) for part in parts} == {order.batch_size // world}
        assert (np.concatenate(parts) == whole.step(step, range(order.lanes))[0]).all()


def test_without_shuffling_a_batch_is_the_next_samples_in_canonical_order() -> None:
    ids, padding = epoch_of([10, 9], settings(shuffle=False, remainder="pad"))
    assert list(ids.reshape(-1)[:19]) == list(range(19))
    assert list(padding.reshape(-1)) == [False] * 19 + [True] * 5


def test_a_seed_and_an_epoch_have_an_order_of_their_own() -> None:
    orders = {
        tuple(epoch_of([100, 60], settings(seed=seed), epoch)[0].reshape(-1))
        for seed in (1, 2)
        for epoch in (0, 1)
    }
    assert len(orders) == 4


def test_other_samples_are_left_out_in_each_epoch() -> None:
    left = [
        frozenset(range(29)) - set(epoch_of([29], settings(), epoch)[0].reshape(-1))
        for epoch in range(6)
    ]
    assert all(len(samples) == 5 for samples in left)
    assert len(set(left)) > 3


def test_the_order_of_a_release_never_changes() -> None:
    """A run must resume under a later NumPy and a later Voxmill. Printed by the order of 0.1.0."""
    ids, _ = epoch_of([31, 7, 64, 40], settings(seed=7), epoch=2)
    assert ids[:3].tolist() == GOLDEN


GOLDEN = [
    [30, 126, 0, 116, 22, 23, 84, 112],
    [29, 128, 17, 45, 61, 72, 11, 85],
    [24, 28, 57, 114, 58, 21, 8, 37],
]


@pytest.mark.parametrize("shards", [400, 2000])
def test_a_batch_touches_almost_as_many_shards_as_a_random_draw(shards: int) -> None:
    order = OrderSettings(batch_size=256, lanes=64)
    made = EpochOrder([500] * shards, order, 0)
    touched = [len(np.unique(made.step(step, range(64))[0] // 500)) for step in range(0, 400, 10)]
    ideal = shards * (1 - (1 - 1 / shards) ** 256)
    assert np.mean(touched) > 0.95 * ideal


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lanes": 3}, "give lanes=8, or leave lanes out"),
        ({"block": 0}, "block is 0; give a whole number of at least 1"),
        ({"seed": "a"}, "seed is .a."),
        ({"seed": -1}, "seed is -1"),
        ({"remainder": "keep"}, "'drop' or 'pad'"),
    ],
)
def test_a_number_that_cannot_be_is_refused_with_the_cure(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        settings(**changes)


def test_ranks_that_cannot_share_the_lanes_are_told_which_can() -> None:
    with pytest.raises(SettingsError, match=r"3 ranks cannot share 4 lanes.*\[1, 2, 4\]"):
        lanes_of_rank(settings(), 0, 3)
    with pytest.raises(SettingsError, match="ranks count from 0"):
        lanes_of_rank(settings(), 2, 2)


def test_lanes_follow_from_the_batch_size() -> None:
    assert [default_lanes(size) for size in (1, 8, 64, 100, 256, 384)] == [1, 8, 64, 50, 64, 64]
