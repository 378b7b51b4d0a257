"""The end of a build: outcomes gathered, the snapshot written last, the pointer moved."""

import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.commit import Commit, sha256_of
from pipelines.fingerprint import fingerprint
from pipelines.increment import standing_outcomes
from pipelines.memo import unpack
from pipelines.outcome import OUTCOME, Outcome, identity_reasons
from pipelines.plan import write_plan
from pipelines.replies import write_listing
from pipelines.request import Planned, Request
from pipelines.task import Receipt, State
from schemas.canonical import pretty_json
from schemas.errors import ConflictError, SchemaError, StoreError
from schemas.snapshot import (
    FORMAT,
    LATEST,
    SCHEMA,
    FileEntry,
    Manifest,
    ParentEntry,
    ShardEntry,
    identity,
    pointer_to,
    read_snapshot,
    sealed,
    snapshot_path,
    within_limits,
)
from schemas.store import FileStore, Store
from transforms.environment import environment

logger = logging.getLogger(__name__)
ROW_GROUP = 256


@dataclass(frozen=True, kw_only=True)
class Ending:
    """All that a finished build knows."""

    planned: Planned
    state: State
    receipts: list[Receipt]  # of the last pass, a partition each
    commits: list[Commit]
    step_rows: Mapping[str, int]
    carried: Mapping[str, Sequence[str]]  # rows that end as in the parent, by partition


def publish(output: Store, work: Store, ending: Ending) -> Manifest:
    """Write the outcome files, then the manifest if there is none of this version, then latest.

    Raises ConflictError if another build published this version meanwhile, SchemaError if the rows
    do not add up.
    """
    planned = ending.planned
    rejected_rows: list[tuple[str, list[list[object]]]] = []
    failed_rows: list[tuple[str, str]] = []

    def see_rejected(row: Outcome) -> None:
        rejected_rows.append((row["id"], identity_reasons(row)))

    def see_failed(row: Outcome) -> None:
        assert row["error"] is not None
        failed_rows.append((row["id"], row["error"]["error_class"]))

    rejected = _write_outcomes(
        output, _outcomes(output, work, ending, "rejected", see_rejected), "rejected"
    )
    failed = _write_outcomes(
        output, _outcomes(output, work, ending, "failed", see_failed), "failed"
    )
    shards = [commit["shard"] for commit in ending.commits if commit["shard"] is not None]
    accepted = sum(shard["samples"] for shard in shards)
    counts = {
        "rows": planned.plan.rows,
        "accepted": accepted,
        "rejected": len(rejected_rows),
        "failed": len(failed_rows),
    }
    judged = sum(int(receipt["accepted"]) for receipt in ending.receipts)
    carried = {key for ids in ending.carried.values() for key in ids}
    carried -= {row[0] for row in (*rejected_rows, *failed_rows)}
    judged += len(carried)
    if accepted != judged or accepted + len(rejected_rows) + len(failed_rows) != counts["rows"]:
        raise SchemaError(
            f"rows do not add up: {counts}, {judged} of them judged accepted; this is a fault of "
            "Voxmill, please report it with run.json"
        )
    _check_there(output, shards)
    replies = {item["partition"]: item["replies"] for item in ending.receipts if "replies" in item}
    entries = (*ending.state.artifacts.values(), *replies.values())
    _check_named(output, {*(item.file for item in planned.plan.partitions), *_names(entries)})
    pipeline = planned.request.pipeline
    version, parent = _place(planned)
    manifest: Manifest = {
        "format": FORMAT,
        "schema": SCHEMA,
        "version": version,
        "identity": identity(shards, rejected_rows, failed_rows),
        "parent": parent,
        "build_id": planned.build_id,
        "request": planned.asked,
        "generation": planned.generation,
        "pipeline": pipeline.name,
        "settings": dict(planned.request.settings),
        "environment": dict(environment()),
        "plan": write_plan(output, planned.plan),
        "counts": counts,
        "step_rows": dict(ending.step_rows),
        "shards": shards,
        "rejected": rejected,
        "failed": failed,
        "artifacts": dict(ending.state.artifacts),
        "fingerprints": {
            **ending.state.fingerprints,
            **{fit.name: fingerprint(fit, {}) for fit in pipeline.fits()},
        },
        "unit_sets": [
            item.to_json()
            for item in (*ending.state.kept_sets, ending.state.unit_set)
            if item is not None
        ],
        "limits": dict(planned.request.limits),
        "checksum": "",
    }
    if planned.request.expects is not None:
        manifest["expected"] = True
    if replies:
        manifest["replies"] = write_listing(output, replies)
    manifest = _claim(output, sealed(manifest))
    point_to_latest(output, manifest, planned.request)
    return manifest


