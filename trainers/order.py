"""The order of samples: a pure function of the shard table, the settings and the seed.

    samples of the split, in canonical order   0 ........................................ N-1
    cut into blocks of consecutive samples     [   ][   ][   ] [   ][  ] ...    (never over a shard)
    blocks permuted                            Philox(seed, epoch)
    the stream dealt to C equal lanes          lane 0 | lane 1 | ...            (cut anywhere)
    samples permuted in windows of each lane   Philox(seed, epoch, lane, window)
    step t takes G/C samples from every lane   slots [0, G) of the global batch

Ranks own lanes, so a change of their number moves lanes and changes no batch. Permutations are
stable argsorts of Philox's raw words, whose stream NumPy promises to keep (that of
``Generator.permutation`` it does not).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from schemas.errors import SettingsError

Ids = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Remainder = Literal["drop", "pad"]

LANES: Final = 64
BLOCK: Final = 32  # samples
WINDOW: Final = 2048  # samples
_WORD: Final = 1 << 64


@dataclass(frozen=True, kw_only=True)
class OrderSettings:
    """What, with the shard table, fixes the order. All of it is in a run's state.

    ``batch_size`` is the global batch G, over all ranks. ``remainder`` says what becomes of the
    last N mod G samples of an epoch: "drop" leaves them out (others in each epoch), "pad" fills the
    last batch with samples marked as padding. Without ``shuffle`` a batch is the next G samples in
    canonical order: the order of an evaluation.
    """

    batch_size: int
    seed: int = 0
    shuffle: bool = True
    remainder: Remainder = "drop"
    lanes: int
    block: int = BLOCK
    window: int = WINDOW

    def __post_init__(self) -> None:
        for name in ("batch_size", "lanes", "block", "window", "seed"):
            value = getattr(self, name)
            if not isinstance(value, int) or (value < 1 and name != "seed"):
                raise SettingsError(
                    f"reader: {name} is {value!r}; give a whole number of at least 1"
                )
        if self.batch_size % self.lanes:
            raise SettingsError(
                f"reader: batch_size {self.batch_size} is no multiple of lanes {self.lanes}; give "
                f"lanes={default_lanes(self.batch_size)}, or leave lanes out"
            )
        if not 0 <= self.seed < _WORD:
            raise SettingsError(f"reader: seed is {self.seed}; give 0 to 2**64 - 1")
        if self.remainder not in ("drop", "pad"):
            raise SettingsError(f"reader: remainder is {self.remainder!r}; give 'drop' or 'pad'")

    @property
    def per_lane(self) -> int:
        """Samples that each lane gives to a step: G / C."""
        return self.batch_size // self.lanes

    def to_json(self) -> dict[str, object]:
        """Plain JSON values, for the state."""
        return asdict(self)


def default_lanes(batch_size: int) -> int:
    """The largest divisor of the batch size up to 64."""
    return max(n for n in range(1, LANES + 1) if batch_size % n == 0)


def lanes_of_rank(settings: OrderSettings, rank: int, world: int) -> range:
    """The lanes that a rank owns: [rC/R, (r+1)C/R). Raises SettingsError if R does not divide C."""
    if not 0 <= rank < world:
        raise SettingsError(f"reader: rank {rank} of {world}; ranks count from 0")
    lanes = settings.lanes
    if lanes % world:
        fitting = [n for n in range(1, lanes + 1) if lanes % n == 0]
        raise SettingsError(
            f"reader: {world} ranks cannot share {lanes} lanes equally; run on one of {fitting} "
            f"ranks, or start the run with a batch_size and lanes that {world} divides"
        )
    return range(rank * lanes // world, (rank + 1) * lanes // world)


class EpochOrder:
    """The order of one epoch over shards of ``counts`` samples [num_shards]."""

    def __init__(self, counts: Sequence[int] | Ids, settings: OrderSettings, epoch: int) -> None:
        self.settings = settings
        self.epoch = epoch
        counts = np.asarray(counts, np.int64)
        self.num_samples = int(counts.sum())
        self._starts, self._ends = self._blocks(counts)
        self._windows: dict[int, tuple[int, Ids]] = {}  # per lane: the window it is in

    @property
    def num_steps(self) -> int:
        """Batches of this epoch."""
        return num_steps(self.num_samples, self.settings)

    def step(self, step: int, lanes: range) -> tuple[Ids, Flags]:
        """Canonical sample ids [len(lanes) * G/C] of a step, and which of them are padding."""
        width = self.settings.per_lane
        parts = [self.lane(lane, step * width, width) for lane in lanes]
        return (
            np.concatenate([ids for ids, _ in parts]),
            np.concatenate([padding for _, padding in parts]),
        )

    def lane_length(self, lane: int) -> int:
        """Samples of a lane before any padding: N/C, and one more in the first N mod C lanes."""
        whole, rest = divmod(self.num_samples, self.settings.lanes)
        return whole + (lane < rest)

    def lane(self, lane: int, start: int, count: int) -> tuple[Ids, Flags]:
        """Ids [count] of a lane from its ``start``-th sample on, and which are padding."""
        settings = self.settings
        places = np.arange(start, start + count, dtype=np.int64)
        if not settings.shuffle:
            step, slot = np.divmod(places, settings.per_lane)
            ids = step * settings.batch_size + lane * settings.per_lane + slot
            return ids % self.num_samples, ids >= self.num_samples
        length = self.lane_length(lane)
        ids = np.empty(count, np.int64)
        real = min(max(length - start, 0), count)
        done = 0
        while done < real:
            number, inside = divmod(start + done, settings.window)
            window = self._window(lane, number)
            taken = min(len(window) - inside, real - done)
            ids[done : done + taken] = window[inside : inside + taken]
            done += taken
        ids[real:] = self._stream(self._lane_start(lane) + places[real:])
        return ids, places >= length

    def _window(self, lane: int, number: int) -> Ids:
        """The permuted ids of a lane's window; the last one asked for is kept."""
        kept = self._windows.get(lane)
        if kept is not None and kept[0] == number:
            return kept[1]
        size = self.settings.window
        start = number * size
        places = np.arange(start, min(start + size, self.lane_length(lane)), dtype=np.int64)
        ids = self._stream(self._lane_start(lane) + places)
        ids = ids[self._permutation(len(ids), lane + 1, number)]
        self._windows[lane] = (number, ids)
        return ids

    def _lane_start(self, lane: int) -> int:
        whole, rest = divmod(self.num_samples, self.settings.lanes)
        return lane * whole + min(lane, rest)

    def _stream(self, places: Ids) -> Ids:
        """Ids at places of the stream of permuted blocks, which repeats after its end."""
        places = places % self.num_samples
        blocks = np.searchsorted(self._ends, places, side="right")
        behind = self._ends[blocks] - places  # samples from here to the end of the block
        return self._starts[blocks] - behind

    def _blocks(self, counts: Ids) -> tuple[Ids, Ids]:
        """Permuted blocks: the id after each block's last, and where it ends in the stream."""
        size = self.settings.block
        per_shard = -(-counts // size)
        shard = np.repeat(np.arange(len(counts)), per_shard)
        number = np.arange(len(shard)) - np.repeat(np.cumsum(per_shard) - per_shard, per_shard)
        first = np.repeat(np.cumsum(counts) - counts, per_shard)
        stop = np.minimum((number + 1) * size, counts[shard])
        lengths = stop - number * size
        if self.settings.shuffle:
            order = self._permutation(len(shard), 0, 0)
        else:
            order = np.arange(len(shard))
        return (first + stop)[order], np.cumsum(lengths[order])

    def _permutation(self, size: int, stream: int, number: int) -> Ids:
        key = np.array([self.settings.seed, self.epoch], np.uint64)
        counter = np.array([0, 0, stream, number], np.uint64)
        words = np.random.Philox(key=key, counter=counter).random_raw(size)
        return np.argsort(words, kind="stable").astype(np.int64)


def num_steps(num_samples: int, settings: OrderSettings) -> int:
    """Batches of an epoch: N // G, or N / G rounded up where the last is padded."""
    if settings.remainder == "pad":
        return -(-num_samples // settings.batch_size)
    return num_samples // settings.batch_size
