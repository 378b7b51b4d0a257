"""What of a build stands already and is whole, and whether what was mended came out the same."""

import logging
from collections.abc import Mapping

from pipelines.commit import Commit, commit_path, is_whole, read_commit
from pipelines.plan import PlannedShard
from pipelines.request import Planned
from schemas.canonical import pretty_json
from schemas.errors import DamageError, StoreError
from schemas.snapshot import FileEntry, Manifest, read_verified
from schemas.store import Store

logger = logging.getLogger(__name__)


def standing(output: Store, planned: Planned, shard: PlannedShard) -> Commit | None:
    """The commit of a shard that is committed and whole; a damaged one is to be made again."""
    try:
        commit = read_commit(output, planned.build_id, shard)
    except DamageError as error:
        logger.warning("%s; the shard is committed again", error)
        output.delete(commit_path(planned.build_id, shard))
        return None
    if commit is None or commit["shard"] is None or is_whole(output, commit["shard"]):
        return commit
    if not planned.published:  # it may come out otherwise now, and no snapshot names it yet
        logger.warning("%s is damaged or gone; it is committed again", commit["shard"]["name"])
        output.delete(commit_path(planned.build_id, shard))
    return None


def whole_pins(output: Store, planned: Planned) -> dict[str, FileEntry]:
    """The pinned artifacts that can be read. A damaged one is fitted again if these rows made it.

    One that an earlier snapshot fitted cannot be: its rows were others. Raises DamageError then.
    """
    whole = {}
    unpinned = {fit.name for fit in planned.request.pipeline.fits() if not fit.pinned}
    first = planned.parent is not None and planned.parent["parent"] is None
    for name, entry in planned.pins.items():
        try:
            read_verified(output, entry)
            whole[name] = entry
        except (DamageError, StoreError) as error:
            if not planned.published or not (first or name in unpinned):
                raise DamageError(
                    f"{output.uri}/{entry['name']}: damaged or gone, and fitted on the rows of an "
                    "earlier snapshot; restore it from a copy, or build with --refit, which fits "
                    "anew into a new snapshot"
                ) from error
    return whole


def check_mended(
    before: Manifest, artifacts: Mapping[str, FileEntry], commits: list[Commit]
) -> None:
    """Raise DamageError unless what was computed again is what the snapshot names."""
    for name, entry in before["artifacts"].items():
        if artifacts.get(name) != entry:
            raise DamageError(
                f"artifact {name} was damaged and comes out different when fitted again; restore "
                f"{entry['name']} from a copy, or build with --refit into a new snapshot"
            )
    made = [commit["shard"] for commit in commits if commit["shard"] is not None]
    if made != before["shards"]:
        raise DamageError(
            "a shard was damaged and comes out different when computed again: "
            f"{pretty_json([made, before['shards']]).decode()[:2000]}"
        )
