"""The settings of packs and of buckets: what a reader is given to yield groups."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from schemas.errors import SettingsError
from trainers.batching.buckets import Buckets
from trainers.batching.costs import Cost, CostTable, cost_identity, user_seconds
from trainers.batching.grouped import WINDOW_SAMPLES, Cut, GroupedSchedule
from trainers.batching.packing import best_fit, next_fit
from trainers.corpus import Corpus
from trainers.order import OrderSettings
from trainers.sample import Sample
from trainers.schedule import Schedule

Method = Literal["best_fit", "next_fit"]


class Grouping(Protocol):
    """How a reader cuts its order into groups; all of ``to_json`` is in the run's state."""

    @property
    def cost(self) -> Cost:
        """What a sample costs: tokens of packs, seconds of buckets."""

    @property
    def per_step(self) -> int:
        """Groups in a step of all ranks."""

    @property
    def window_samples(self) -> int:
        """Samples of the order that are cut into groups together."""

    def cut(self) -> Cut:
        """The function from a window's costs to its groups."""

    def to_json(self) -> dict[str, object]:
        """Plain JSON values: what fixes the groups."""


@dataclass(frozen=True, kw_only=True)
class Packing:
    """Packs of at most ``limit`` tokens, ``per_step`` of them in a step of all ranks.

    "next_fit" packs neighbors, as VITA does; "best_fit" fills the packs of a window denser.
    """

    limit: int
    cost: Cost
    per_step: int
    method: Method = "best_fit"
    window_samples: int = WINDOW_SAMPLES

    def __post_init__(self) -> None:
        """Raise SettingsError for numbers that make no packs."""
        _check(self.per_step, self.window_samples)
        if self.limit < 1:
            raise SettingsError(f"packs of {self.limit} tokens: wanted a limit of at least 1")
        if self.method not in ("best_fit", "next_fit"):
            raise SettingsError(f"packing by {self.method!r}: wanted 'best_fit' or 'next_fit'")

    def cut(self) -> Cut:
        """The function from a window's costs to its packs."""
        pack = best_fit if self.method == "best_fit" else next_fit
        return lambda costs: pack(costs, self.limit)

    def to_json(self) -> dict[str, object]:
        """Plain JSON values: what fixes the packs."""
        return {
            "kind": "packing",
            "method": self.method,
            "limit": self.limit,
            **_common(self.cost, self.per_step, self.window_samples),
        }


@dataclass(frozen=True, kw_only=True)
class Bucketing:
    """Batches of like durations, ``per_step`` of them in a step of all ranks."""

    buckets: Buckets
    per_step: int
    cost: Cost = user_seconds
    window_samples: int = WINDOW_SAMPLES

    def __post_init__(self) -> None:
        """Raise SettingsError for numbers that make no batches."""
        _check(self.per_step, self.window_samples)

    def cut(self) -> Cut:
        """The function from a window's durations to its batches."""
        return self.buckets

    def to_json(self) -> dict[str, object]:
        """Plain JSON values: what fixes the batches."""
        padded_s = self.buckets.padded_s
        return {
            "kind": "buckets",
            "edges_s": list(self.buckets.edges_s),
            "batch_size": self.buckets.batch_size,
            "padded_s": padded_s if padded_s < float("inf") else None,
            **_common(self.cost, self.per_step, self.window_samples),
        }


def grouped(
    grouping: Grouping, below: Schedule, order: OrderSettings, corpora: Sequence[Corpus]
) -> GroupedSchedule:
    """The schedule of a grouping's groups over another schedule."""
    return GroupedSchedule(
        below,
        order,
        CostTable(corpora, grouping.cost),
        grouping.cut(),
        per_step=grouping.per_step,
        window_samples=grouping.window_samples,
    )


def groups_of(batch: Iterable[Sample]) -> list[list[Sample]]:
    """A step's samples apart by pack or bucket, as the reader numbered them."""
    return [list(group) for _, group in itertools.groupby(batch, key=lambda item: item.group)]


def _common(cost: Cost, per_step: int, window_samples: int) -> dict[str, object]:
    return {
        "cost": cost_identity(cost),
        "per_step": per_step,
        "window_samples": window_samples,
    }


def _check(per_step: int, window_samples: int) -> None:
    if per_step < 1 or window_samples < 1:
        raise SettingsError(
            f"{per_step} groups in a step, cut from windows of {window_samples} samples: wanted at "
            "least 1 of each, and a multiple of the ranks in a step"
        )
