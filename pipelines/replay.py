"""Rebuilds one sample from the stored source row and settings, and compares its bytes."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from pipelines.evaluate import Evaluator
from pipelines.graph import Pipeline
from pipelines.plan import load_partition, read_plan
from pipelines.request import state_of
from pipelines.sample import samples
from schemas.errors import SettingsError
from schemas.index import INDEX
from schemas.parquet import iterate
from schemas.shard import split_sample
from schemas.snapshot import Manifest, ShardEntry, read_verified
from schemas.store import Store
from transforms.environment import environment


@dataclass(frozen=True)
class Replayed:
    """What came of a replay: the members that differ, and how the environment differs."""

    key: str
    members: tuple[str, ...]
    differing: tuple[str, ...]
    environment: dict[str, tuple[str, str]]  # name: there, here


def find_sample(
    store: Store, manifest: Manifest, key: str
) -> tuple[ShardEntry, dict[str, object]] | None:
    """The shard and the index row of a sample, or None."""
    for shard in manifest["shards"]:
        path = f"index/{shard['index']}"
        data = read_verified(store, {"name": path, "sha256": shard["index_sha256"]})
        for row in iterate(data, INDEX, path, 256):
            if row["key"] == key:
                return shard, row
    return None


def replay(store: Store, manifest: Manifest, pipeline: Pipeline, key: str) -> Replayed:
    """Run one row through the pipeline, with no memo, and compare it with its shard.

    Raises SettingsError if the snapshot holds no such sample.
    """
    found = find_sample(store, manifest, key)
    if found is None:
        raise SettingsError(
            f"{store.uri}: snapshot v{manifest['version']:06d} holds no sample '{key}'; "
            f"`voxmill inspect {store.uri}` lists keys, and says why a row was rejected"
        )
    shard, row = found
    offset, length = row["offset"], row["length"]
    assert isinstance(offset, int)
    assert isinstance(length, int)
    stored = split_sample(store.get_range(f"shards/{shard['name']}", offset, length), key)
    made = dict(_rebuild(store, manifest, pipeline, key, shard["split"]))
    names = sorted({*stored, *made})
    here = environment()
    return Replayed(
        key,
        tuple(names),
        tuple(name for name in names if stored.get(name) != made.get(name)),
        {
            name: (there, here.get(name, "absent"))
            for name, there in manifest["environment"].items()
            if here.get(name) != there
        },
    )


def _rebuild(
    store: Store, manifest: Manifest, pipeline: Pipeline, key: str, split: str
) -> Iterator[tuple[str, bytes]]:
    plan = read_plan(store, manifest)
    partition = next(item for item in plan.partitions if key in item.ids)
    rows = load_partition(store, partition)
    rows = rows.filter(pa.compute.equal(rows.column("id"), key))
    state = state_of(pipeline, manifest["artifacts"])
    artifacts = {name: read_verified(store, entry) for name, entry in manifest["artifacts"].items()}
    evaluator = Evaluator(pipeline, None, state.fingerprints, artifacts)
    tables, _ = evaluator.evaluate(rows, partition.name, None)
    lineage = {step.name: state.fingerprints[step.name][:16] for step in pipeline.memo_steps()}
    for sample in samples(tables, split, state.unit_set, state.kept_sets, lineage):
        for member in sample.members():
            yield member.suffix, member.data
    evaluator.close()
