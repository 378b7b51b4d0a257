"""A build in which a chosen process dies by SIGKILL at chosen moments: the seam of the kill sweep.

A point is a moment of storing (before or after the n-th call of a method on a path under a prefix)
in the process that does the work, and a victim: that process itself (worker), the one that started
it (actor: Ray's or Beam's own worker), or the build's driver. Points travel to workers inside the
speech backends and arm each process in which they are unpickled. A token file makes each kill once.
"""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schemas.file_store import FileStore
from schemas.shard import ShardWriter
from transforms.backends.tts import Speaker, SpeechBackend, VoiceSpec

WORKER, ACTOR, DRIVER = "worker", "actor", "driver"


@dataclass(frozen=True)
class Point:
    """A moment, by name: when, method, prefix of the path, number of the call."""

    when: str  # before, after
    method: str  # of the store; or add (a sample to a shard), replace (a temporary by its file)
    prefix: str
    number: int


# what workers do between a first result and a committed shard
WORK: Final = (
    Point("after", "put", "memo/rewrite", 1),
    Point("before", "put", "memo/synthesize", 2),
    Point("after", "put", "memo/synthesize", 1),
    Point("before", "put", "artifacts/kmeans", 1),
    Point("after", "put", "artifacts/kmeans", 1),
    Point("after", "put", "memo/units", 1),
    Point("before", "add", "", 4),  # mid-shard: some samples are in the tar
    Point("before", "replace", "shards/", 1),  # mid-upload: the temporary is whole, or not
    Point("after", "put_file", "shards/", 1),  # between upload and commit
    Point("after", "put", "index/", 1),
    Point("before", "put_new", "commits/", 1),
    Point("after", "put_new", "commits/", 1),
)
# what the driver itself does: before workers start, and between the last commit and the pointer
DRIVING: Final = (
    Point("before", "put", "inputs/", 2),
    Point("before", "put_file", "rejected/", 1),
    Point("after", "put_file", "failed/", 1),
    Point("before", "put_new", "snapshots/", 1),  # between commit and snapshot
    Point("after", "put_new", "snapshots/", 1),
    Point("after", "put", "latest.json", 1),
)


@dataclass(frozen=True)
class Charge:
    """A point, whom it kills, and the token that says that it has."""

    point: Point
    victim: str
    token: str
    driver_pid: int

    def fire(self) -> None:
        """Kill, unless it was done before; the token is there before anybody dies."""
        try:
            os.close(os.open(self.token, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        if self.victim == ACTOR:
            os.kill(os.getppid(), signal.SIGKILL)
        elif self.victim == DRIVER:
            os.kill(self.driver_pid, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Armed:
    """A speech backend that speaks as the one inside, and arms the processes that unpickle it."""

    inner: SpeechBackend
    charges: tuple[Charge, ...] = ()

    @property
    def name(self) -> str:
        return self.inner.name

    def identity(self, voice: VoiceSpec) -> Mapping[str, object]:
        return self.inner.identity(voice)

    def check(self, voice: VoiceSpec) -> None:
        self.inner.check(voice)

    def open(self) -> AbstractContextManager[Speaker]:
        return self.inner.open()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        arm(self.charges)


_armed: set[Charge] = set()


def arm(charges: tuple[Charge, ...]) -> None:
    """From now on this process heeds the charges that are not spent."""
    for charge in charges:
        if charge not in _armed and not Path(charge.token).exists():
            _armed.add(charge)
            _arm(charge)


def _arm(charge: Charge) -> None:
    point = charge.point
    owner: Any = {"add": ShardWriter, "replace": os}.get(point.method, FileStore)
    real = getattr(owner, point.method)
    left = [point.number]

    @contextmanager
    def watched(hit: bool) -> Iterator[None]:
        left[0] -= hit
        now = hit and left[0] == 0
        if now and point.when == "before":
            charge.fire()
        yield
        if now and point.when == "after":
            charge.fire()

    def deadly(*given: Any, **more: Any) -> Any:  # noqa: ANN401 - any method's
        path = "" if point.method == "add" else str(given[1])
        inside = f"/{point.prefix}" in path if point.method == "replace" else False
        with watched(inside or path.startswith(point.prefix)):
            return real(*given, **more)

    setattr(owner, point.method, deadly)
