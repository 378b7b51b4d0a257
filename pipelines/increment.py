"""An increment against its parent: whether anything may be carried, and the verdicts that stand."""

import logging
from collections.abc import Iterable, Iterator
from typing import Any

from pipelines.carry import Carry, rejudging
from pipelines.graph import PLANNED
from pipelines.outcome import each_outcome
from pipelines.plan import Plan
from pipelines.request import Planned
from schemas.errors import DamageError, StoreError
from schemas.snapshot import FileEntry, read_verified
from schemas.store import Store

logger = logging.getLogger(__name__)


def carry_of(planned: Planned, before: Plan | None, output: Store) -> Carry | None:
    """What a build may carry; None where it was asked for something else than its parent."""
    parent, pipeline = planned.parent, planned.request.pipeline
    if parent is None or before is None or planned.published or planned.request.refit:
        return None
    if parent["request"] != planned.asked:
        return None
    fits = pipeline.fits()
    if any(fit.name not in planned.pins for fit in fits if fit.pinned):
        return None
    if any(not set(step.reads.names) <= set(PLANNED.names) for step in rejudging(pipeline)):
        return None
    artifacts = {
        fit.name: parent["artifacts"][fit.name]
        for fit in fits
        if not fit.pinned and fit.name in parent["artifacts"]
    }
    try:
        for entry in (*artifacts.values(), parent["rejected"], parent["failed"]):
            read_verified(output, entry)
    except (DamageError, StoreError) as error:
        logger.warning("%s; every row is judged again", error)
        return None
    now = {item.name: item.ids for item in planned.plan.partitions}
    return Carry(
        partitions=frozenset(item.name for item in before.partitions),
        whole=frozenset(item.name for item in before.partitions if item.ids == now[item.name]),
        shards={entry["name"].rpartition("-")[0]: entry for entry in parent["shards"]},
        artifacts=artifacts,
        planned=frozenset(shard.name for shard in before.shards),
    )


def standing_outcomes(
    output: Store, entry: FileEntry, partitions: Iterable[str]
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The parent's rows of one outcome file, for each of ``partitions``, which are sorted.

    The file holds its partitions in the same order, so it is read once, as a stream.
    """
    rows: Iterator[Any] = each_outcome(output, entry)
    row = next(rows, None)
    for name in partitions:
        found: list[dict[str, Any]] = []
        while row is not None and row["partition"] <= name:
            if row["partition"] == name:
                found.append(row)
            row = next(rows, None)
        yield name, found
