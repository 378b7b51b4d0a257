"""A plan: which rows stand in which partition, and which partitions make which shard."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from io import BytesIO

import pyarrow as pa

from pipelines.graph import PLANNED
from pipelines.packed import Packed
from schemas.canonical import canonical_json, pretty_json, sha256_hex
from schemas.parquet import read_table
from schemas.snapshot import FileEntry, Manifest, read_verified
from schemas.store import Store

FLAC_BYTES_PER_S = 17_600  # at 16 kHz, mono, 16 bit: a guess, which only sizes shards
NOTHING = Packed()


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    """Up to 16 source rows, by id and as a file; ``seconds`` is a guess of their speech."""

    name: str
    file: str
    sha256: str
    ids: Packed
    born: int
    seconds: float
    contents: Packed = NOTHING  # hashes, for rows whose ids do not follow from what they say

    @property
    def entry(self) -> FileEntry:
        """Its file and checksum."""
        return {"name": self.file, "sha256": self.sha256}


@dataclass(frozen=True, kw_only=True)
class PlannedShard:
    """A run of consecutive partitions of which one split's accepted rows make a shard."""

    split: str
    number: int
    partitions: tuple[str, ...]

    @property
    def name(self) -> str:
        """The shard's name before its content is known."""
        return f"{self.split}-{self.number:06d}"


@dataclass(frozen=True)
class Plan:
    """All partitions and shards of one snapshot."""

    partitions: tuple[Partition, ...]
    shards: tuple[PlannedShard, ...]

    @property
    def rows(self) -> int:
        """How many source rows are planned."""
        return sum(len(partition.ids) for partition in self.partitions)

    @property
    def digest(self) -> str:
        """What the plan adds to a build id: ids and shards, not files and origins.

        The sha256 of one canonical JSON, {"partitions": [...], "shards": [...]}, of which only one
        partition is in memory at a time.
        """
        told = hashlib.sha256(b'{"partitions":[')
        for piece in _between(b",", map(_membership, self.partitions)):
            told.update(piece)
        told.update(b'],"shards":')
        told.update(canonical_json([[item.name, list(item.partitions)] for item in self.shards]))
        told.update(b"}")
        return told.hexdigest()

    def to_bytes(self) -> bytes:
        """The plan as a file: pretty JSON, of which only one partition is an object at a time."""
        file = BytesIO()
        file.write(b'{\n  "partitions": [')
        for piece in _between(b",", (_indented(_plain(item)) for item in self.partitions)):
            file.write(piece)
        file.write(b'\n  ],\n  "shards": [' if self.partitions else b'],\n  "shards": [')
        for piece in _between(b",", (_indented(asdict(item)) for item in self.shards)):
            file.write(piece)
        file.write(b"\n  ]\n}\n" if self.shards else b"]\n}\n")
        return file.getvalue()


def _between(mark: bytes, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for number, piece in enumerate(pieces):
        if number:
            yield mark
        yield piece


def _membership(item: Partition) -> bytes:
    own = [list(item.contents)] if item.contents else []
    return canonical_json([item.name, list(item.ids), item.born, *own])


def _plain(item: Partition) -> dict[str, object]:
    return {
        "name": item.name,
        "file": item.file,
        "sha256": item.sha256,
        "ids": list(item.ids),
        "born": item.born,
        "seconds": item.seconds,
        "contents": list(item.contents),
    }


def _indented(value: object) -> bytes:
    """One item of a list in pretty JSON, whose strings hold no line break."""
    return b"\n    " + pretty_json(value).rstrip(b"\n").replace(b"\n", b"\n    ")


def read_plan(store: Store, manifest: Manifest) -> Plan:
    """The plan of a snapshot. Raises DamageError if its file is not what was written."""
    value = json.loads(read_verified(store, manifest["plan"]))
    return Plan(
        tuple(
            Partition(
                **{**item, "ids": Packed(item["ids"]), "contents": Packed(item.get("contents", ()))}
            )
            for item in value["partitions"]
        ),
        tuple(
            PlannedShard(**{**item, "partitions": tuple(item["partitions"])})
            for item in value["shards"]
        ),
    )


def write_plan(store: Store, plan: Plan) -> FileEntry:
    """Keep the plan under its own hash."""
    data = plan.to_bytes()
    sha256 = sha256_hex(data)
    entry: FileEntry = {"name": f"inputs/plan-{sha256[:12]}.json", "sha256": sha256}
    store.put(entry["name"], data)
    return entry


def load_partition(store: Store, partition: Partition) -> pa.Table:
    """The source rows of a partition, as PLANNED. Raises DamageError if the file is damaged."""
    data = read_verified(store, partition.entry)
    return read_table(data, PLANNED, f"{store.uri}/{partition.file}")
