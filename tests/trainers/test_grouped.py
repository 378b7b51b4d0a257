"""Groups over the reader's order: the same for any ranks, kills and workers, counted exactly."""

import copy
import itertools
import json
import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SettingsError
from trainers.batching.buckets import Buckets
from trainers.batching.grouped import Cut, GroupedSchedule
from trainers.batching.packing import Group, best_fit, next_fit
from trainers.order import OrderSettings, Remainder, lanes_of_rank
from trainers.schedule import Mixture, Schedule, SingleCorpus

Ids = npt.NDArray[np.int64]
Step = list[list[tuple[int, int, int, bool]]]  # groups of (corpus, epoch, id, padding)
LIMIT = 100
LANES = 8


class Costs:
    """A cost that follows from the sample's number, 1 to 120: some exceed the limit alone."""

    def __init__(self) -> None:
        self.asked = 0

    def of(self, corpus: Ids, ids: Ids) -> npt.NDArray[np.float64]:
        self.asked += len(ids)
        return ((ids * 37 + corpus * 11) % 120 + 1).astype(np.float64)


def pack(costs: Sequence[float]) -> list[Group]:
    return best_fit(costs, LIMIT)


def grouped(
    below: Schedule | None = None,
    *,
    cut: Cut = pack,
    per_step: int = 8,
    window: int = 64,
    remainder: Remainder = "drop",
    samples: int = 500,
) -> GroupedSchedule:
    settings = OrderSettings(batch_size=16, seed=3, lanes=LANES, remainder=remainder, block=4)
    below = below or SingleCorpus(np.array([samples - samples // 3, samples // 3]), settings)
    return GroupedSchedule(below, settings, Costs(), cut, per_step=per_step, window_samples=window)


def step_of(schedule: GroupedSchedule, ranks: int) -> Step:
    """The current step's groups, as ``ranks`` ranks get them one after the other."""
    settings = OrderSettings(batch_size=16, seed=3, lanes=LANES)
    groups: Step = []
    for rank in range(ranks):
        slots = schedule.slots(lanes_of_rank(settings, rank, ranks))
        columns = (slots.corpus, slots.epoch, slots.ids, slots.padding)
        rows = list(zip(*(column.tolist() for column in columns), strict=True))
        for size in slots.sizes.tolist():
            groups.append(rows[:size])
            rows = rows[size:]
        assert not rows
    return groups


def run(schedule: GroupedSchedule, steps: int, ranks: int = 1) -> list[Step]:
    taken = []
    for _ in range(steps):
        taken.append(step_of(schedule, ranks))
        schedule.advance()
    return taken


def epoch_of(schedule: GroupedSchedule) -> list[Step]:
    taken = []
    while schedule.epoch == 0:
        taken.extend(run(schedule, 1))
    return taken


@pytest.mark.parametrize("cut", [pack, Buckets(edges_s=(30.0, 60.0), batch_size=4)])
def test_any_number_of_ranks_sees_the_same_groups(cut: Cut) -> None:
    alone = run(grouped(cut=cut), 20)
    for ranks in (2, 4, 8):
        assert run(grouped(cut=cut), 20, ranks) == alone


def test_groups_hold_the_limit_and_an_epoch_loses_less_than_a_step() -> None:
    steps = epoch_of(grouped())
    costs = Costs()
    seen: list[int] = []
    for group in itertools.chain(*steps):
        cost = costs.of(np.zeros(len(group), np.int64), np.array([row[2] for row in group])).sum()
        assert cost <= LIMIT or len(group) == 1
        seen.extend(row[2] for row in group)
    assert len(seen) == len(set(seen))
    assert all(len(step) == 8 for step in steps)
    rest = 500 - len(seen)
    assert 0 <= rest < 16 + 8 * 20  # the order's own remainder, and seven packs


def test_padding_repeats_groups_and_loses_no_sample() -> None:
    steps = epoch_of(grouped(remainder="pad"))
    rows = list(itertools.chain(*itertools.chain(*steps)))
    assert sorted(row[2] for row in rows if not row[3]) == list(range(500))
    assert any(row[3] for row in rows)
    assert not any(row[3] for row in itertools.chain(*itertools.chain(*steps[:-1])))


@given(kills=st.lists(st.integers(0, 12), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_killed_and_resumed_on_other_ranks_the_groups_are_the_same(
    kills: list[int], seed: int
) -> None:
    ranks = random.Random(seed)
    whole = run(grouped(), sum(kills) + 3)
    schedule, seen = grouped(), []
    for steps in kills:
        seen.extend(run(schedule, steps, ranks.choice([1, 2, 4, 8])))
        state = json.loads(json.dumps(schedule.place()))
        schedule = grouped()
        schedule.go_to(state)
    seen.extend(run(schedule, 3))
    assert seen == whole


def test_samples_are_counted_exactly_across_packs_workers_and_read_ahead() -> None:
    """llm-foundry#1277: packs were counted as samples, times the workers, so a resume skipped."""
    consumed, seen = grouped(), 0
    ahead = copy.copy(consumed)
    ahead.go_to(consumed.place())
    for step in range(25):
        while ahead.total < step + 4:  # what is planned and read ahead does not count
            ahead.slots(range(LANES))
            ahead.advance()
        seen += sum(len(group) for group in step_of(consumed, 2))
        consumed.advance()
        assert consumed.samples == consumed.place()["samples"] == seen

    workers = [grouped() for _ in range(3)]  # worker w takes steps w, w + 3, ...
    for number, worker in enumerate(workers):
        worker.advance(number)
    steps = []
    for number in range(24):
        worker = workers[number % 3]
        steps.append(step_of(worker, 1))
        worker.advance(3)
    assert steps == run(grouped(), 24)
    assert workers[0].samples == sum(len(group) for group in itertools.chain(*steps))


def test_groups_are_a_function_of_the_order_and_of_no_later_sample() -> None:
    costs = Costs()
    settings = OrderSettings(batch_size=16, seed=3, lanes=LANES)
    below = SingleCorpus(np.array([400, 100]), settings)
    schedule = GroupedSchedule(below, settings, costs, pack, per_step=8, window_samples=64)
    schedule.slots(range(LANES))
    assert costs.asked == 64  # the first window, and nothing beyond


def test_a_mixture_is_packed_across_its_corpora() -> None:
    settings = OrderSettings(batch_size=16, seed=3, lanes=LANES)

    def mixture() -> GroupedSchedule:
        counts = [np.array([90, 30]), np.array([60])]
        return grouped(Mixture(counts, [2.0, 1.0], settings))

    alone = run(mixture(), 30)
    rows = list(itertools.chain(*itertools.chain(*alone)))
    share = sum(row[0] for row in rows) / len(rows)
    assert 0.3 < share < 0.37
    schedule = mixture()
    run(schedule, 11, 4)
    resumed = mixture()
    resumed.go_to(json.loads(json.dumps(schedule.place())))
    assert run(resumed, 19, 2) == alone[11:]


def test_the_place_is_small_and_costs_no_search() -> None:
    schedule = grouped()
    run(schedule, 40)
    assert len(json.dumps(schedule.place())) < 200


def test_a_step_that_ranks_cannot_share_names_the_cure() -> None:
    with pytest.raises(SettingsError, match=r"6 groups.*shared by 4 ranks; give a multiple"):
        step_of(grouped(per_step=6), 4)


def test_an_epoch_without_enough_groups_is_an_error_and_not_an_endless_loop() -> None:
    with pytest.raises(SettingsError, match="fewer groups than the 400 of a step"):
        grouped(per_step=400).slots(range(LANES))
    padded = grouped(per_step=400, remainder="pad")
    assert len(padded.slots(range(LANES)).sizes) == 400


def test_next_fit_keeps_the_order_over_windows() -> None:
    schedule = grouped(cut=lambda costs: next_fit(costs, LIMIT))
    positions: list[int] = []
    for _ in range(15):
        positions.extend(schedule.slots(range(LANES)).positions.tolist())
        schedule.advance()
    assert positions == list(range(len(positions)))
