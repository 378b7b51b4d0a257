"""Builds of the shipped sample rows on any engine, and what two of them must have in common."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from schemas.canonical import sha256_hex
from schemas.store import Store, StoreAddress, open_store
from tests.jobs.small import voxmill
from tests.pipelines.corpora import FAST, JOB, NUM_ROWS

ON_CLUSTER = ("--engine", "ray", "--workers", "2")  # this process is connected to it already
PATIENCE_S = 240.0


@dataclass(frozen=True)
class Corpus:
    """A built corpus: the last line of the command, and the shards that lie there."""

    line: dict[str, Any]
    shards: dict[str, str]
    notes: str

    @property
    def published(self) -> tuple[str, dict[str, str]]:
        """What any two builds of one job have in common: identity, and shard bytes."""
        return self.line["identity"], self.shards


def arguments(output: Path | str, *options: str) -> list[str]:
    """The command of a fast build; later options win."""
    changes = [word for change in FAST for word in ("--set", change)]
    words = ["build", str(JOB), "--output", str(output), "--json", "--limit", str(NUM_ROWS)]
    return [*words, *changes, *options]


def command(output: Path | str, *options: str) -> list[str]:
    """The same as a process of its own."""
    return [sys.executable, "-m", "jobs.cli", *arguments(output, *options)]


def build_in(output: Path | StoreAddress, *options: str) -> Corpus:
    """Build in this process, assert that it went well."""
    if isinstance(output, StoreAddress):
        address, place = output, output.uri
        told = output.options
        options = (
            *("--set", f"output.store.endpoint={told.endpoint}"),
            *("--set", f"output.store.region={told.region}"),
            *options,
        )
    else:
        address, place = StoreAddress(str(output)), str(output)
    done = voxmill(*arguments(place, *options))
    assert done.code == 0, done.err
    return Corpus(done.last_json, shards(open_store(address)), done.err)


def shards(store: Store) -> dict[str, str]:
    """Name and sha256 of every shard that lies there."""
    return {path: sha256_hex(store.get(path)) for path in store.list("shards")}


def stations() -> list[psutil.Process]:
    """The processes of this machine in which Ray runs our workers."""
    return _found(lambda words: words.startswith("ray::Station"))


def hosted(of: psutil.Process) -> list[psutil.Process]:
    """The processes that a worker of another engine hosts."""
    return [item for item in of.children() if "spawn_main" in " ".join(item.cmdline())]


def until(is_so: Callable[[], Any], what: str = "it does not come") -> None:
    """Wait for something, with patience."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def _found(wanted: Callable[[str], bool]) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if wanted(" ".join(process.info["cmdline"] or [])):
            found.append(process)
    return found
