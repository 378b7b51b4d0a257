"""The torch dataset: DataLoader and StatefulDataLoader, with and without workers."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="pip install -c constraints.txt '.[train]'")
stateful = pytest.importorskip("torchdata.stateful_dataloader")

from torch.utils.data import DataLoader  # noqa: E402 - after the check that it is there

from schemas.errors import DamageError, SettingsError  # noqa: E402
from tests.trainers.conftest import COUNTS  # noqa: E402
from tests.trainers.streams import BATCH, Place, merged, places, reader, take  # noqa: E402
from trainers.reader import Source  # noqa: E402
from trainers.sample import Sample  # noqa: E402
from trainers.stream import StreamDataset, reader_state  # noqa: E402

STEPS = sum(COUNTS) // BATCH
# Three workers are also right on a machine with two cores.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")


def dataset(corpus: Path | Any, **changes: Any) -> StreamDataset[list[Place]]:
    source = str(corpus) if isinstance(corpus, Path) else corpus
    settings: dict[str, Any] = {"batch_size": BATCH, "lanes": 8, "seed": 5, "transform": places}
    return StreamDataset(source, **settings | changes)


def loader(made: StreamDataset[Any], workers: int, kind: Any = None) -> Any:
    context = {"multiprocessing_context": "spawn", "prefetch_factor": 3} if workers else {}
    return (kind or stateful.StatefulDataLoader)(
        made, batch_size=None, num_workers=workers, collate_fn=same, **context
    )


def same(batch: Any) -> Any:
    """Without it a DataLoader makes lists of tuples and tensors of arrays."""
    return batch


def first(batches: Iterator[Any], steps: int) -> list[Any]:
    return [next(batches) for _ in range(steps)]


def close(made: Any) -> None:
    """End the workers of a loader that is left in the middle."""
    iterator = made._iterator
    if hasattr(iterator, "_shutdown_workers"):
        iterator._shutdown_workers()


def pack(samples: list[Sample]) -> list[list[str]]:
    """Two packs of a batch, of more and of fewer samples."""
    keys = [sample.key for sample in samples]
    return [keys[:11], keys[11:]]


@pytest.mark.slow
def test_workers_change_nothing_in_the_order(corpus: Path) -> None:
    straight = take(reader(corpus), 2 * STEPS)
    for workers in (0, 1, 3):
        for kind in (DataLoader, stateful.StatefulDataLoader):
            if workers == 1 and kind is DataLoader:
                continue
            assert list(loader(dataset(corpus, epochs=2), workers, kind)) == straight


@pytest.mark.slow
def test_kills_with_other_ranks_and_workers_change_nothing(corpus: Path) -> None:
    """The state of a StatefulDataLoader, made one for any number of ranks and workers."""
    plan = [(1, 0, 3), (2, 2, 5), (4, 0, 7), (1, 3, 4), (2, 0, 1), (1, 2, 6)]
    straight = take(reader(corpus), sum(steps for *_, steps in plan))
    found: list[list[Place]] = []
    state = None
    for world, workers, steps in plan:
        parts, states = [], []
        for rank in range(world):
            made = dataset(corpus, rank=rank, world=world)
            if state is not None:
                made.load_state_dict(state)
            batches = loader(made, workers)
            parts.append(first(iter(batches), steps))
            states.append(reader_state(json.loads(json.dumps(batches.state_dict()))))
            close(batches)
        assert all(item == states[0] for item in states)
        state = states[0]
        found += merged(parts)
    assert found == straight


@pytest.mark.slow
def test_a_mixture_resumes_with_other_workers(corpus: Path, other: Path) -> None:
    sources = [Source(uri=str(corpus), weight=2), Source(uri=str(other))]
    straight = take(reader(sources), 20)
    batches = loader(dataset(sources), 2)
    assert first(iter(batches), 7) == straight[:7]
    made = dataset(sources)
    made.load_state_dict(reader_state(batches.state_dict()))
    close(batches)
    assert first(iter(loader(made, 0)), 13) == straight[7:]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_stateful_loader_resumes_its_own_state(corpus: Path, workers: int) -> None:
    straight = take(reader(corpus), 2 * STEPS)
    one = loader(dataset(corpus), workers)
    stop = random.Random(workers).randint(STEPS - 2, STEPS + 2)
    assert first(iter(one), stop) == straight[:stop]
    state = one.state_dict()
    close(one)
    two = loader(dataset(corpus), workers)
    two.load_state_dict(state)
    assert first(iter(two), 2 * STEPS - stop) == straight[stop:]
    close(two)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_no_epoch_is_dropped_around_its_end(corpus: Path, workers: int) -> None:
    """meta-pytorch/data#1437: a state at the end of an epoch lost the next one."""
    straight = take(reader(corpus), 2 * STEPS)
    one = loader(dataset(corpus, epochs=1), workers)
    assert list(one) == straight[:STEPS]
    state = reader_state(one.state_dict())
    made = dataset(corpus, epochs=1)
    made.load_state_dict(state)
    two = loader(made, 0)
    assert list(two) == []
    made.set_epoch(1)
    assert list(two) == straight[STEPS:]


