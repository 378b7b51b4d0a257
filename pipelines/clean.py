"""Finds what no snapshot names and no running build needs, and removes it after a grace period.

Ages are told by the store's clock. Memo packs are not garbage: they are finished work. Nothing is
touched that Voxmill does not write under a name that it gives itself.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pipelines import lease, probe
from pipelines.damage import named_files
from pipelines.lease import LIVE_S, Lease, leases
from pipelines.plan import read_plan
from pipelines.replies import read_listing
from schemas.errors import ConflictError, DamageError, StoreError
from schemas.snapshot import FileEntry, Manifest, read_snapshot, versions
from schemas.store import ObjectMeta, Store, Unfinished

# What is swept, in the order of deletion: a commit goes before the shard that it names.
_OURS: Final = (
    (r"commits/[0-9a-f]{24}/[a-z]+-\d{6,}\.json", "a commit of a build that was never published"),
    (r"shards/[a-z]+-\d{6,}-[0-9a-f]{12}\.tar", "a shard that no snapshot names"),
    (r"index/[a-z]+-\d{6,}-[0-9a-f]{12}\.parquet", "an index that no snapshot names"),
    (r"(rejected|failed)/\1-[0-9a-f]{12}\.parquet", "outcomes that no snapshot names"),
    (r"inputs/p\d{6,}-[0-9a-f]{12}\.parquet", "source rows of no published plan"),
    (r"inputs/p\d{6,}-replies-[0-9a-f]{12}\.parquet", "model replies that no snapshot names"),
    (r"inputs/replies-[0-9a-f]{12}\.json", "a list of model replies that no snapshot names"),
    (r"inputs/plan-[0-9a-f]{12}\.json", "a plan that was never published"),
    (r"artifacts/[a-z_]+-[0-9a-f]{12}", "an artifact that no snapshot names"),
    (rf"{probe.FOLDER}/[0-9a-f]{{16}}", "a probe"),
    (rf"{lease.CLEANING}/[0-9a-f]{{16}}\.json", "the mark of a removal that was killed"),
    (rf"{lease.FOLDER}/[0-9a-f]{{24}}-[0-9a-f]{{8}}\.json", "the sign of life of a dead build"),
)
_SCRATCH: Final = re.compile(r"(builds/[0-9a-f]{24}-[0-9a-f]{8})/.+")
AT_ONCE: Final = 500  # objects that go between two looks for builds
_SKEW_S: Final = 60.0  # between two objects' times in one store


@dataclass(frozen=True)
class Garbage:
    """One thing to remove: an object or something unfinished; ``size`` in bytes, 0 if unknown."""

    path: str
    why: str
    size: int
    age_s: float
    unfinished: Unfinished | None = None


@dataclass(frozen=True)
class Found:
    """What a look at one store found. ``not_looked`` says what could not be listed, and why."""

    store: Store
    garbage: list[Garbage]
    running: list[Lease]
    not_looked: str = ""


def find_garbage(output: Store, grace_s: float, *, none_running: bool = False) -> Found:
    """The garbage of a corpus that is older than ``grace_s``. Nothing is removed.

    ``none_running`` takes every sign of life for that of a build that was just killed.
    Raises DamageError if a snapshot or its plan cannot be read: what it names is not known then.
    """
    now_s = probe.clock_s(output)
    running = [] if none_running else live(output, now_s)
    since_s = _needed_since_s(running)
    keep, builds = _named(output, [read_snapshot(output, number) for number in versions(output)])
    for item in running:
        if item.plan is not None:
            keep |= _of_build(output, item, item.plan)
        builds.add(item.build_id)
    found = []
    keep |= {item.path for item in running}
    for meta, why in _candidates(output):
        kept = meta.path in keep or meta.path.split("/")[1] in builds
        if not kept and now_s - meta.modified_s >= grace_s and meta.modified_s < since_s:
            found.append(Garbage(meta.path, why, meta.size, now_s - meta.modified_s))
    unfinished, not_looked = _unfinished(output, now_s, grace_s, since_s)
    return Found(output, found + unfinished, running, not_looked)


def find_scratch(work: Store, grace_s: float, running: Iterable[Lease]) -> Found:
    """What dead builds left in a work store; the packs of the memo are not touched."""
    now_s = probe.clock_s(work)
    alive = list(running)
    scratches = {item.scratch for item in alive}
    since_s = _needed_since_s(alive)
    found = []
    for meta in work.scan("builds"):
        match = _SCRATCH.fullmatch(meta.path)
        kept = match is None or match[1] in scratches
        if not kept and now_s - meta.modified_s >= grace_s and meta.modified_s < since_s:
            found.append(
                Garbage(meta.path, "scratch of a dead build", meta.size, now_s - meta.modified_s)
            )
    unfinished, not_looked = _unfinished(work, now_s, grace_s, since_s)
    return Found(work, found + unfinished, alive, not_looked)


def live(output: Store, now_s: float) -> list[Lease]:
    """The builds that have shown a sign of life in the last minutes.

    One that cannot be read, as of another release, may need anything: it counts as being planned.
    """
    found = leases(output)
    known = {item.path for item in found}
    for meta in output.scan(lease.FOLDER):
        if meta.path not in known:
            seen_s = meta.modified_s
            found.append(Lease(meta.path, "", "", None, {}, started_s=seen_s, seen_s=seen_s))
    return [item for item in found if now_s - item.seen_s <= LIVE_S]


def remove(found: Found, output: Store, *, none_running: bool = False) -> None:
    """Remove what was found. Raises ConflictError if a build has started since.

    Builds that begin meanwhile wait; those of a release that does not wait are looked for between
    every AT_ONCE objects.
    """
    known = {item.path for item in found.running}
    with lease.cleaning(output) as renew:
        for start in range(0, len(found.garbage), AT_ONCE):
            renew()
            new = [] if none_running else live(output, probe.clock_s(output))
            if any(item.path not in known for item in new):
                gone = f" ({start} objects of {len(found.garbage)} are gone)" if start else ""
                raise ConflictError(
                    f"{output.uri}: a build has started since this look began{gone}; run the same "
                    "command again"
                )
            some = found.garbage[start : start + AT_ONCE]
            found.store.delete_many(item.path for item in some if item.unfinished is None)
            for item in some:
                if item.unfinished is not None:
                    found.store.discard(item.unfinished)


def _needed_since_s(running: Iterable[Lease]) -> float:
    """What was written since then may be needed: all, while a build is planned.

    A build that plans may turn out to go on with one that died, and need whatever that one left.
    """
    starts = [item.started_s if item.plan else float("-inf") for item in running]
    return min(starts, default=float("inf")) - _SKEW_S


def _candidates(output: Store) -> Iterator[tuple[ObjectMeta, str]]:
    for pattern, why in _OURS:
        folders = ("rejected", "failed") if "(" in pattern else (pattern.partition("/")[0],)
        for folder in folders:
            for meta in output.scan(folder):
                if re.fullmatch(pattern, meta.path):
                    yield meta, why


def _named(output: Store, manifests: list[Manifest]) -> tuple[set[str], set[str]]:
    """The paths that snapshots name, and the ids of the builds that made them."""
    keep, builds = set[str](), set[str]()
    plans = set[str]()
    for manifest in manifests:
        keep |= {entry["name"] for entry in named_files(manifest)}
        builds.add(manifest["build_id"])
        try:
            keep |= {
                entry["name"] for entry in read_listing(output, manifest.get("replies")).values()
            }
        except (DamageError, StoreError) as error:
            raise DamageError(
                f"{error}; what this snapshot names is not known, so nothing is removed"
            ) from error
        if manifest["plan"]["name"] not in plans:
            plans.add(manifest["plan"]["name"])
            try:
                keep |= {item.file for item in read_plan(output, manifest).partitions}
            except (DamageError, StoreError) as error:
                raise DamageError(
                    f"{error}; what this snapshot names is not known, so nothing is removed"
                ) from error
    return keep, builds


def _of_build(output: Store, running: Lease, planned: FileEntry) -> set[str]:
    """What a running build takes from before its start: plan, rows, artifacts, committed shards."""
    keep = {planned["name"], *(entry["name"] for entry in running.artifacts.values())}
    try:
        plan = json.loads(output.get(planned["name"]))
        keep |= {item["file"] for item in plan["partitions"]}
    except (ValueError, KeyError, TypeError, StoreError) as error:
        raise DamageError(
            f"{output.uri}/{planned['name']}: the plan of a running build cannot be read "
            f"({error}); nothing is removed, run the same command again when it has ended"
        ) from error
    for path in output.list(f"commits/{running.build_id}"):
        try:
            shard = json.loads(output.get(path))["shard"]
            if shard is not None:
                keep |= {f"shards/{shard['name']}", f"index/{shard['index']}"}
        except (ValueError, KeyError, TypeError) as error:
            raise DamageError(
                f"{output.uri}/{path}: not a commit record of the running build ({error!r}), which "
                "mends it; nothing is removed, run the same command again when it has ended"
            ) from error
    return keep


def _unfinished(
    store: Store, now_s: float, grace_s: float, since_s: float
) -> tuple[list[Garbage], str]:
    try:
        return [
            Garbage(item.path, "never finished", 0, now_s - item.modified_s, item)
            for item in store.unfinished()
            if now_s - item.modified_s >= grace_s and item.modified_s < since_s
        ], ""
    except StoreError as error:
        return [], str(error)
