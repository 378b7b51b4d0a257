"""A snapshot opened for reading: the shard table and nothing more."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from schemas.canonical import digest
from schemas.errors import SourceError
from schemas.snapshot import Manifest, ShardEntry, current_version, read_snapshot, versions
from schemas.store import Store, StoreAddress, open_store
from trainers.fetch import Fetcher, ReadSettings
from trainers.sample import Sample, sample_of


@dataclass(frozen=True)
class Corpus:
    """The shards of one split of one snapshot, in canonical order (by name).

    ``digest`` is the sha256 of the shards' names, counts and hashes: two snapshots with the same
    shards can take each other's place in the middle of a run.
    """

    name: str
    store: Store
    manifest: Manifest
    split: str
    shards: tuple[ShardEntry, ...]

    @cached_property
    def digest(self) -> str:
        """What a run's state is bound to."""
        return digest([[s["name"], s["samples"], s["sha256"]] for s in self.shards])

    @cached_property
    def counts(self) -> npt.NDArray[np.int64]:
        """Samples per shard [num_shards]."""
        return np.array([entry["samples"] for entry in self.shards], np.int64)

    @property
    def num_samples(self) -> int:
        """Samples of the split."""
        return int(self.counts.sum())

    def samples(self, reading: ReadSettings | None = None) -> Iterator[Sample]:
        """Every sample once, in canonical order: shard by shard, as they stand in the tars.

        Raises DamageError at the first sample whose bytes are not those that the index names.
        """
        fetcher = Fetcher(self.store, reading)
        position = 0
        for entry in self.shards:
            for row in range(entry["samples"]):
                data, values = fetcher.fetch(entry, row)
                yield sample_of(self.name, 0, position, data, values, shard=entry["name"])
                position += 1


def open_snapshot(
    uri: str | StoreAddress, version: int | None = None, *, split: str = "train", name: str = ""
) -> Corpus:
    """The snapshot ``version`` (the current one if None) of the corpus at ``uri``.

    The current one is that of latest.json: the newest that met its job's limits. Raises SourceError
    where there is no snapshot, no such version or no such split.
    """
    store = open_store(uri)
    found = versions(store)
    if not found:
        raise SourceError(
            f"{store.uri}: no snapshot there; give the folder that `voxmill build --output` named, "
            "the one that holds snapshots/"
        )
    if version is not None and version not in found:
        raise SourceError(
            f"{store.uri}: asked for version {version}, it has {found}; name one of these, or none "
            "for the current one"
        )
    version = current_version(store) if version is None else version
    if version is None:
        raise SourceError(
            f"{store.uri}: none of its snapshots {found} met the limits of its job, so none is "
            "current; mend the build, or name a version"
        )
    manifest = read_snapshot(store, version)
    shards = sorted(
        (entry for entry in manifest["shards"] if entry["split"] == split),
        key=lambda entry: entry["name"],
    )
    if not shards:
        splits = sorted({entry["split"] for entry in manifest["shards"]})
        raise SourceError(
            f"{store.uri}: version {manifest['version']} has no split {split!r}; it has {splits}"
        )
    return Corpus(name or store.uri, store, manifest, split, tuple(shards))
