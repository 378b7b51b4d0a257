"""What the tests of the reader look at: which sample stands where."""

import hashlib
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from trainers.reader import Reader, open_reader
from trainers.sample import Sample

BATCH = 16
Item = TypeVar("Item")
Place = tuple[str, int, int, str]  # corpus, epoch, position, key


def places(batch: Iterable[Sample]) -> list[Place]:
    """Every sample of a batch with its place."""
    return [(sample.corpus, sample.epoch, sample.position, sample.key) for sample in batch]


def reader(corpus: Path | Any, **changes: Any) -> Reader:
    """Small settings; ``corpus`` is a folder or a list of Sources."""
    source = str(corpus) if isinstance(corpus, Path) else corpus
    return open_reader(source, **{"batch_size": BATCH, "lanes": 8, "seed": 5} | changes)


def take(made: Reader, steps: int, stop: int | None = None) -> list[list[Place]]:
    """The next ``steps`` batches, whose iterator is left with others read ahead."""
    found = []
    for batch in made.batches(stop):
        found.append(places(batch))
        if len(found) == steps:
            break
    return found


def merged(ranks: list[list[list[Item]]]) -> list[list[Item]]:
    """Global batches from the batches of each rank."""
    return [list(chain.from_iterable(parts)) for parts in zip(*ranks, strict=True)]


def digest(batches: Iterable[list[Place]]) -> str:
    """A hash of keys in order."""
    return hashlib.sha256(repr([[p[3] for p in batch] for batch in batches]).encode()).hexdigest()