def _check_there(output: Store, shards: list[ShardEntry]) -> None:
    """Raise StoreError unless every shard and index is still there, the shards in full length.

    Their bytes were checked when they were committed; this is for what was deleted since.
    """
    sizes = {meta.path: meta.size for folder in ("shards", "index") for meta in output.scan(folder)}
    for shard in shards:
        whole = sizes.get(f"shards/{shard['name']}") == shard["bytes"]
        if not whole or f"index/{shard['index']}" not in sizes:
            raise StoreError(
                f"{output.uri}/shards/{shard['name']}: committed, and no longer there as it was; "
                "is something else deleting there? Run the same command again to make it anew"
            )


def _names(entries: Iterable[FileEntry]) -> Iterator[str]:
    return (entry["name"] for entry in entries)


def _check_named(output: Store, names: set[str]) -> None:
    """Raise StoreError unless source rows, artifacts and replies are still there."""
    folders = {name.partition("/")[0] for name in names}
    there = {meta.path for folder in folders for meta in output.scan(folder)}
    missing = min(names - there, default=None)
    if missing is not None:
        raise StoreError(
            f"{output.uri}/{missing}: this build needs it, and it is no longer there; is something "
            "else deleting there? Run the same command again to make it anew"
        )


def _place(planned: Planned) -> tuple[int, ParentEntry | None]:
    """The version to write, and its parent. Mending writes the version that stands."""
    newest = planned.parent
    if newest is None:
        return 1, None
    if planned.published:
        return newest["version"], newest["parent"]
    return newest["version"] + 1, {"version": newest["version"], "identity": newest["identity"]}


def _claim(output: Store, manifest: Manifest) -> Manifest:
    path = snapshot_path(manifest["version"])
    if not output.put_new(path, pretty_json(manifest)):
        first = read_snapshot(output, manifest["version"])
        if first["build_id"] != manifest["build_id"]:
            raise ConflictError(
                f"{output.uri}: another build published version {manifest['version']} while this "
                "one ran; run the same command again to build on top of it"
            )
        if first["identity"] != manifest["identity"]:
            logger.warning(
                "another run of this build published first, with other bytes: a step "
                "is not deterministic; the first counts"
            )
        manifest = first
    return manifest


def point_to_latest(output: Store, manifest: Manifest, request: Request) -> None:
    """Write the pointer, unless the snapshot misses limits or expectations of the build that asks.

    The results of the expectations are stored first, so that readers who find no pointer know.
    """
    met = request.expects is None or request.expects.met(output, manifest)
    if met and within_limits(manifest["counts"], request.limits):
        output.put(LATEST, pretty_json(pointer_to(manifest)))


def _outcomes(
    output: Store,
    work: Store,
    ending: Ending,
    state: Literal["rejected", "failed"],
    see: Callable[[Outcome], None],
) -> Iterator[pa.Table]:
    """The rows of one state, a partition at a time by id; each is shown to ``see``."""
    parent = ending.planned.parent
    names = [str(receipt["partition"]) for receipt in ending.receipts]
    before: Iterator[tuple[str, list[Any]]] = ((name, []) for name in names)
    if ending.carried and parent is not None:
        before = standing_outcomes(output, parent[state], names)
    for receipt, (name, standing) in zip(ending.receipts, before, strict=True):
        carried = set(ending.carried.get(name, ()))
        rows = [row for row in standing if row["id"] in carried]
        if receipt["outcomes"] is not None:
            made = unpack(work.get(receipt["outcomes"]), receipt["outcomes"])
            rows += [row for row in made.to_pylist() if row["state"] == state]
        rows.sort(key=lambda row: str(row["id"]))
        for row in rows:
            see(row)
        if rows:  # even an empty table takes 60 kB, and they wait for one another
            yield pa.Table.from_pylist(rows, schema=OUTCOME)


def _grouped(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of ROW_GROUP rows or more: each row group costs footer and memory."""
    waiting: list[pa.Table] = []
    count = 0
    for table in tables:
        waiting.append(table)
        count += table.num_rows
        if count >= ROW_GROUP:
            yield pa.concat_tables(waiting)
            waiting, count = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


def _write_outcomes(output: Store, tables: Iterator[pa.Table], name: str) -> FileEntry:
    with tempfile.TemporaryDirectory(prefix="voxmill-outcomes-") as folder:
        local = Path(folder) / "rows.parquet"
        with pq.ParquetWriter(local, OUTCOME, compression="zstd") as writer:
            for table in _grouped(tables):
                writer.write_table(table.cast(OUTCOME))
        sha256 = sha256_of(FileStore(Path(folder)), local.name)
        path = f"{name}/{name}-{sha256[:12]}.parquet"
        output.put_file(path, local, sha256=sha256)
    return {"name": path, "sha256": sha256}
