"""Which sample stands in which slot of which step: one corpus by epochs, or several by weights.

A schedule is a cursor over steps. Its place is a few numbers that are the same on every rank.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from schemas.errors import SettingsError
from trainers.order import EpochOrder, Flags, Ids, OrderSettings, num_steps

# The additive recurrence R2 (M. Roberts, "The unreasonable effectiveness of quasirandom sequences",
# 2018) in units of 2**-64: 1/p and 1/p**2 for p = 1.32471795..., the real root of p**3 = p + 1.
_ALONG: Final = np.uint64(0xC13FA9A902A6328F)
_ACROSS: Final = np.uint64(0x91E10DA5C79E7B1C)
_KEPT_EPOCHS: Final = 3


@dataclass(frozen=True, slots=True)
class Slots:
    """What a rank reads in a step, [n] each: corpus number, that corpus's epoch, canonical id."""

    corpus: Ids
    epoch: Ids
    ids: Ids
    padding: Flags
    positions: Ids


class Schedule(Protocol):
    """A cursor over the steps of a run."""

    @property
    def num_steps(self) -> int | None:
        """Steps of an epoch; None where epochs have no common end."""

    def slots(self, lanes: range) -> Slots:
        """The slots of the current step that belong to ``lanes``."""

    def advance(self, steps: int = 1) -> None:
        """Go to a later step."""

    def place(self) -> dict[str, Any]:
        """Where the cursor is, as JSON values."""

    def go_to(self, place: Mapping[str, Any]) -> None:
        """Back to what ``place`` gave."""

    @property
    def epoch(self) -> int:
        """The epoch of the current step, of the first corpus."""

    @property
    def total(self) -> int:
        """Steps since the run began."""

    def epoch_start(self, epoch: int) -> dict[str, Any] | None:
        """The place where an epoch starts; None where there are no epochs to go to."""

    def epoch_end(self, epochs: int) -> int | None:
        """The ``total`` when so many epochs, the current one first, are over; or None."""


class SingleCorpus:
    """Epoch after epoch of one corpus."""

    def __init__(self, counts: Ids, settings: OrderSettings) -> None:
        self._settings = settings
        self._epochs = _Epochs(counts, settings)
        self._steps = num_steps(int(counts.sum()), settings)
        if not self._steps:
            raise SettingsError(
                f"reader: {counts.sum()} samples do not fill one batch of {settings.batch_size}; "
                "give a smaller batch_size, or remainder='pad'"
            )
        self.total = 0

    @property
    def num_steps(self) -> int | None:
        return self._steps

    @property
    def epoch(self) -> int:
        return self.total // self._steps

    def slots(self, lanes: range) -> Slots:
        epoch, step = divmod(self.total, self._steps)
        ids, padding = self._epochs[epoch].step(step, lanes)
        first = step * self._settings.batch_size + lanes.start * self._settings.per_lane
        return Slots(
            corpus=np.zeros(len(ids), np.int64),
            epoch=np.full(len(ids), epoch, np.int64),
            ids=ids,
            padding=padding,
            positions=np.arange(first, first + len(ids), dtype=np.int64),
        )

    def advance(self, steps: int = 1) -> None:
        self.total += steps

    def place(self) -> dict[str, Any]:
        epoch, step = divmod(self.total, self._steps)
        return {"epoch": epoch, "step": step}

    def go_to(self, place: Mapping[str, Any]) -> None:
        self.total = place["epoch"] * self._steps + place["step"]

    def epoch_start(self, epoch: int) -> dict[str, Any] | None:
        return {"epoch": epoch, "step": 0}

    def epoch_end(self, epochs: int) -> int | None:
        return (self.epoch + epochs) * self._steps


