"""The reader as a torch ``IterableDataset``, for DataLoader and StatefulDataLoader.

    dataset = StreamDataset("corpus", batch_size=8, seed=7)
    for batch in DataLoader(dataset, batch_size=None):      # batches come from the order itself
        ...

Worker w of W reads the steps w, w + W, ... of its rank, and DataLoader takes its workers in turn:
what comes out is the order of the reader, whatever W is.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

import torch.distributed
from torch.utils.data import IterableDataset, get_worker_info

from schemas.errors import SettingsError
from schemas.store import FileStore, StoreAddress
from trainers.batching.grouping import Grouping
from trainers.fetch import ReadSettings
from trainers.order import Remainder
from trainers.reader import Reader, Source, open_reader
from trainers.sample import Sample
from trainers.state import State

Batch = TypeVar("Batch")


class StreamDataset(IterableDataset[Batch], Generic[Batch]):
    """Batches of one rank: lists of Samples, or what ``transform`` makes of each list.

    ``batch_size`` is global. Rank and world are torch.distributed's where it is initialized. With
    ``epochs`` an iteration ends after so many epochs; without, it goes on from epoch to epoch.
    ``transform`` runs in the worker: decode, pack and collate there. It must be picklable, and a
    function of the batch alone. Settings are those of ``open_reader``.
    """

    def __init__(
        self,
        source: str | StoreAddress | Source | Sequence[Source],
        *,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = True,
        remainder: Remainder = "drop",
        lanes: int | None = None,
        rank: int | None = None,
        world: int | None = None,
        epochs: int | None = None,
        transform: Callable[[list[Sample]], Batch] | None = None,
        reading: ReadSettings | None = None,
        grouping: Grouping | None = None,
    ) -> None:
        place = _place() if rank is None or world is None else (rank, world)
        self._settings: dict[str, Any] = {
            "batch_size": batch_size,
            "seed": seed,
            "shuffle": shuffle,
            "remainder": remainder,
            "lanes": lanes,
            "rank": place[0] if rank is None else rank,
            "world": place[1] if world is None else world,
            "reading": reading,
            "grouping": grouping,
        }
        self._source = source
        self._epochs = epochs
        self._transform = transform
        self._epoch = 0
        self._stop: int | None = None
        self._loaded: State | None = None
        self._reader: Reader | None = None
        self._opened_by = 0
        self.reader()  # a wrong address or number fails here, and not in a worker

    def reader(self) -> Reader:
        """The reader of this process."""
        if self._reader is not None and self._opened_by != os.getpid():
            if not all(isinstance(c.store, FileStore) for c in self._reader.corpora):
                raise SettingsError(
                    "reader: a worker was forked after the object store was opened, which can hang "
                    "it; give the DataLoader multiprocessing_context='spawn'"
                )
            self._reader = None
        if self._reader is None:
            self._reader = open_reader(self._source, **self._settings)
            self._opened_by = os.getpid()
            if self._epochs is not None and not self._reader.has_epochs:
                raise SettingsError(
                    "reader: a mixture has no epochs; leave epochs out and count steps instead"
                )
        return self._reader

    def __iter__(self) -> Iterator[Batch]:
        """From the state that was loaded last, once; else from the start of the epoch."""
        self._begin()
        return self._batches()

    def set_epoch(self, epoch: int) -> None:
        """The epoch at which the next iteration starts, unless a state is loaded."""
        self._epoch = epoch

    def state_dict(self) -> State:
        """The reader's state after the last batch that this process was asked for."""
        if self._loaded is not None:
            return self._loaded
        state = {**self.reader().state_dict(), "stop": self._stop}
        info = get_worker_info()
        if info is not None:
            state["worker"] = {"id": info.id, "of": info.num_workers}
        return state

    def load_state_dict(self, state: State) -> None:
        """Resume from ``state``: the next iteration does, and so does one that is open.

        Raises SettingsError for the state of another run.
        """
        self.reader().check(state)
        self._loaded = state

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reader": None}

    def _begin(self) -> None:
        """Put the reader where this iteration, or this worker's part of it, starts."""
        reader, state = self.reader(), self._loaded
        number, workers = _worker()
        if state is None:
            if reader.has_epochs:
                reader.set_epoch(self._epoch)
            else:
                reader.restart()
        else:
            reader.load_state_dict(state)
            self._loaded = None
        if state is not None and state.get("stop") is not None:
            self._stop = state["stop"]
        else:
            self._stop = None if self._epochs is None else reader.stop_after(self._epochs)
        taken = None if state is None else state.get("worker")
        if taken is None:
            reader.skip_steps(number)
        elif taken != {"id": number, "of": workers}:
            raise SettingsError(
                f"reader state: it is that of worker {taken['id']} of {taken['of']}, this is "
                f"worker {number} of {workers}; to change the number of workers, give "
                "trainers.stream.reader_state(loader.state_dict()) to the dataset's load_state_dict"
            )

    def _batches(self) -> Iterator[Batch]:
        workers = _worker()[1]
        while True:
            if self._loaded is not None:
                self._begin()
            for batch in self.reader().batches(self._stop, stride=workers):
                yield cast(Batch, batch) if self._transform is None else self._transform(batch)
                if self._loaded is not None:
                    break
            else:
                return


def reader_state(loader_state: Mapping[str, Any]) -> State:
    """The reader's state in that of a StatefulDataLoader: for any number of ranks and workers.

    Raises SettingsError where the loader does not take a state at every step.
    """
    if "_snapshot" not in loader_state:
        state = loader_state.get("dataset_state")
        if state is None:
            raise SettingsError(
                f"loader state: got {sorted(loader_state)}, wanted state_dict() of a "
                "StatefulDataLoader over a StreamDataset"
            )
        return cast(State, state)
    if loader_state["_steps_since_snapshot"]:
        raise SettingsError(
            "loader state: it was not taken at every step; leave snapshot_every_n_steps at 1"
        )
    workers = loader_state["_snapshot"]["_worker_snapshots"].values()
    states = [worker["dataset_state"] for worker in workers]
    first = min(states, key=lambda state: (state["place"].get("epoch", 0), state["place"]["step"]))
    return {name: value for name, value in first.items() if name != "worker"}


def _worker() -> tuple[int, int]:
    info = get_worker_info()
    return (0, 1) if info is None else (info.id, info.num_workers)


def _place() -> tuple[int, int]:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
