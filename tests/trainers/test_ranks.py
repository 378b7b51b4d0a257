"""Ranks as processes: torch.distributed over gloo, spawned as a trainer's are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="pip install -c constraints.txt '.[train]'")

import torch.distributed as dist  # noqa: E402 - after the check that it is there
import torch.multiprocessing as mp  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

from tests.trainers.streams import BATCH, Place, merged, places, reader, take  # noqa: E402
from trainers.stream import StreamDataset  # noqa: E402


@contextmanager
def group(rank: int, world: int, folder: str) -> Iterator[None]:
    """Membership of a group that meets in a file."""
    meet = f"file://{folder}/meet"
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=world)
    try:
        yield
    finally:
        dist.destroy_process_group()


def train(rank: int, world: int, folder: str, corpus: str, state: dict | None, steps: int) -> None:
    """One rank: reads its batches; rank 0 gathers those of all, and every rank's state."""
    with group(rank, world, folder):
        dataset: StreamDataset[list[Place]] = StreamDataset(
            corpus, batch_size=BATCH, lanes=8, seed=5, transform=places
        )
        if state is not None:
            dataset.load_state_dict(state)
        batches = iter(DataLoader(dataset, batch_size=None, collate_fn=list))
        mine = [next(batches) for _ in range(steps)]
        gathered: list = [None] * world
        dist.all_gather_object(gathered, (mine, dataset.state_dict()))
        if rank == 0:
            torch.save(gathered, f"{folder}/gathered.pt")


def run(folder: Path, corpus: Path, world: int, state: dict | None, steps: int) -> tuple:
    folder.mkdir()
    mp.spawn(train, (world, str(folder), str(corpus), state, steps), nprocs=world)
    gathered = torch.load(folder / "gathered.pt", weights_only=True)
    ranks = [batches for batches, _ in gathered]
    states = [taken for _, taken in gathered]
    assert all(taken == states[0] for taken in states)
    return merged(ranks), states[0]


@pytest.mark.slow
def test_ranks_gather_the_global_batches_also_after_a_change_of_their_number(
    corpus: Path, tmp_path: Path
) -> None:
    straight = take(reader(corpus), 18)
    first, state = run(tmp_path / "two", corpus, 2, None, 7)
    second, state = run(tmp_path / "four", corpus, 4, state, 8)
    third, _ = run(tmp_path / "one", corpus, 1, state, 3)
    assert first + second + third == straight


@pytest.mark.slow
def test_an_evaluation_over_ranks_sees_every_sample_once(corpus: Path, tmp_path: Path) -> None:
    mp.spawn(evaluate, (2, str(tmp_path), str(corpus)), nprocs=2)
    seen = torch.load(tmp_path / "seen.pt", weights_only=True)
    assert sorted(seen) == sorted(
        sample.key for batch in reader(corpus, remainder="pad", shuffle=False) for sample in batch
        if not sample.padding
    )  # fmt: skip


def evaluate(rank: int, world: int, folder: str, corpus: str) -> None:
    """One rank of an evaluation: counts what is not padding."""
    with group(rank, world, folder):
        dataset: StreamDataset = StreamDataset(
            corpus, batch_size=BATCH, lanes=8, shuffle=False, remainder="pad", epochs=1
        )
        keys = [sample.key for batch in dataset for sample in batch if not sample.padding]
        gathered: list = [None] * world
        dist.all_gather_object(gathered, keys)
        if rank == 0:
            torch.save(sum(gathered, []), f"{folder}/seen.pt")  # noqa: RUF017 - two short lists
