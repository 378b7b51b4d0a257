"""What exporters read: a snapshot's samples, one after the other, each checked by its crc32c."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.sources.voxmill import read_members
from schemas.errors import DamageError
from schemas.index import INDEX
from schemas.parquet import iterate
from schemas.shard import durations_suffix, flac_suffix, read_npy, units_suffix
from schemas.snapshot import Manifest, ShardEntry, read_verified
from schemas.store import Store
from schemas.unitset import UnitSet

ROWS = 64  # of an index that are in memory at once


@dataclass(frozen=True)
class Units:
    """Codes [nq, T'] of one turn, and run lengths [T'] in frames where runs were collapsed."""

    codes: npt.NDArray[np.generic]
    durations: npt.NDArray[np.generic] | None


@dataclass(frozen=True)
class Turn:
    """One spoken turn: ``said`` is its entry of KEY.json, ``units`` are by unit set."""

    said: dict[str, Any]
    flac: bytes
    units: dict[str, Units]

    @property
    def name(self) -> str:
        """Its member's name without the ending: 01.assistant."""
        return f"{self.said['turn']:02d}.{self.said['role']}"


@dataclass(frozen=True)
class Sample:
    """One sample: KEY.json as ``record``, and the turns that it ships."""

    key: str
    record: dict[str, Any]
    turns: tuple[Turn, ...]

    def pairs(self) -> Iterator[tuple[Turn, Turn | None]]:
        """Each user turn with the answer after it; None where no answer is spoken."""
        asked: Turn | None = None
        for turn in self.turns:
            if turn.said["role"] == "user":
                if asked is not None:
                    yield asked, None
                asked = turn
            elif asked is not None:
                yield asked, turn
                asked = None
        if asked is not None:
            yield asked, None


@dataclass(frozen=True)
class Corpus:
    """A snapshot to export. Nothing is read but what is asked for, nothing is kept."""

    store: Store
    manifest: Manifest

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that hold samples, train first."""
        found = {shard["split"] for shard in self.manifest["shards"] if shard["samples"]}
        return tuple(sorted(found, key=lambda split: (split != "train", split)))

    @property
    def unit_sets(self) -> tuple[UnitSet, ...]:
        """The contracts of its units."""
        return tuple(UnitSet.from_json(value) for value in self.manifest["unit_sets"])

    def shards(self, split: str) -> list[ShardEntry]:
        """The shards of a split, in order."""
        return [item for item in self.manifest["shards"] if item["split"] == split]

    def samples(self, split: str) -> Iterator[Sample]:
        """The samples in the order of the shards. Raises DamageError for the first damaged one."""
        for shard in self.shards(split):
            self._check_length(shard)
            path = f"index/{shard['index']}"
            entry = {"name": path, "sha256": shard["index_sha256"]}
            index = read_verified(self.store, entry)  # type: ignore[arg-type]
            for row in iterate(index, INDEX, path, ROWS):
                yield self._sample(row["key"], read_members(self.store, shard["name"], row))

    def _check_length(self, shard: ShardEntry) -> None:
        """A shard that is cut is damage, found before its samples are: no range says so."""
        path = f"shards/{shard['name']}"
        size = self.store.size(path)
        if size != shard["bytes"]:
            raise DamageError(
                f"{self.store.uri}/{path}: has {size} bytes, the snapshot says "
                f"{shard['bytes']}; run `voxmill verify {self.store.uri}`, "
                "then build again with the same job"
            )

    def _sample(self, key: str, members: dict[str, bytes]) -> Sample:
        record = json.loads(members["json"])
        turns = []
        for said in record["turns"]:
            number, role = said["turn"], said["role"]
            units = {}
            for contract in self.unit_sets:
                codes = members.get(units_suffix(number, role, contract.name))
                if codes is not None:
                    runs = members.get(durations_suffix(number, role, contract.name))
                    lengths = None if runs is None else read_npy(runs)
                    units[contract.name] = Units(read_npy(codes), lengths)
            turns.append(Turn(said, members[flac_suffix(number, role)], units))
        return Sample(key, record, tuple(turns))
