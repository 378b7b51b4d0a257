"""The reader: batches of samples from one snapshot, or several by weights, resumable to the sample.

reader = open_reader("corpus", batch_size=8, seed=7)
for batch in reader:                 # the rest of the current epoch, a list of Samples each
    ...
state = reader.state_dict()          # the same on every rank; JSON; what was yielded counts
"""

import copy
import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from schemas.errors import DamageError, SettingsError, StoreError
from schemas.store import StoreAddress
from trainers.batching.grouped import group_numbers
from trainers.batching.grouping import Grouping, grouped
from trainers.corpus import Corpus, open_snapshot
from trainers.fetch import Fetcher, ReadSettings
from trainers.order import OrderSettings, Remainder, default_lanes, lanes_of_rank
from trainers.prefetch import read_ahead
from trainers.sample import Sample, sample_of
from trainers.schedule import Mixture, Schedule, SingleCorpus
from trainers.state import State, check_state, new_state

logger = logging.getLogger(__name__)


Batches = Generator[list[Sample], None, None]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A corpus of a run. ``weight`` is its share of the samples among several.

    ``uri`` is a path or an address such as s3://bucket/corpus; a StoreAddress has options with it.
    """

    uri: str | StoreAddress
    weight: float = 1.0
    version: int | None = None
    split: str = "train"
    name: str = ""

    def open(self) -> Corpus:
        """Its shard table."""
        return open_snapshot(self.uri, self.version, split=self.split, name=self.name)


@dataclass(frozen=True, slots=True)
class Skip:
    """A sample that could not be read and was passed over."""

    corpus: str
    epoch: int
    position: int
    shard: str
    row: int
    reason: str


class _Slot(NamedTuple):  # made for every sample: a dataclass would cost more than its read
    corpus: int
    epoch: int
    position: int
    shard: int
    row: int
    padding: bool
    group: int
    ends_step: bool  # the last of this rank's slots in the step


def open_reader(
    source: str | StoreAddress | Source | Sequence[Source],
    *,
    batch_size: int,
    seed: int = 0,
    shuffle: bool = True,
    remainder: Remainder = "drop",
    lanes: int | None = None,
    rank: int = 0,
    world: int = 1,
    reading: ReadSettings | None = None,
    grouping: Grouping | None = None,
) -> "Reader":
    """A reader of one corpus, or of several by their weights.

    ``batch_size`` is global: each of ``world`` ranks reads batch_size / world samples a step. With
    a ``grouping`` the order that this gives is cut into packs or buckets, and a batch is what they
    hold (``trainers.batching.grouping``).
    Raises SourceError, SettingsError or DamageError before the first batch where something is
    wrong with the snapshot or the numbers.
    """
    if isinstance(source, str | StoreAddress):
        source = Source(uri=source)
    sources = [source] if isinstance(source, Source) else list(source)
    order = OrderSettings(
        batch_size=batch_size,
        seed=seed,
        shuffle=shuffle,
        remainder=remainder,
        lanes=default_lanes(batch_size) if lanes is None else lanes,
    )
    return Reader(sources, order, rank=rank, world=world, reading=reading, grouping=grouping)


class Reader:
    """A cursor over the batches of one rank."""

    def __init__(
        self,
        sources: Sequence[Source],
        order: OrderSettings,
        *,
        rank: int = 0,
        world: int = 1,
        reading: ReadSettings | None = None,
        grouping: Grouping | None = None,
    ) -> None:
        self.order = order
        self.grouping = grouping
        self.corpora = [source.open() for source in sources]
        self.skipped: list[Skip] = []
        self._reading = reading or ReadSettings()
        self._lanes = lanes_of_rank(order, rank, world)
        counts = [corpus.counts for corpus in self.corpora]
        self._schedule: Schedule = (
            SingleCorpus(counts[0], order)
            if len(counts) == 1
            else Mixture(counts, [source.weight for source in sources], order)
        )
        if grouping is not None:
            groups = grouped(grouping, self._schedule, order, self.corpora)
            groups.share(self._lanes)  # a step that these ranks cannot share fails here
            self._schedule = groups
        self._first = self._schedule.place()
        self._starts = [np.cumsum(count) - count for count in counts]
        self._fetchers = [Fetcher(corpus.store, self._reading) for corpus in self.corpora]
        self._names = [
            {
                "name": corpus.name,
                "snapshot": corpus.manifest["version"],
                "split": corpus.split,
                "shards": corpus.digest,
                "weight": source.weight,
            }
            for corpus, source in zip(self.corpora, sources, strict=True)
        ]
        self._groups = None if grouping is None else grouping.to_json()
        self._loaded = 0  # how often a state was loaded
        self._iterator = 0  # the iterator that may advance the cursor

    @property
    def epoch(self) -> int:
        """The epoch of the next batch (of a mixture: of its first corpus)."""
        return self._schedule.epoch

    @property
    def total_steps(self) -> int:
        """Batches that were yielded since the run began, over all its restarts."""
        return self._schedule.total

    @property
    def steps_per_epoch(self) -> int | None:
        """Batches of an epoch; None for a mixture, and for groups, whose epochs differ."""
        return self._schedule.num_steps

    @property
    def has_epochs(self) -> bool:
        """Whether there are epochs to go to: not in a mixture."""
        return self._schedule.epoch_start(0) is not None

    def state_dict(self) -> State:
        """Everything that resumes the run after the last batch that was yielded."""
        return new_state(self._names, self.order, self._schedule.place(), self._groups)

    def load_state_dict(self, state: State) -> None:
        """Go where ``state`` was taken; an iterator that is open goes there too.

        Raises SettingsError if it was taken on other shards or with other settings.
        """
        self._schedule.go_to(self.check(state))
        self._loaded += 1

    def check(self, state: State) -> Mapping[str, Any]:
        """The place in a state. Raises SettingsError if it is not one of this reader's."""
        return check_state(state, self._names, self.order, self._groups)

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of an epoch of the only corpus."""
        if epoch < 0:
            raise SettingsError(f"reader: epoch {epoch}; epochs count from 0")
        place = self._schedule.epoch_start(epoch)
        if place is None:
            raise SettingsError("reader: a mixture has no epochs to go to; load a state instead")
        self._schedule.go_to(place)
        self._loaded += 1

    def restart(self) -> None:
        """Go to the first step of the run."""
        self._schedule.go_to(self._first)
        self._loaded += 1

    def skip_steps(self, steps: int) -> None:
        """Pass over some steps without reading them."""
        self._schedule.advance(steps)
        self._loaded += 1

    def __iter__(self) -> Iterator[list[Sample]]:
        """The rest of the current epoch; of a mixture, batches without end."""
        return self.batches(self.stop_after(1))

    def stop_after(self, epochs: int) -> int | None:
        """The ``total_steps`` at the end of so many epochs from here; None for a mixture.

        With a grouping it cuts the groups of those epochs for it, from the index.
        """
        return self._schedule.epoch_end(epochs)

    def batches(self, stop: int | None = None, *, stride: int = 1) -> Iterator[list[Sample]]:
        """Batches up to the ``stop``-th of the run (None: without end), every ``stride``-th.

        The cursor moves before a batch is handed out: what was yielded counts as consumed, what
        was read ahead does not. One iterator at a time: the latest one moves the cursor.
        """
        self._iterator += 1
        mine = self._iterator
        while stop is None or self._schedule.total < stop:
            loaded = self._loaded
            with closing(self._batches_from_here(stop, stride)) as batches:
                while loaded == self._loaded:
                    batch = next(batches, None)
                    if batch is None:
                        return
                    self._schedule.advance(stride)
                    yield batch
                    if mine != self._iterator:
                        raise RuntimeError(
                            "reader: a newer iterator of this reader is open; use one at a time, "
                            "or open a reader for each"
                        )

    def _batches_from_here(self, stop: int | None, stride: int) -> Batches:
        threads = max(self._reading.threads_for(corpus.store) for corpus in self.corpora)
        results = read_ahead(
            self._plan(stop, stride),
            self._read,
            threads=threads,
            max_bytes=self._reading.prefetch_bytes,
            size_of=self._expected_bytes,
        )
        batch: list[Sample] = []
        for result, ends_step in results:
            sample = self._judge(result)
            if sample is not None:
                batch.append(sample)
            if ends_step:
                yield batch
                batch = []

    def _plan(self, stop: int | None, stride: int) -> Iterator[_Slot]:
        """The slots from the cursor on, without moving it."""
        ahead = copy.copy(self._schedule)
        ahead.go_to(self._schedule.place())
        while stop is None or ahead.total < stop:
            slots = ahead.slots(self._lanes)
            shards, rows = np.empty_like(slots.ids), np.empty_like(slots.ids)
            for number, starts in enumerate(self._starts):
                here = slots.corpus == number
                shards[here] = np.searchsorted(starts, slots.ids[here], side="right") - 1
                rows[here] = slots.ids[here] - starts[shards[here]]
            ends = np.arange(len(rows)) == len(rows) - 1
            groups = group_numbers(slots)
            where = (slots.corpus, slots.epoch, slots.positions, shards, rows)
            columns = (*where, slots.padding, groups, ends)
            yield from map(_Slot, *(column.tolist() for column in columns))
            ahead.advance(stride)

    def _read(self, slot: _Slot) -> tuple[Sample | Skip, bool]:
        """The sample of a slot, or why it is skipped; and whether the step ends with it."""
        corpus = self.corpora[slot.corpus]
        entry = corpus.shards[slot.shard]
        try:
            data, row = self._fetchers[slot.corpus].fetch(entry, slot.row, self.order.block)
        except (DamageError, StoreError) as error:
            if self._reading.on_damage == "raise":
                raise
            place = (corpus.name, slot.epoch, slot.position, entry["name"], slot.row)
            return Skip(*place, str(error)), slot.ends_step
        where = (corpus.name, slot.epoch, slot.position)
        sample = sample_of(*where, data, row, slot.padding, slot.group, entry["name"])
        return sample, slot.ends_step

    def _judge(self, result: Sample | Skip) -> Sample | None:
        """The sample, or None for one that is skipped. Raises DamageError beyond the cap."""
        if isinstance(result, Sample):
            return result
        self.skipped.append(result)
        logger.warning("skipped sample %d of %s: %s", result.row, result.shard, result.reason)
        if len(self.skipped) > self._reading.max_skips:
            raise DamageError(
                f"reader: {len(self.skipped)} samples could not be read, more than max_skips="
                f"{self._reading.max_skips}; the last: {result.reason}"
            )
        return None

    def _expected_bytes(self, slot: _Slot) -> int:
        entry = self.corpora[slot.corpus].shards[slot.shard]
        return entry["bytes"] // entry["samples"]