def test_counts_under_packing_are_those_of_samples(corpus: Path) -> None:
    """llm-foundry#1277: with packing, samples were counted wrong and a resume lost some."""
    straight = [[place[3] for place in batch] for batch in take(reader(corpus), 9)]
    one = loader(dataset(corpus, transform=pack), 0)
    packs = first(iter(one), 4)
    made = dataset(corpus, transform=pack)
    made.load_state_dict(reader_state(one.state_dict()))
    assert made.reader().state_dict()["place"]["step"] == 0  # not read before it is asked
    packs += first(iter(loader(made, 0)), 5)
    assert [a + b for a, b in packs] == straight


@pytest.mark.slow
def test_counts_under_packing_with_workers_are_those_of_samples(corpus: Path) -> None:
    straight = [[place[3] for place in batch] for batch in take(reader(corpus), 9)]
    one = loader(dataset(corpus, transform=pack), 2)
    packs = first(iter(one), 4)
    state = reader_state(one.state_dict())
    close(one)
    assert state["place"] == {"epoch": 0, "step": 4}
    made = dataset(corpus, transform=pack)
    made.load_state_dict(state)
    packs += first(iter(loader(made, 0)), 5)
    assert [a + b for a, b in packs] == straight


def test_a_state_that_is_loaded_after_iter_counts(corpus: Path) -> None:
    """prime-rl#3332: an iterator that was made before the state was loaded began from the start."""
    straight = take(reader(corpus), 9)
    one = dataset(corpus)
    first(iter(one), 6)
    two = dataset(corpus)
    batches = iter(two)
    two.load_state_dict(one.state_dict())
    assert next(batches) == straight[6]
    two.load_state_dict(one.state_dict())
    assert first(batches, 2) == straight[6:8]


def test_every_iteration_starts_the_epoch_anew_unless_a_state_is_loaded(corpus: Path) -> None:
    straight = take(reader(corpus), 2 * STEPS)
    made = dataset(corpus, epochs=1)
    assert [list(made), list(made)] == [straight[:STEPS]] * 2
    made.set_epoch(1)
    assert list(made) == straight[STEPS:]
    other = dataset(corpus, epochs=1)
    first(iter(other), 4)
    made.load_state_dict(other.state_dict())
    assert list(made) == straight[4:STEPS]


@pytest.mark.slow
def test_the_state_of_one_worker_is_refused_by_another_number_of_them(corpus: Path) -> None:
    batches = loader(dataset(corpus), 2)
    first(iter(batches), 2)
    state = batches.state_dict()
    close(batches)
    worker = state["_snapshot"]["_worker_snapshots"]["worker_1"]["dataset_state"]
    made = dataset(corpus)
    made.load_state_dict(worker)
    with pytest.raises(SettingsError, match=r"worker 1 of 2.*reader_state\(loader.state_dict"):
        iter(made)


def test_loader_states_that_are_not_ours_are_refused_with_the_cure(corpus: Path) -> None:
    with pytest.raises(SettingsError, match="wanted state_dict"):
        reader_state({"step": 3})
    with pytest.raises(SettingsError, match="leave snapshot_every_n_steps at 1"):
        reader_state({"_snapshot": {}, "_steps_since_snapshot": 2})
    with pytest.raises(SettingsError, match=r"goes through trainers.stream.reader_state first"):
        dataset(corpus).load_state_dict({"_snapshot": {}})


def test_a_mixture_has_no_epochs(corpus: Path, other: Path) -> None:
    with pytest.raises(SettingsError, match="a mixture has no epochs"):
        dataset([Source(uri=str(corpus)), Source(uri=str(other))], epochs=1)


@pytest.mark.slow
def test_damage_in_a_worker_reaches_the_trainer(tmp_path: Path, corpus: Path) -> None:
    import shutil

    shutil.copytree(corpus, tmp_path / "copy")
    for path in (tmp_path / "copy" / "shards").iterdir():
        path.write_bytes(path.read_bytes().replace(b"Something, then", b"Something, thEn"))
    with pytest.raises(DamageError, match="do not have the index's crc32c"):
        list(loader(dataset(tmp_path / "copy"), 1))
