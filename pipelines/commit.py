"""Assembles a planned shard from its partitions and commits it exactly once.

The shard is spooled to local disk, put under a name that holds its hash, and then claimed by a
commit record that is created only if there is none: the first writer wins.
"""

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.plan import PlannedShard
from pipelines.sample import Shipped
from schemas.canonical import pretty_json, sha256_hex
from schemas.errors import DamageError, StoreError
from schemas.index import INDEX
from schemas.parquet import iterate
from schemas.shard import Placed, ShardWriter
from schemas.snapshot import ShardEntry
from schemas.store import Store

logger = logging.getLogger(__name__)
READ_ROWS = 256  # of an index, in memory at once


class Commit(TypedDict):
    """A commit record. ``shard`` is None where no row of the plan was accepted."""

    planned: str
    shard: ShardEntry | None


class Lost(TypedDict):
    """A shard that another run committed first, with other bytes: a step is not deterministic.

    ``rows`` are the keys of the samples that differ, or that only one of the two holds.
    """

    planned: str
    won: str | None
    lost: str | None
    rows: list[str]


def commit_path(build_id: str, planned: PlannedShard) -> str:
    """Where a planned shard's record is."""
    return f"commits/{build_id}/{planned.name}.json"


def read_commit(store: Store, build_id: str, planned: PlannedShard) -> Commit | None:
    """The record, if there is one. Raises DamageError for one that cannot be read."""
    path = commit_path(build_id, planned)
    if store.size(path) is None:
        return None
    try:
        value = json.loads(store.get(path))
        commit: Commit = {"planned": value["planned"], "shard": value["shard"]}
    except (ValueError, KeyError, TypeError) as error:
        raise DamageError(f"{store.uri}/{path}: not a commit record ({error!r})") from error
    return commit


def is_whole(store: Store, entry: ShardEntry) -> bool:
    """Whether shard and index are there with the bytes that their record names."""
    return all(
        store.size(name) is not None and sha256_of(store, name) == sha256
        for name, sha256 in (
            (f"shards/{entry['name']}", entry["sha256"]),
            (f"index/{entry['index']}", entry["index_sha256"]),
        )
    )


def assemble(
    store: Store, build_id: str, planned: PlannedShard, samples: Iterable[Shipped]
) -> tuple[Commit, Lost | None]:
    """Write the shard and its index, then its record.

    Gives the record that counts, and what was lost if it is not this run's.
    """
    with tempfile.TemporaryDirectory(prefix="voxmill-shard-") as folder:
        local = Path(folder) / "shard.tar"
        entry, contents = _write(store, planned, samples, local)
    mine: Commit = {"planned": planned.name, "shard": entry}
    first = claim(store, build_id, planned, mine)
    return first, None if first == mine else _lost(store, mine, first, contents)


def _write(
    store: Store, planned: PlannedShard, samples: Iterable[Shipped], local: Path
) -> tuple[ShardEntry | None, dict[str, int]]:
    """The entry, None where no row was accepted; and each sample's key with its crc32c."""
    rows: list[dict[str, Any]] = []
    try:
        with ShardWriter(local) as writer:
            for sample in samples:
                placed: Placed = writer.add(sample.key, sample.members())
                rows.append(sample.index_row(placed, ""))
            if not rows:
                return None, {}
            sha256 = writer.finish()
    except OSError as error:
        raise StoreError(
            f"cannot spool a shard to {local.parent}: {error.strerror}; free some space there, or "
            "set TMPDIR to a folder with room for one shard per worker"
        ) from error
    name = f"{planned.name}-{sha256[:12]}.tar"
    for row in rows:
        row["shard"] = name
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=INDEX), sink, compression="zstd")
    index = sink.getvalue().to_pybytes()
    store.put_file(f"shards/{name}", local, sha256=sha256)
    _check_stored(store, f"shards/{name}", writer.bytes, sha256)
    index_name = f"{planned.name}-{sha256[:12]}.parquet"
    store.put(f"index/{index_name}", index)
    _check_stored(store, f"index/{index_name}", len(index), sha256_hex(index))
    entry: ShardEntry = {
        "name": name,
        "split": planned.split,
        "bytes": writer.bytes,
        "sha256": sha256,
        "samples": len(rows),
        "seconds": round(sum(row["duration_s"] for row in rows), 3),
        "index": index_name,
        "index_sha256": sha256_hex(index),
    }
    return entry, {row["key"]: row["crc32c"] for row in rows}


def _check_stored(store: Store, path: str, size: int, sha256: str) -> None:
    """Raise DamageError unless the object is what was sent, as far as the store can tell us."""
    if store.size(path) != size or sha256_of(store, path) != sha256:
        raise DamageError(
            f"{store.uri}/{path}: what was stored is not what was sent; run the same command again,"
            " and look at the store and the network if it happens twice"
        )


def claim(store: Store, build_id: str, planned: PlannedShard, commit: Commit) -> Commit:
    """Write the record if there is none. Gives the record that counts."""
    path = commit_path(build_id, planned)
    if store.put_new(path, pretty_json(commit)):
        return commit
    first = read_commit(store, build_id, planned)
    if first is None:
        raise StoreError(f"{store.uri}/{path}: existed and then did not; run the build again")
    return first


def _lost(store: Store, mine: Commit, first: Commit, contents: dict[str, int]) -> Lost:
    """Which samples differ between this run's shard and the one that was committed first."""
    theirs: dict[str, int] = {}
    if first["shard"] is not None:
        path = f"index/{first['shard']['index']}"
        theirs = {
            row["key"]: row["crc32c"] for row in iterate(store.get(path), INDEX, path, READ_ROWS)
        }
    rows = [key for key in {**theirs, **contents} if theirs.get(key) != contents.get(key)]
    lost: Lost = {
        "planned": mine["planned"],
        "won": first["shard"] and first["shard"]["name"],
        "lost": mine["shard"] and mine["shard"]["name"],
        "rows": sorted(rows),
    }
    logger.warning(
        "%s was committed before with other bytes (%s, not %s): a step is not deterministic in %d "
        "rows, which run.json names; the first commit counts",
        *(lost["planned"], lost["won"], lost["lost"], len(rows)),
    )
    return lost


def sha256_of(store: Store, path: str) -> str:
    """The sha256 of an object: what the store's checksum proves, else by reading it."""
    return store.vouched_sha256(path) or read_sha256(store, path)


def read_sha256(store: Store, path: str) -> str:
    """The sha256 of an object, read in blocks."""
    size = store.size(path) or 0
    checksum = hashlib.sha256()
    for offset in range(0, size, 1 << 23):
        checksum.update(store.get_range(path, offset, min(1 << 23, size - offset)))
    return checksum.hexdigest()
