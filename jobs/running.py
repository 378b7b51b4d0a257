"""The builds that run on an output, or that died there, as `voxmill inspect` shows them."""

import time
from contextlib import suppress
from typing import Any, Final

from pipelines.lease import BEAT_S, LIVE_S, leases
from schemas.errors import DamageError
from schemas.snapshot import read_snapshot, versions
from schemas.store import Store

LATE_S: Final = 6 * BEAT_S  # a sign of life that is older is a bad sign
MAX_STEPS: Final = 20


def running_builds(store: Store) -> list[dict[str, Any]]:
    """Each build that shows or showed a sign of life, newest first, as plain JSON values.

    ``state`` is running, late (no sign for a minute), dead (none for five), or finished: dead, and
    the snapshot of the same build stands. Ages go by this machine's clock against the store's.
    """
    found = []
    published: set[str] | None = None
    for lease in sorted(leases(store), key=lambda item: -item.started_s):
        age_s = max(0.0, time.time() - lease.seen_s)
        state = "running" if age_s <= LATE_S else "late" if age_s <= LIVE_S else "dead"
        if state == "dead":
            published = _published(store) if published is None else published
            state = "finished" if lease.build_id in published else state
        found.append(
            {
                "state": state,
                "build_id": lease.build_id,
                "seen_s_ago": round(age_s, 1),
                "planning": lease.plan is None,
                **lease.status,
            }
        )
    return found


def running_lines(builds: list[dict[str, Any]]) -> list[str]:
    """The same for a terminal."""
    lines = []
    for build in builds:
        told = {
            "running": f"running, seen {build['seen_s_ago']:.0f} s ago",
            "late": f"no sign of life for {build['seen_s_ago']:.0f} s",
            "dead": f"seems dead, last seen {build['seen_s_ago']:.0f} s ago; run its command again "
            "to go on, or `voxmill clean`",
            "finished": "was killed, and its snapshot stands; `voxmill clean` removes what is "
            "left of it",
        }[build["state"]]
        what = "a build that plans" if build["planning"] else f"build {build['build_id']}"
        lines.append(f"{what}: {told}")
        if "stage" not in build or build["state"] == "finished":
            continue
        tasks, eta_s = build["tasks"], build["eta_s"]
        left = "" if eta_s is None else f", about {eta_s:.0f} s left of it"
        lines.append(
            f"  {build['engine']}, {build['workers']} workers, {build['elapsed_s']:.0f} s; "
            f"{build['stage']}: {tasks['done']} of {tasks['total']}{left}"
        )
        for name, step in list(build["steps"].items())[:MAX_STEPS]:
            if step["computed"] or step["reused"] or step["rows_per_s"]:
                lines.append(
                    f"  {name:<16} {step['computed']} computed, {step['reused']} reused, "
                    f"{step['failed']} failed, {step['rows_per_s']:.1f} rows/s"
                )
    return lines


def _published(store: Store) -> set[str]:
    """The builds of all snapshots that can be read."""
    found = set()
    for version in versions(store):
        with suppress(DamageError):
            found.add(read_snapshot(store, version)["build_id"])
    return found
