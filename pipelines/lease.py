"""A running build's sign of life on its output, so that nothing of it is taken for garbage.

A build that begins and a `clean` that deletes see each other: each first writes its own mark and
then looks for the other's. If both see both, the removal gives way and the build goes on.
"""

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from schemas.canonical import pretty_json
from schemas.errors import StoreError
from schemas.snapshot import FileEntry
from schemas.store import Store

logger = logging.getLogger(__name__)
FOLDER = "running"
CLEANING = "cleaning"
BEAT_S = 10.0
POLL_S = 0.5
LIVE_S = 300.0  # a sign of life that is older belongs to a build that died


@dataclass(frozen=True)
class Lease:
    """One running build, as its output shows it. Times are of the store's clock."""

    path: str
    build_id: str
    scratch: str  # its folder in the work store
    plan: FileEntry | None  # None: it has only begun to plan, and what it needs is not known yet
    artifacts: Mapping[str, FileEntry]  # that it took from its parent
    started_s: float
    seen_s: float
    status: Mapping[str, Any] = field(default_factory=dict)  # pipelines/telemetry.py


@contextmanager
def holding(
    store: Store,
    build_id: str,
    scratch: str,
    plan: FileEntry | None,
    artifacts: Mapping[str, FileEntry],
    beat_s: float = BEAT_S,
    status: Callable[[], Mapping[str, object]] = dict,
) -> Iterator[None]:
    """Show that a build runs, until the block ends. A killed one stops showing it by itself.

    ``status`` is written with every beat. A beat that cannot be written costs a warning.
    """
    path = f"{FOLDER}/{scratch.rpartition('/')[2]}.json"
    record: dict[str, object] = {
        "build_id": build_id,
        "scratch": scratch,
        "plan": plan,
        "artifacts": dict(artifacts),
    }
    store.put(path, pretty_json({**record, "started_s": None}))
    meta = store.head(path)
    record["started_s"] = None if meta is None else meta.modified_s
    store.put(path, pretty_json(record))
    while is_being_cleaned(store, path):
        time.sleep(POLL_S)
        store.put(path, pretty_json(record))
    done = threading.Event()

    def beat() -> None:
        while not done.wait(beat_s):
            try:
                store.put(path, pretty_json({**record, "status": status()}))
            except Exception as error:  # noqa: BLE001 - silence would make the build garbage
                logger.warning("a sign of life could not be written: %s", error)

    thread = threading.Thread(target=beat, daemon=True, name="voxmill-lease")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        try:
            store.delete_many([path])
        except StoreError as error:
            logger.warning("%s; `voxmill clean` will remove it", error)


def is_being_cleaned(store: Store, mark: str) -> bool:
    """Whether a removal is under way. ``mark`` was just written, which tells the store's time."""
    marks = list(store.scan(CLEANING))
    now = store.head(mark) if marks else None
    return now is not None and any(now.modified_s - item.modified_s <= LIVE_S for item in marks)


@contextmanager
def cleaning(store: Store) -> Iterator[Callable[[], None]]:
    """Hold back builds that begin, until the block ends; what it gives renews that.

    A removal that is killed holds them back for LIVE_S.
    """
    path = f"{CLEANING}/{secrets.token_hex(8)}.json"

    def mark() -> None:
        store.put(path, b"{}\n")

    mark()
    try:
        yield mark
    finally:
        store.delete(path)


@contextmanager
def planning(store: Store) -> Iterator[None]:
    """Show that a build is being planned: its id and its plan are not known yet."""
    nobody = "0" * 24
    with holding(store, nobody, f"builds/{nobody}-{secrets.token_hex(4)}", None, {}):
        yield


def leases(store: Store) -> list[Lease]:
    """All of them, dead ones too; what cannot be read is none."""
    found = []
    for meta in store.scan(FOLDER):
        try:
            value = json.loads(store.get(meta.path))
            started_s = value["started_s"]
            found.append(
                Lease(
                    meta.path,
                    value["build_id"],
                    value["scratch"],
                    value["plan"],
                    value["artifacts"],
                    meta.modified_s if started_s is None else float(started_s),
                    meta.modified_s,
                    value.get("status", {}),
                )
            )
        except (ValueError, KeyError, TypeError, StoreError):  # torn, or ended meanwhile
            continue
    return found
