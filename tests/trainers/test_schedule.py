"""Mixtures: shares, passes and places."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SettingsError
from trainers.order import OrderSettings, lanes_of_rank
from trainers.schedule import Mixture, SingleCorpus, Slots

ORDER = OrderSettings(batch_size=32, lanes=8, block=4, window=16, seed=11)
COUNTS = [np.array([50, 70]), np.array([9, 8]), np.array([33])]
WEIGHTS = (0.7, 0.2, 0.1)


def mixture(weights: tuple[float, ...] = WEIGHTS, order: OrderSettings = ORDER) -> Mixture:
    return Mixture(COUNTS[: len(weights)], weights, order)


def steps(made: Mixture, number: int, lanes: range = range(8)) -> list[Slots]:
    found = []
    for _ in range(number):
        found.append(made.slots(lanes))
        made.advance()
    return found


def test_each_corpus_keeps_its_share_in_every_batch_and_every_lane() -> None:
    made = mixture()
    batches = steps(made, 200)
    for weight, number in zip(WEIGHTS, range(3), strict=True):
        per_batch = [int((slots.corpus == number).sum()) for slots in batches]
        assert max(abs(count - 32 * weight) for count in per_batch) <= 4
        assert abs(sum(per_batch) - 200 * 32 * weight) <= 4
        assert np.abs(made.counts[number] - 200 * 4 * weight).max() <= 4


@given(
    weights=st.lists(st.floats(0.05, 1.0), min_size=2, max_size=3).map(tuple),
    seed=st.integers(0, 2**64 - 1),
)
def test_every_pass_of_a_corpus_holds_every_sample_once(
    weights: tuple[float, ...], seed: int
) -> None:
    order = OrderSettings(batch_size=16, lanes=8, block=4, window=16, seed=seed)
    made = mixture(weights, order)
    seen = Counter(
        (int(corpus), int(epoch), int(sample))
        for slots in steps(made, 60)
        for corpus, epoch, sample in zip(slots.corpus, slots.epoch, slots.ids, strict=True)
    )
    assert set(seen.values()) == {1}
    for number, counts in enumerate(COUNTS[: len(weights)]):
        whole = int((made.counts[number] // made._lengths[number]).min())
        for epoch in range(whole):
            found = {sample for corpus, e, sample in seen if (corpus, e) == (number, epoch)}
            assert found == set(range(counts.sum()))


@given(stop=st.integers(0, 40), world=st.sampled_from([1, 2, 4, 8]))
def test_a_place_resumes_a_mixture_on_any_number_of_ranks(stop: int, world: int) -> None:
    straight = steps(mixture(), 50)
    first = mixture()
    steps(first, stop)
    place = json.loads(json.dumps(first.place()))
    for rank in range(world):
        lanes = lanes_of_rank(ORDER, rank, world)
        resumed = mixture()
        resumed.go_to(place)
        size = 32 // world
        part = slice(rank * size, (rank + 1) * size)
        for got, wanted in zip(steps(resumed, 50 - stop, lanes), straight[stop:], strict=True):
            for name in ("corpus", "epoch", "ids", "positions"):
                assert (getattr(got, name) == getattr(wanted, name)[part]).all()


def test_reading_on_does_not_move_a_place_that_was_taken() -> None:
    made = mixture()
    place = made.place()
    steps(made, 3)
    assert place == mixture().place()


def test_a_mixture_that_cannot_be_is_refused_with_the_cure() -> None:
    with pytest.raises(SettingsError, match=r"corpus 1 .* 3 samples.*give lanes=2"):
        Mixture([np.array([50]), np.array([3])], [1, 1], ORDER)
    with pytest.raises(SettingsError, match="numbers above 0"):
        mixture((1.0, 0.0))
    with pytest.raises(SettingsError, match="each corpus by itself"):
        mixture(order=OrderSettings(batch_size=8, lanes=8, shuffle=False))


def test_a_corpus_smaller_than_a_batch_is_refused_with_the_cure() -> None:
    with pytest.raises(SettingsError, match="smaller batch_size, or remainder='pad'"):
        SingleCorpus(np.array([5]), ORDER)
