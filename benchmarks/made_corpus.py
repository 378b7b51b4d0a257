"""Corpora without speech: real shards, indexes and snapshots around made-up bytes, in seconds."""

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.canonical import canonical_json, pretty_json, sha256_hex
from schemas.index import INDEX
from schemas.shard import (
    Member,
    Placed,
    ShardWriter,
    durations_suffix,
    flac_suffix,
    npy,
    units_suffix,
)
from schemas.snapshot import FORMAT, SCHEMA, Manifest, ShardEntry, sealed, snapshot_path
from schemas.store import FileStore

UNIT_SET = "made100"
FRAME_RATE_HZ = 50
Payload = Callable[[int], bytes]  # the bytes in the place of a FLAC file, by sample and turn


def noise(size: int) -> Payload:
    """Bytes that no compressor and no cache of equal blocks helps with."""
    return lambda number: np.random.default_rng(number).bytes(size)


def make_corpus(
    folder: Path,
    counts: Sequence[int],
    *,
    version: int = 1,
    split: str = "train",
    payload: Payload | None = None,
    salt: str = "",
) -> list[str]:
    """A snapshot of shards with ``counts`` samples. Gives the keys in canonical order."""
    payload = payload or noise(200)
    shards: list[ShardEntry] = []
    keys: list[str] = []
    for number, count in enumerate(counts):
        entry, made = _shard(folder, f"{split}-{number:06d}", len(keys), count, payload, salt)
        shards.append({**entry, "split": split})
        keys += made
    write_snapshot(folder, shards, version)
    return keys


def write_snapshot(folder: Path, shards: Sequence[ShardEntry], version: int = 1) -> Manifest:
    """The manifest of these shards, written as builds write it."""
    nothing: Any = {"name": "nothing", "sha256": ""}
    manifest: Manifest = sealed(
        {
            "format": FORMAT,
            "schema": SCHEMA,
            "version": version,
            "identity": sha256_hex(canonical_json([entry["sha256"] for entry in shards])),
            "parent": None,
            "build_id": "made",
            "request": "made",
            "generation": 0,
            "pipeline": "made",
            "settings": {},
            "environment": {},
            "plan": nothing,
            "counts": {},
            "step_rows": {},
            "shards": list(shards),
            "rejected": nothing,
            "failed": nothing,
            "artifacts": {},
            "fingerprints": {},
            "unit_sets": [],
            "checksum": "",
        }
    )
    FileStore(folder).put(snapshot_path(version), pretty_json(manifest))
    return manifest


def _shard(
    folder: Path, planned: str, first: int, count: int, payload: Payload, salt: str
) -> tuple[ShardEntry, list[str]]:
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    (folder / "index").mkdir(exist_ok=True)
    temporary = folder / "shards" / f".tmp-{planned}"
    rows, keys = [], []
    with ShardWriter(temporary) as writer:
        for number in range(first, first + count):
            key = hashlib.sha256(f"{salt}/{planned}/{number}".encode()).hexdigest()[:24] + "-0"
            seconds = 1.0 + number % 17 / 4
            placed = writer.add(key, _members(key, number, seconds, payload))
            rows.append(_row(placed, seconds))
            keys.append(key)
        sha256 = writer.finish()
    name = f"{planned}-{sha256[:12]}.tar"
    temporary.replace(folder / "shards" / name)
    sink = io.BytesIO()
    table = pa.Table.from_pylist([{**row, "shard": name} for row in rows], schema=INDEX)
    pq.write_table(table, sink, compression="zstd")
    index = f"{planned}-{sha256[:12]}.parquet"
    (folder / "index" / index).write_bytes(sink.getvalue())
    entry: ShardEntry = {
        "name": name,
        "split": "",
        "bytes": writer.bytes,
        "sha256": sha256,
        "samples": count,
        "seconds": sum(row["duration_s"] for row in rows),
        "index": index,
        "index_sha256": sha256_hex(sink.getvalue()),
    }
    return entry, keys


def _turns(seconds: float) -> list[dict[str, Any]]:
    plain = {"voice": "made", "speaker_id": "made", "measures": [], "augmentation": ""}
    frames = int(2 * seconds * FRAME_RATE_HZ)
    said = {"text": "Say something.", "spoken_text": "Say something."}
    answer = {"text": "Something, then.", "spoken_text": "Something, then."}
    return [
        {"turn": 0, "role": "user", "duration_s": seconds, "num_frames": 0, "num_units": 0}
        | plain
        | said,
        {"turn": 1, "role": "assistant", "duration_s": 2 * seconds, "num_frames": frames}
        | {"num_units": frames // 2}
        | plain
        | answer,
    ]


def _members(key: str, number: int, seconds: float, payload: Payload) -> list[Member]:
    turns = []
    for turn in _turns(seconds):
        units = {UNIT_SET: {"frames": turn["num_frames"], "units": turn["num_units"]}}
        extra = {"units": units} if turn["num_units"] else {}
        turns.append({**turn, **extra, "provenance": "synthesized"})
    record = {"schema": 1, "id": key, "source": "made", "license": "CC0-1.0", "lang": "en"}
    size = turns[1]["num_units"]
    codes = (np.arange(size, dtype=np.int16) + number)[None] % 100
    return [
        Member("json", canonical_json({**record, "split": "train", "turns": turns})),
        Member(flac_suffix(0, "user"), payload(2 * number)),
        Member(flac_suffix(1, "assistant"), payload(2 * number + 1)),
        Member(units_suffix(1, "assistant", UNIT_SET), npy(codes)),
        Member(durations_suffix(1, "assistant", UNIT_SET), npy(np.full(size, 2, np.int32))),
    ]


def _row(placed: Placed, seconds: float) -> dict[str, Any]:
    return {
        "key": placed.key,
        "offset": placed.offset,
        "length": placed.length,
        "crc32c": placed.crc32c,
        "members": [
            {"suffix": suffix, "offset": offset, "size": size}
            for suffix, offset, size in placed.members
        ],
        "split": "train",
        "lang": "en",
        "source": "made",
        "source_id": "",
        "license": "CC0-1.0",
        "duration_s": 3 * seconds,
        "turns": _turns(seconds),
        "num_dropped": 0,
        "lineage": "{}",
    }
