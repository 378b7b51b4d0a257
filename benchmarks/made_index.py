"""A snapshot whose index, rejected and failed rows are whole, and whose sound is there where shown.

Writing the sound of 100,000 rows would take longer than what is measured. So the rows are
made first, the report's own choice is asked for, and only the chosen rows get bytes in their
shard; the rest of each shard is a hole.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.made_corpus import write_snapshot
from jobs.recipes.recipe import manifest_settings
from jobs.report.data import gather
from jobs.settings.job import JobSettings
from jobs.settings.jobfile import load_job
from pipelines.outcome import OUTCOME
from schemas.canonical import canonical_json, pretty_json, sha256_hex
from schemas.columns import failure, reason
from schemas.index import INDEX, INDEXED_TURN, MEMBER
from schemas.measures import CATALOGUE
from schemas.shard import Member, ShardWriter, durations_suffix, flac_suffix, npy, units_suffix
from schemas.snapshot import Manifest, ShardEntry, latest_snapshot, sealed, snapshot_path
from schemas.store import FileStore
from schemas.utterance import MEASURE, NOT_SAMPLED, TAKEN, UNAVAILABLE
from transforms.audio import encode_flac
from transforms.voice_file import load_bank

JOB = Path(__file__).parents[1] / "examples" / "instruct_s2s.yaml"
SHARD_ROWS = 1000
RATE_HZ = 16000
CLIPS = 16
LANGS, VOICES = ("en", "zh"), ("en-kal16", "en-rms", "en-slt-low", "zh-m3", "zh-f2", "zh-m7")
UNIT_SET: dict[str, object] = {
    "name": "mfcc100",
    "sample_rate_hz": RATE_HZ,
    "window_samples": 400,
    "hop_samples": 320,
    "num_codebooks": 1,
    "codebook_size": 100,
    "collapse": "run_length",
    "roles": ["assistant"],
    "model": "mfcc39",
    "model_sha256": "0" * 64,
    "centroids_sha256": "0" * 64,
    "provenance": "made for a benchmark",
}


def make_index(folder: Path, rows: int, seed: int) -> None:
    """Write the snapshot of ``rows`` accepted rows, an eighth more rejected."""
    rng = np.random.default_rng(seed)
    tables = [
        _table(rng, number, min(SHARD_ROWS, rows - number * SHARD_ROWS))
        for number in range(-(-rows // SHARD_ROWS))
    ]
    store = FileStore(folder)
    _publish(store, tables, rows)
    manifest = latest_snapshot(store)
    assert manifest is not None
    corpus = gather(store, manifest)
    chosen = {row["key"] for row in corpus.chosen.samples()}
    chosen |= {item.row["key"] for item in corpus.chosen.odd_ones()}
    chosen |= {row["key"] for row in corpus.unit_rows.items()}
    clips = [_clip(rng, 3 + number % 9) for number in range(CLIPS)]
    tables = [_with_sound(folder, table, chosen, clips) for table in tables]
    _publish(store, tables, rows)


def _publish(store: FileStore, tables: Sequence[pa.Table], rows: int) -> Manifest:
    shards = [_write_index(store, table) for table in tables]
    manifest = write_snapshot(store.root, shards)
    job = load_job(JOB)
    assert isinstance(job, JobSettings)
    rejected = rows // 8
    manifest = sealed(
        {
            **manifest,
            "pipeline": "instruct_s2s",
            "settings": manifest_settings(job, load_bank(JOB.parent / job.voices.bank)),
            "counts": {
                "rows": rows + rejected + 3,
                "accepted": rows,
                "rejected": rejected,
                "failed": 3,
            },
            "unit_sets": [UNIT_SET],
            "rejected": _write_outcomes(store, "rejected", map(_rejected, range(rejected))),
            "failed": _write_outcomes(store, "failed", map(_failed, range(3))),
        }
    )
    store.put(snapshot_path(1), pretty_json(manifest))
    return manifest


def _table(rng: np.random.Generator, shard: int, count: int) -> pa.Table:
    """The index of one shard, column by column."""
    lang = rng.integers(0, 2, count)
    keys = [f"{value:024x}-0" for value in rng.integers(0, 2**62, count).tolist()]
    voices = pa.array(VOICES).take(pa.array(3 * np.repeat(lang, 2) + rng.integers(0, 3, 2 * count)))
    seconds = rng.gamma(6.0, 1.1, 2 * count) + 0.5
    roles = pa.array(["user", "assistant"] * count)
    frames = np.where(np.arange(2 * count) % 2, (seconds * 50).astype(np.int64), 0)
    words = ["rivers", "castle", "garden", "and", "the", "one", "tell", "me", "about"]
    texts = [" ".join(rng.choice(words, size)) for size in rng.integers(4, 40, 2 * count)]
    fields: dict[str, Any] = {
        "turn": pa.array([0, 1] * count, pa.int32()),
        "role": roles,
        "text": pa.array(texts),
        "spoken_text": pa.array(texts),
        "voice": voices,
        "speaker_id": voices,
        "duration_s": pa.array(seconds),
        "num_frames": pa.array(frames, pa.int32()),
        "num_units": pa.array((frames * 0.6).astype(np.int64), pa.int32()),
        "measures": _measures(rng, 2 * count),
        "augmentation": pa.array([""] * (2 * count)),
    }
    turns = pa.StructArray.from_arrays(
        [fields[item.name] for item in INDEXED_TURN], fields=list(INDEXED_TURN)
    )
    split = "eval" if shard % 20 == 19 else "train"
    columns: dict[str, Any] = {
        "key": keys,
        "shard": [f"{split}-{shard:06d}-made.tar"] * count,
        "offset": np.zeros(count, np.int64),
        "length": np.zeros(count, np.int64),
        "crc32c": np.zeros(count, np.uint32),
        "members": pa.array([[]] * count, pa.list_(pa.field("item", MEMBER, nullable=False))),
        "split": [split] * count,
        "lang": pa.array(LANGS).take(pa.array(lang)),
        "source": [("alpaca", "ultrachat")[number % 2] for number in range(count)],
        "source_id": [f"row-{shard}-{number}" for number in range(count)],
        "license": ["CC-BY-4.0"] * count,
        "duration_s": seconds.reshape(count, 2).sum(axis=1),
        "turns": _lists(turns, np.arange(count + 1) * 2, INDEX.field("turns").type),
        "num_dropped": pa.array(np.zeros(count), pa.int32()),
        "lineage": ["{}"] * count,
    }
    return pa.table([columns[name] for name in INDEX.names], schema=INDEX)


def _measures(rng: np.random.Generator, count: int) -> pa.ListArray:
    """Every measure of the catalogue for each utterance; some were not taken."""
    names = sorted(item.name for item in CATALOGUE)
    values = rng.normal(10.0, 3.0, (count, len(names)))
    lacking = (np.arange(len(names)) % 8 == 7) & (rng.random((count, len(names))) < 0.9)
    status = np.where(lacking, np.where(np.arange(len(names)) % 16 == 7, 1, 2), 0).ravel()
    flat = pa.StructArray.from_arrays(
        [
            pa.array(names).take(pa.array(np.tile(np.arange(len(names)), count))),
            pa.array(values.ravel(), mask=lacking.ravel()),
            pa.array([TAKEN, NOT_SAMPLED, UNAVAILABLE]).take(pa.array(status)),
        ],
        fields=list(MEASURE),
    )
    offsets = np.arange(count + 1) * len(names)
    return _lists(flat, offsets, INDEXED_TURN.field("measures").type)


def _lists(values: pa.Array, offsets: npt.NDArray[np.int64], kind: pa.ListType) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=kind)


def _with_sound(
    folder: Path, table: pa.Table, chosen: set[str], clips: Sequence[tuple[bytes, int]]
) -> pa.Table:
    """The table with the places of its chosen rows, whose bytes are written into the shard."""
    (folder / "shards").mkdir(exist_ok=True)
    name = table.column("shard")[0].as_py()
    numbers = {
        item: table.column(item).to_numpy().copy() for item in ("offset", "length", "crc32c")
    }
    with ShardWriter(folder / "shards" / name) as writer:
        for place, key in enumerate(table.column("key").to_pylist()):
            if key in chosen:
                row = table.slice(place, 1).to_pylist()[0]
                placed = writer.add(key, _members(row, clips))
                for item in numbers:
                    numbers[item][place] = getattr(placed, item)
    for item, found in numbers.items():
        at = INDEX.get_field_index(item)
        table = table.set_column(at, INDEX.field(item), pa.array(found, INDEX.field(item).type))
    return table


def _members(row: dict[str, Any], clips: Sequence[tuple[bytes, int]]) -> list[Member]:
    members, turns = [], []
    for turn in row["turns"]:
        flac, samples = clips[int(row["key"][:8], 16) % (len(clips) - 1) + turn["turn"]]
        members.append(Member(flac_suffix(turn["turn"], turn["role"]), flac))
        spoken = turn["spoken_text"].split()
        step = samples / RATE_HZ / len(spoken)
        words = [[word, n * step, (n + 0.9) * step] for n, word in enumerate(spoken)]
        turns.append({**turn, "words": words, "measures": {}})
        if turn["num_units"]:
            codes = np.arange(turn["num_units"], dtype=np.int16)[None] % 100
            place = (turn["turn"], turn["role"], "mfcc100")
            lengths = np.full(turn["num_units"], 2, np.int32)
            members.append(Member(units_suffix(*place), npy(codes)))
            members.append(Member(durations_suffix(*place), npy(lengths)))
    record = {"schema": 1, "id": row["key"], "dropped": [], "turns": turns}
    return [Member("json", canonical_json(record)), *members]


def _clip(rng: np.random.Generator, seconds: int) -> tuple[bytes, int]:
    """Noise in syllables over a hum, as hard to compress as speech."""
    time = np.arange(seconds * RATE_HZ) / RATE_HZ
    loudness = np.clip(np.sin(2 * np.pi * 4 * time), 0, 1)
    sound = loudness * (rng.normal(0, 400, len(time)) + 6000 * np.sin(2 * np.pi * 140 * time))
    return encode_flac(sound.astype(np.int16), RATE_HZ), len(time)


def _write_index(store: FileStore, table: pa.Table) -> ShardEntry:
    shard = table.column("shard")[0].as_py()
    name = shard.replace(".tar", ".parquet")
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    data = sink.getvalue().to_pybytes()
    store.put(f"index/{name}", data)
    return {
        "name": shard,
        "split": table.column("split")[0].as_py(),
        "bytes": 0,
        "sha256": "0" * 64,
        "samples": table.num_rows,
        "seconds": float(table.column("duration_s").to_numpy().sum()),
        "index": name,
        "index_sha256": sha256_hex(data),
    }


def _write_outcomes(store: FileStore, name: str, rows: Iterable[dict[str, Any]]) -> Any:  # noqa: ANN401 - a FileEntry
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(list(rows), schema=OUTCOME)
    pq.write_table(table, sink, compression="zstd", row_group_size=256)
    data = sink.getvalue().to_pybytes()
    path = f"{name}/{name}-made.parquet"
    store.put(path, data)
    return {"name": path, "sha256": sha256_hex(data)}


def _rejected(number: int) -> dict[str, Any]:
    return {
        **_outcome(number, "rejected"),
        "reasons": [
            reason("select", "chars_per_s", f"{number % 5} is under 4", 1),
            *([reason("respond", "code", "", 1)] if number % 3 == 0 else []),
        ],
        "error": None,
    }


def _failed(number: int) -> dict[str, Any]:
    error = failure("synthesize", "Timeout", "no answer in 120 s", retryable=True)
    return {**_outcome(number, "failed"), "reasons": [], "error": error}


def _outcome(number: int, state: str) -> dict[str, Any]:
    names = sorted(item.name for item in CATALOGUE)
    measures = [{"name": name, "value": 1.0, "status": TAKEN} for name in names]
    turn = {"text": "Tell me more.", "input": "", "spoken_text": "Tell me more.", "voice": "en-rms"}
    turns = [
        {**turn, "role": role, "measures": measures, "attempts": []}
        for role in ("user", "assistant")
    ]
    return {
        "id": f"{state[0]}{number:023x}-0",
        "state": state,
        "origin": f"rows.jsonl:{number}",
        "source_id": json.dumps(number),
        "lang": LANGS[number % 2],
        "partition": "p",
        "spoken": False,
        "turns": turns,
    }
