"""Looks for damage: every checksum, index entry, schema, count and unit range of a snapshot."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipelines.commit import Commit, read_sha256, sha256_of
from pipelines.outcome import identity_reasons, read_outcomes
from pipelines.plan import Partition, read_plan
from pipelines.replies import read_listing
from pipelines.together import together
from schemas.errors import DamageError, StoreError
from schemas.index import INDEX
from schemas.parquet import iterate
from schemas.shard import (
    BLOCK,
    crc32c,
    durations_suffix,
    flac_suffix,
    read_npy,
    split_sample,
    units_suffix,
)
from schemas.snapshot import (
    LATEST,
    FileEntry,
    Manifest,
    ShardEntry,
    fit_for_readers,
    identity,
    pointer_to,
    read_pointer,
    read_verified,
    versions,
)
from schemas.store import Store
from schemas.unitset import UnitSet

SPOT = 6  # samples of a shard that are read where its checksum is the bucket's word


@dataclass(frozen=True)
class Damage:
    """One thing that is not as the manifest says."""

    path: str
    problem: str


def file_damage(store: Store, manifest: Manifest, *, deep: bool = False) -> Iterator[Damage]:
    """Every file that a snapshot names, by size and sha256; then its commit records.

    What a bucket's own checksum proves is not read, unless ``deep``.
    """
    lengths = {f"shards/{shard['name']}": shard["bytes"] for shard in manifest["shards"]}
    checksum = read_sha256 if deep else sha256_of

    def look(entry: FileEntry) -> Damage | None:
        name = entry["name"]
        size = store.size(name)
        if size is None:
            return Damage(name, "missing")
        if size != lengths.get(name, size):
            return Damage(name, f"has {size} bytes, the manifest says {lengths[name]}")
        if checksum(store, name) != entry["sha256"]:
            return Damage(name, "its sha256 is not the manifest's")
        return None

    yield from filter(
        None, together(store, look, [*named_files(manifest), *reply_files(store, manifest)])
    )
    yield from _commit_damage(store, manifest)
    yield from _pointer_damage(store, manifest)


def _pointer_damage(store: Store, manifest: Manifest) -> Iterator[Damage]:
    """Whether latest.json leads to the newest snapshot, if this is the newest within its limits."""
    pointer = read_pointer(store)
    newest = manifest["version"] == versions(store)[-1]
    if newest and fit_for_readers(store, manifest):
        if pointer != pointer_to(manifest):
            yield Damage(LATEST, "missing, or not the pointer to the newest snapshot")
    elif pointer and pointer["version"] == manifest["version"] and pointer != pointer_to(manifest):
        yield Damage(LATEST, "not the pointer to the snapshot whose version it names")


def named_files(manifest: Manifest) -> list[FileEntry]:
    """All files of a snapshot with their checksums, source rows excepted (the plan names them)."""
    files: list[FileEntry] = []
    for shard in manifest["shards"]:
        files.append({"name": f"shards/{shard['name']}", "sha256": shard["sha256"]})
        files.append({"name": f"index/{shard['index']}", "sha256": shard["index_sha256"]})
    return [
        *files,
        manifest["rejected"],
        manifest["failed"],
        manifest["plan"],
        *manifest["artifacts"].values(),
        *([manifest["replies"]] if "replies" in manifest else []),
    ]


def reply_files(store: Store, manifest: Manifest) -> list[FileEntry]:
    """The files of model replies; none where their listing is damaged, which is said of itself."""
    try:
        return list(read_listing(store, manifest.get("replies")).values())
    except (DamageError, StoreError):
        return []


def all_damage(store: Store, manifest: Manifest, *, deep: bool = True) -> Iterator[Damage]:
    """Everything that can be checked, down to each unit.

    Not ``deep``: shards by the bucket's checksums and by their indexes, and of each a few samples
    read by range; everything else as ever.
    """
    broken = {damage.path: damage for damage in file_damage(store, manifest, deep=deep)}
    yield from broken.values()
    if manifest["plan"]["name"] not in broken:
        plan = read_plan(store, manifest)
        looks = together(store, lambda item: _partition_damage(store, item), plan.partitions)
        yield from filter(None, looks)
        if plan.rows != manifest["counts"]["rows"]:
            yield Damage(manifest["plan"]["name"], f"plans {plan.rows} rows, not the manifest's")
    yield from _count_damage(store, manifest, set(broken))
    sets = [UnitSet.from_json(value) for value in manifest["unit_sets"]]
    yield from _set_damage(manifest, sets)
    keys: set[str] = set()
    for shard in manifest["shards"]:
        if not {f"shards/{shard['name']}", f"index/{shard['index']}"} & set(broken):
            yield from _shard_damage(store, shard, sets, keys, deep)


def _partition_damage(store: Store, partition: Partition) -> Damage | None:
    try:
        read_verified(store, partition.entry)
    except (DamageError, StoreError) as error:
        return Damage(partition.file, str(error))
    return None


def _commit_damage(store: Store, manifest: Manifest) -> Iterator[Damage]:
    folder = f"commits/{manifest['build_id']}"
    committed = []
    for path in store.list(folder):
        try:
            commit: Commit = json.loads(store.get(path))
            if commit["shard"] is not None:
                committed.append(commit["shard"])
        except (ValueError, KeyError, TypeError):
            yield Damage(path, "not a commit record")
    by_name = {entry["name"]: entry for entry in committed}
    for shard in manifest["shards"]:
        if by_name.get(shard["name"]) != shard:
            yield Damage(folder, f"no record commits {shard['name']} as the manifest names it")


def _count_damage(store: Store, manifest: Manifest, broken: set[str]) -> Iterator[Damage]:
    counts = manifest["counts"]
    if counts["accepted"] + counts["rejected"] + counts["failed"] != counts["rows"]:
        yield Damage("snapshots", f"accepted + rejected + failed is not rows: {counts}")
    if sum(shard["samples"] for shard in manifest["shards"]) != counts["accepted"]:
        yield Damage("snapshots", "the shards' samples are not the accepted rows")
    if {manifest["rejected"]["name"], manifest["failed"]["name"]} & broken:
        return
    rejected = read_outcomes(store, manifest["rejected"])
    failed = read_outcomes(store, manifest["failed"])
    if len(rejected) != counts["rejected"] or len(failed) != counts["failed"]:
        yield Damage("rejected, failed", "their rows are not the manifest's counts")
    computed = identity(
        manifest["shards"],
        [(row["id"], identity_reasons(row)) for row in rejected],
        [(row["id"], row["error"]["error_class"]) for row in failed if row["error"]],
    )
    if computed != manifest["identity"]:
        yield Damage("snapshots", f"the identity is {computed}, not {manifest['identity']}")


def _shard_damage(
    store: Store, shard: ShardEntry, sets: list[UnitSet], keys: set[str], deep: bool
) -> Iterator[Damage]:
    chosen = range(shard["samples"]) if deep else _chosen(shard)
    path = f"shards/{shard['name']}"
    samples, end = 0, 0
    index = f"index/{shard['index']}"
    try:
        for row in iterate(store.get(index), INDEX, index, 256):
            where = f"{path}, sample {row['key']}"
            if row["key"] in keys:
                yield Damage(where, "its key is not unique in the corpus")
            keys.add(row["key"])
            if row["offset"] != end:
                yield Damage(where, f"starts at {row['offset']}, the one before ended at {end}")
            samples, end = samples + 1, row["offset"] + row["length"]
            if samples - 1 not in chosen:
                continue
            try:
                data = store.get_range(path, row["offset"], row["length"])
                if crc32c(data) != row["crc32c"]:
                    yield Damage(where, "its crc32c is not the index's")
                    continue
                for problem in sample_problems(data, row, sets):
                    yield Damage(where, problem)
            except (DamageError, StoreError) as error:
                yield Damage(where, str(error))
    except DamageError as error:
        yield Damage(index, str(error))
    if samples != shard["samples"]:
        yield Damage(path, f"holds {samples} samples, the manifest says {shard['samples']}")
    if end + 2 * BLOCK != shard["bytes"]:
        yield Damage(index, f"covers {end} bytes and the tar's end of {shard['bytes']} in {path}")


def _chosen(shard: ShardEntry) -> set[int]:
    """The first sample, the last, and a few that the shard's hash picks."""
    last = shard["samples"] - 1
    picked = {int(shard["sha256"][n : n + 8], 16) % (last + 1) for n in range(0, 8 * SPOT, 8)}
    return {0, last, *picked}