class Mixture:
    """Several corpora by weights, without end.

    Slot n of lane c reads the corpus in whose share of [0, 1) the point (n / p + c / p**2) mod 1
    falls. These points fill the interval evenly along a lane and across the lanes of a step, so
    that a corpus's count stays within a few samples of its share, in every lane and every batch.
    Each lane of a corpus is read from end to end, then again in the order of the next epoch;
    nothing is dropped and nothing padded. ``counts`` [corpora, lanes] is what has been read.
    """

    num_steps: int | None = None

    def __init__(
        self, counts: Sequence[Ids], weights: Sequence[float], settings: OrderSettings
    ) -> None:
        if not settings.shuffle or settings.remainder != "drop":
            raise SettingsError(
                "reader: a mixture is for training, always shuffled and without end; leave shuffle "
                "and remainder out, or read each corpus by itself for an evaluation"
            )
        for number, count in enumerate(counts):
            if count.sum() < settings.lanes:
                raise SettingsError(
                    f"reader: corpus {number} of the mixture has {count.sum()} samples, fewer than "
                    f"the {settings.lanes} lanes; give lanes={_fewer(settings, int(count.sum()))}"
                )
        if not all(np.isfinite(weight) and weight > 0 for weight in weights):
            raise SettingsError(f"reader: weights are {list(weights)}; give numbers above 0")
        self._settings = settings
        self._epochs = [_Epochs(count, settings) for count in counts]
        whole, rest = zip(*(divmod(int(c.sum()), settings.lanes) for c in counts), strict=True)
        lanes = np.arange(settings.lanes)
        self._lengths = np.array(whole)[:, None] + (lanes < np.array(rest)[:, None])
        shares = np.cumsum(np.array(weights, np.float64) / np.sum(weights))[:-1]
        self._bounds = np.array(
            [min(int(share * 2.0**64), 2**64 - 1) for share in shares], np.uint64
        )
        self._across = lanes.astype(np.uint64) * _ACROSS + np.uint64(settings.seed)
        self.total = 0
        self.counts: Ids = np.zeros((len(counts), settings.lanes), np.int64)

    @property
    def epoch(self) -> int:
        """Passes of the first corpus that every lane has finished."""
        return int((self.counts[0] // self._lengths[0]).min())

    def slots(self, lanes: range) -> Slots:
        chosen = self._chosen()[lanes.start : lanes.stop]  # [lanes, G/C]
        width = self._settings.per_lane
        epoch, ids = np.empty(chosen.shape, np.int64), np.empty(chosen.shape, np.int64)
        for row, lane in enumerate(lanes):
            for number in np.unique(chosen[row]):
                here = chosen[row] == number
                epoch[row, here], ids[row, here] = self._read(number, lane, int(here.sum()))
        corpus = chosen.reshape(-1)
        first = self.total * self._settings.batch_size + lanes.start * width
        return Slots(
            corpus=corpus,
            epoch=epoch.reshape(-1),
            ids=ids.reshape(-1),
            padding=np.zeros(len(corpus), np.bool_),
            positions=np.arange(first, first + len(corpus), dtype=np.int64),
        )

    def advance(self, steps: int = 1) -> None:
        for _ in range(steps):
            chosen = self._chosen()
            for number in range(len(self.counts)):
                self.counts[number] += (chosen == number).sum(axis=1)
            self.total += 1

    def place(self) -> dict[str, Any]:
        return {"step": self.total, "counts": self.counts.tolist()}

    def go_to(self, place: Mapping[str, Any]) -> None:
        self.total = place["step"]
        self.counts = np.array(place["counts"], np.int64)

    def epoch_start(self, epoch: int) -> dict[str, Any] | None:
        return None

    def epoch_end(self, epochs: int) -> int | None:
        return None

    def _read(self, number: int, lane: int, count: int) -> tuple[Ids, Ids]:
        """Epochs and ids [count] that a lane of a corpus gives next."""
        places = self.counts[number, lane] + np.arange(count)
        epochs, inside = np.divmod(places, self._lengths[number, lane])
        ids = [
            self._epochs[number][int(epoch)].lane(
                lane, int(inside[epochs == epoch][0]), int((epochs == epoch).sum())
            )[0]
            for epoch in np.unique(epochs)
        ]
        return epochs, np.concatenate(ids)

    def _chosen(self) -> npt.NDArray[np.int64]:
        """The corpus of every slot of the current step [lanes, G/C]."""
        width = self._settings.per_lane
        along = np.arange(self.total * width, (self.total + 1) * width, dtype=np.uint64) * _ALONG
        points = self._across[:, None] + along[None, :]  # modulo 2**64
        return np.searchsorted(self._bounds, points, side="right").astype(np.int64)


class _Epochs:
    """Orders by epoch; the latest few are kept."""

    def __init__(self, counts: Ids, settings: OrderSettings) -> None:
        self._counts, self._settings = counts, settings
        self._kept: OrderedDict[int, EpochOrder] = OrderedDict()

    def __getitem__(self, epoch: int) -> EpochOrder:
        if epoch not in self._kept:
            self._kept[epoch] = EpochOrder(self._counts, self._settings, epoch)
            if len(self._kept) > _KEPT_EPOCHS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(epoch)
        return self._kept[epoch]


def _fewer(settings: OrderSettings, most: int) -> int:
    return max(n for n in range(1, max(most, 1) + 1) if settings.batch_size % n == 0)
