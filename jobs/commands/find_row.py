"""Finds the one row of a snapshot that a key means: accepted, rejected or failed."""

import itertools
from collections.abc import Iterator
from typing import Final

from jobs.report.reading import index_rows, outcome_rows
from schemas.errors import SettingsError
from schemas.snapshot import Manifest
from schemas.store import Store

NEAREST: Final = 3


def find_row(store: Store, manifest: Manifest, key: str) -> tuple[str, str]:
    """The state and the id of the one row that ``key`` means.

    ``key`` is an id, the unique beginning of one, or the row's own id in its source. Raises
    SettingsError that names the nearest ids.
    """
    exact: list[tuple[str, str]] = []
    begins: list[tuple[str, str]] = []
    by_source: list[tuple[str, str]] = []
    near: list[tuple[int, str, str]] = []
    for state, name, source_id in _names(store, manifest):
        if name == key:
            exact.append((state, name))
        if name.startswith(key):
            begins = [*begins[: NEAREST + 1], (state, name)]
        if source_id and source_id == key:
            by_source = [*by_source[: NEAREST + 1], (state, name)]
        near = sorted([*near, (-_likeness(key, name), name, state)])[:NEAREST]
    for found in (exact, begins, by_source):
        if len(found) == 1:
            return found[0]
        if found:
            some = ", ".join(name for _, name in found[:NEAREST])
            raise SettingsError(f"'{key}' could be several rows ({some}, ...); give more of the id")
    hint = ", ".join(f"{name} ({state})" for _, name, state in near) or "none, it has no rows"
    raise SettingsError(
        f"{store.uri} v{manifest['version']} has no row '{key}'; the nearest: {hint}. "
        f"`voxmill inspect {store.uri}` lists the first keys"
    )


def _names(store: Store, manifest: Manifest) -> Iterator[tuple[str, str, str]]:
    accepted = (
        ("accepted", row["key"], row["source_id"])
        for row in index_rows(store, manifest, ["key", "source_id"])
    )
    others = (
        (state, row["id"], row["source_id"])
        for state, entry in (("rejected", manifest["rejected"]), ("failed", manifest["failed"]))
        for row in outcome_rows(store, entry, ["id", "source_id"])
    )
    return itertools.chain(accepted, others)


def _likeness(one: str, other: str) -> int:
    """Characters that the two share at their beginning and at their end."""
    pairs = (zip(one, other, strict=False), zip(one[::-1], other[::-1], strict=False))
    return sum(len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], p))) for p in pairs)
