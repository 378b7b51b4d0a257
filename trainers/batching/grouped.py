"""Batches by duration, or packs by tokens, over any schedule: a schedule of groups.

The order of the schedule below is cut into windows of whole steps. A window's groups follow from
the costs of its samples alone (``packing``, ``buckets``), are numbered, and are dealt out
``per_step`` at a time; rank r of R takes the r-th part of each step's groups. So every rank
computes the same groups, from the index and without decoding, and a change of ranks moves groups
and changes none. What is left of an epoch is dropped or padded as OrderSettings.remainder says.

The place is the place of the schedule below where the window begins, and how many of the window's
groups are handed out: a resumed run cuts one window again. ``samples`` counts the samples in all
groups handed out, so it is exact whatever their sizes, the ranks, the workers and the prefetch.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from schemas.errors import SettingsError
from trainers.batching.packing import Group
from trainers.order import Ids, OrderSettings
from trainers.schedule import Schedule, Slots


class Costs(Protocol):
    """What samples cost: ``trainers.batching.costs.CostTable``."""

    def of(self, corpus: Ids, ids: Ids) -> npt.NDArray[np.float64]:
        """The costs [n] of samples, given the corpus [n] of each and its id [n] there."""


Cut = Callable[[Sequence[float]], list[Group]]  # costs of a window -> groups of places in it
Place = Mapping[str, Any]
WINDOW_SAMPLES = 4096


@dataclass(frozen=True, slots=True)
class GroupSlots(Slots):
    """Slots of whole groups, one after the other; ``sizes`` [groups] are their lengths."""

    sizes: Ids


@dataclass(frozen=True, slots=True)
class _Window:
    """The groups of a window, and where the next one begins."""

    start: Place
    epoch: int
    slots: Slots  # of all ranks
    groups: Sequence[Group]
    next: Place
    ends_epoch: bool


@dataclass(frozen=True, slots=True)
class _Taken:
    """A step: (window, group number, is padding) of each group, and where the next step begins."""

    groups: tuple[tuple[_Window, int, bool], ...]
    window: Place
    group: int


class GroupedSchedule:
    """A schedule whose steps are ``per_step`` groups of samples each."""

    num_steps: int | None = None  # known only when all windows of an epoch are cut

    def __init__(
        self,
        below: Schedule,
        settings: OrderSettings,
        costs: Costs,
        cut: Cut,
        *,
        per_step: int,
        window_samples: int = WINDOW_SAMPLES,
    ) -> None:
        self._below, self._settings, self._costs, self._cut = below, settings, costs, cut
        self._per_step = per_step
        self._window_steps = max(1, window_samples // settings.batch_size)
        self._kept: dict[str, _Window] = {}
        self._window: Place = below.place()
        self._group = 0
        self._taken: _Taken | None = None
        self.total = 0
        self.samples = 0

    @property
    def epoch(self) -> int:
        """The epoch of the current step's first group."""
        return self._take().groups[0][0].epoch

    def slots(self, lanes: range) -> GroupSlots:
        """The samples of the groups that belong to the rank that owns ``lanes``."""
        share = self.share(lanes)
        return _joined(self._take().groups[share.start : share.stop])

    def share(self, lanes: range) -> range:
        """The groups of each step that belong to the rank that owns ``lanes``.

        Raises SettingsError where the ranks cannot share a step's groups equally.
        """
        bounds = [bound * self._per_step for bound in (lanes.start, lanes.stop)]
        if any(bound % self._settings.lanes for bound in bounds):
            raise SettingsError(
                f"{self._per_step} groups in a step cannot be shared by "
                f"{self._settings.lanes // len(lanes)} ranks; give a multiple of the ranks"
            )
        first, last = (bound // self._settings.lanes for bound in bounds)
        return range(first, last)

    def advance(self, steps: int = 1) -> None:
        """Go to a later step."""
        for _ in range(steps):
            taken = self._take()
            real = [(window, number) for window, number, padding in taken.groups if not padding]
            self.samples += sum(len(window.groups[number]) for window, number in real)
            self._window, self._group, self._taken = taken.window, taken.group, None
            self.total += 1

    def place(self) -> dict[str, Any]:
        """Where the cursor is: small, JSON, and equal on every rank."""
        return {
            "window": dict(self._window),
            "group": self._group,
            "step": self.total,
            "samples": self.samples,
        }

    def go_to(self, place: Place) -> None:
        """Back to what ``place`` gave."""
        self._window, self._group = dict(place["window"]), place["group"]
        self.total, self.samples, self._taken = place["step"], place["samples"], None

    def epoch_start(self, epoch: int) -> dict[str, Any] | None:
        """The place where an epoch starts; steps and samples are counted from there."""
        start = self._below.epoch_start(epoch)
        return start and {"window": start, "group": 0, "step": 0, "samples": 0}

    def epoch_end(self, epochs: int) -> int | None:
        """The ``total`` when so many epochs are over; None for a mixture. Cuts all their groups."""
        if self._below.epoch_start(0) is None:
            return None
        ahead = copy.copy(self)
        last = self.epoch + epochs
        while ahead.epoch < last:
            ahead.advance()
        return ahead.total

    def _take(self) -> _Taken:
        """The groups of the current step."""
        if self._taken is not None:
            return self._taken
        start, number, epochs = self._window, self._group, 0
        groups: list[tuple[_Window, int, bool]] = []
        while len(groups) < self._per_step:
            window = self._at(start)
            last = min(len(window.groups), number + self._per_step - len(groups))
            groups.extend((window, place, False) for place in range(number, last))
            number = last
            if number < len(window.groups) or len(groups) == self._per_step:
                break
            start, number = window.next, 0
            if window.ends_epoch:
                if groups and self._settings.remainder == "pad":
                    missing = self._per_step - len(groups)
                    again = [groups[place % len(groups)] for place in range(missing)]
                    groups.extend((window, place, True) for window, place, _ in again)
                    break
                epochs += 1
                if epochs > 1:
                    raise SettingsError(
                        f"an epoch has fewer groups than the {self._per_step} of a step; give "
                        "smaller groups, fewer in a step, or remainder='pad'"
                    )
                groups.clear()
        self._taken = _Taken(tuple(groups), start, number)
        return self._taken

    def _at(self, start: Place) -> _Window:
        """The window that begins at a place of the schedule below; the latest two are kept."""
        name = repr(sorted(start.items()))
        if name not in self._kept:
            if len(self._kept) > 1:
                self._kept.pop(next(iter(self._kept)))
            self._kept[name] = self._read(start)
        return self._kept[name]

    def _read(self, start: Place) -> _Window:
        below = self._below
        below.go_to(start)
        epoch, parts = below.epoch, []
        ends = False
        for _ in range(self._window_steps):
            parts.append(below.slots(range(self._settings.lanes)))
            below.advance()
            ends = below.num_steps is not None and below.epoch != epoch
            if ends:
                break
        slots = _real(parts)
        costs = self._costs.of(slots.corpus, slots.ids)
        return _Window(start, epoch, slots, self._cut(costs.tolist()), below.place(), ends)


def group_numbers(slots: Slots) -> Ids:
    """The group in the step [n] of each slot: 0 for all where there are no groups."""
    if isinstance(slots, GroupSlots):
        return np.repeat(np.arange(len(slots.sizes)), slots.sizes)
    return np.zeros(len(slots.ids), np.int64)


def _real(parts: Sequence[Slots]) -> Slots:
    """The slots of several steps in one, without those that only fill a batch."""
    real = ~np.concatenate([part.padding for part in parts])
    names = ("corpus", "epoch", "ids", "padding", "positions")
    return Slots(*(np.concatenate([getattr(part, name) for part in parts])[real] for name in names))


def _joined(groups: Sequence[tuple[_Window, int, bool]]) -> GroupSlots:
    rows = [np.array(window.groups[number], np.int64) for window, number, _ in groups]
    columns = {
        name: np.concatenate(
            [
                getattr(window.slots, name)[places]
                for (window, _, _), places in zip(groups, rows, strict=True)
            ]
        )
        for name in ("corpus", "epoch", "ids", "positions")
    }
    sizes = np.array([len(places) for places in rows], np.int64)
    padding = np.repeat([padding for _, _, padding in groups], sizes)
    return GroupSlots(**columns, padding=padding, sizes=sizes)
