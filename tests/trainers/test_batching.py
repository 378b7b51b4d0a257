"""Packing and bucketing: golden cases, and what holds for any durations and costs."""

import itertools
import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SettingsError
from trainers.batching.buckets import Buckets, padded_share
from trainers.batching.counts import (
    INTERNVL_LIMIT,
    VITA_TEXT_LIMIT,
    mel_frames,
    qwen2_audio_tokens,
    vita_audio_tokens,
)
from trainers.batching.packing import Group, best_fit, next_fit

Pack = Callable[[Sequence[int], int], list[Group]]
COSTS = st.lists(st.integers(0, 120), max_size=60)
DURATIONS = st.lists(st.floats(0, 40, allow_subnormal=False), max_size=60)


@pytest.mark.parametrize(
    ("duration_s", "tokens"),
    [(0, 0), (0.2, 25), (1, 25), (2.0, 25), (2.1, 50), (3, 50), (4, 50), (4.0001, 75), (30, 375)],
)
def test_vita_counts_audio_in_even_seconds(duration_s: float, tokens: int) -> None:
    assert vita_audio_tokens(duration_s) == tokens


@pytest.mark.parametrize(("seconds", "tokens"), [(1, 25), (2, 50), (10, 250), (30, 750)])
def test_qwen2_audio_hears_25_tokens_a_second(seconds: int, tokens: int) -> None:
    assert qwen2_audio_tokens(mel_frames(seconds * 16000)) == tokens


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_a_clip_too_short_for_the_pool_has_at_most_one_token(frames: int) -> None:
    assert qwen2_audio_tokens(frames) == 0
    assert qwen2_audio_tokens(3) == 1


@pytest.mark.parametrize("duration_s", [-1.0, math.nan, math.inf])
def test_a_duration_that_is_none_is_refused(duration_s: float) -> None:
    with pytest.raises(SettingsError, match="duration"):
        vita_audio_tokens(duration_s)
    with pytest.raises(SettingsError, match="lasts"):
        Buckets(edges_s=(1.0,), batch_size=2)([1.0, duration_s])


@pytest.mark.parametrize(
    ("costs", "packs"),
    [
        ([], []),
        ([6000], [(0,)]),
        ([3000, 3000, 1], [(0, 1), (2,)]),
        ([5999, 2, 5999, 1], [(0,), (1,), (2, 3)]),
        ([100, 7000, 100], [(0,), (1,), (2,)]),  # oversize: alone, neither cut nor dropped
        ([7000, 0], [(0,), (1,)]),
        ([50] * 121, [tuple(range(120)), (120,)]),  # 2.1 s clips: 120 of them fill 6000
    ],
)
def test_vita_packs_neighbors_to_6000(costs: list[int], packs: list[Group]) -> None:
    assert next_fit(costs, VITA_TEXT_LIMIT) == packs


def test_best_fit_fills_internvls_packs_where_next_fit_leaves_holes() -> None:
    costs = [9000, 9000, 7000, 7000, 384, 384]
    assert best_fit(costs, INTERNVL_LIMIT) == [(0, 2, 4), (1, 3, 5)]
    assert [len(pack) for pack in next_fit(costs, INTERNVL_LIMIT)] == [1, 2, 3]


@pytest.mark.parametrize("pack", [next_fit, best_fit])
@given(costs=COSTS, limit=st.integers(1, 150))
def test_packs_lose_nothing_split_nothing_and_hold_the_limit(
    pack: Pack, costs: list[int], limit: int
) -> None:
    packs = pack(costs, limit)
    assert sorted(itertools.chain(*packs)) == list(range(len(costs)))
    for places in packs:
        assert places == tuple(sorted(places))
        assert sum(costs[place] for place in places) <= limit or len(places) == 1
    assert packs == pack(list(costs), limit)


@given(costs=COSTS, cut=st.integers(0, 60), limit=st.integers(1, 150))
def test_what_comes_later_does_not_change_a_closed_pack(
    costs: list[int], cut: int, limit: int
) -> None:
    known = next_fit(costs[:cut], limit)[:-1]  # its last pack is still open
    assert next_fit(costs, limit)[: len(known)] == known


@given(costs=COSTS, limit=st.integers(120, 150))
def test_no_two_packs_of_best_fit_fit_into_one(costs: list[int], limit: int) -> None:
    loads = sorted(sum(costs[place] for place in pack) for pack in best_fit(costs, limit))
    assert len(loads) < 2 or loads[0] + loads[1] > limit


@given(durations=DURATIONS, size=st.integers(1, 8), padded_s=st.floats(1, 200))
def test_batches_lose_nothing_and_hold_size_and_padded_seconds(
    durations: list[float], size: int, padded_s: float
) -> None:
    batches = Buckets(edges_s=(2.0, 5.0, 20.0), batch_size=size, padded_s=padded_s)(durations)
    assert sorted(itertools.chain(*batches)) == list(range(len(durations)))
    for batch in batches:
        assert len(batch) <= size
        longest_s = max(durations[place] for place in batch)
        assert len(batch) * longest_s <= padded_s or len(batch) == 1


@given(durations=st.lists(st.floats(0, 40), max_size=60))
def test_a_window_leaves_one_short_batch_and_not_one_per_bucket(durations: list[float]) -> None:
    batches = Buckets(edges_s=(2.0, 5.0, 20.0), batch_size=4)(durations)
    assert len(batches) == -(-len(durations) // 4)


def test_buckets_hold_like_lengths_and_pad_less_than_the_order_would() -> None:
    durations = [1.0, 9.0, 1.5, 8.0, 2.0, 9.5, 1.0, 8.5]
    batches = Buckets(edges_s=(2.0, 10.0), batch_size=4)(durations)
    assert batches == [(0, 2, 4, 6), (1, 3, 5, 7)]
    in_order = [(0, 1, 2, 3), (4, 5, 6, 7)]
    assert padded_share(batches, durations) < padded_share(in_order, durations) / 3


@pytest.mark.parametrize(
    "settings",
    [
        {"edges_s": (2.0, 1.0)},
        {"edges_s": (0.0, 1.0)},
        {"edges_s": (1.0,), "batch_size": 0},
        {"edges_s": (1.0,), "padded_s": 0.0},
    ],
)
def test_buckets_that_cannot_be_cut_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="wanted"):
        Buckets(**{"batch_size": 4, **settings})  # type: ignore[arg-type]


@pytest.mark.parametrize("pack", [next_fit, best_fit])
def test_packs_without_room_or_with_negative_costs_are_refused(pack: Pack) -> None:
    with pytest.raises(SettingsError, match="at least 1"):
        pack([1], 0)
    with pytest.raises(SettingsError, match="costs -1"):
        pack([1, -1], 5)