def sample_problems(data: bytes, row: dict[str, Any], sets: list[UnitSet]) -> Iterator[str]:
    """What is wrong inside one sample: members, KEY.json, audio lengths, unit contract."""
    import soundfile

    members = split_sample(data, row["key"])
    listed = [member["suffix"] for member in row["members"]]
    if list(members) != listed:
        yield f"its members are {list(members)}, the index says {listed}"
        return
    record = json.loads(members["json"])
    if record["id"] != row["key"] or len(record["turns"]) != len(row["turns"]):
        yield "its KEY.json is not of this sample"
    for turn in row["turns"]:
        number, role = turn["turn"], turn["role"]
        info = soundfile.info(io.BytesIO(members[flac_suffix(number, role)]))
        if abs(info.frames / info.samplerate - turn["duration_s"]) > 1e-6:
            yield f"turn {number}: {info.frames} samples are not {turn['duration_s']} s"
        for contract in sets:
            if role in contract.roles:
                for problem in _unit_problems(members, number, role, contract, info.frames):
                    yield f"turn {number}: {problem}"


def _unit_problems(
    members: dict[str, bytes], number: int, role: str, contract: UnitSet, num_samples: int
) -> Iterator[str]:
    data = members.get(units_suffix(number, role, contract.name))
    if data is None:
        yield f"no units of {contract.name}"
        return
    codes = read_npy(data)
    if codes.ndim != 2 or len(codes) != contract.num_codebooks:
        yield f"units [{contract.num_codebooks}, T] of {contract.name} are {list(codes.shape)}"
        return
    lengths = members.get(durations_suffix(number, role, contract.name))
    durations = None if lengths is None else read_npy(lengths).tolist()
    yield from contract.violations(codes.reshape(-1).tolist(), durations, num_samples)


def _set_damage(manifest: Manifest, sets: list[UnitSet]) -> Iterator[Damage]:
    """Whether unit sets have names of their own, and the centroids that are kept are named."""
    names = [item.name for item in sets]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Damage("snapshots", f"two unit sets are named {name}")
    kept = manifest["artifacts"].get("kmeans")
    if kept is not None and kept["sha256"] not in {item.centroids_sha256 for item in sets}:
        yield Damage(kept["name"], "these centroids are of no unit set of the manifest")
