"""Many small requests at once, since each waits for the network, or for a disk to flush."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Protocol, TypeVar

from schemas.address import OBJECT_SCHEMES, scheme_of
from schemas.store import Store

WIDTH = 16  # requests under way
A = TypeVar("A")
B = TypeVar("B")


class Sink(Protocol):
    """What takes objects: a store, or one that is written behind."""

    def put(self, path: str, data: bytes | memoryview, *, sha256: str | None = None) -> None:
        """Write or replace the object, as a whole."""


def together(store: Store, ask: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """``ask`` of every item, in order; one by one in a folder, where reading waits for nothing."""
    if scheme_of(store.uri) not in OBJECT_SCHEMES:
        yield from map(ask, items)
        return
    with ThreadPoolExecutor(WIDTH) as pool:
        yield from pool.map(ask, items)


@contextmanager
def writing_behind(store: Store) -> Iterator[Sink]:
    """A sink whose puts may still be under way when they return; all are done when it closes.

    The error of a put comes at a later put or at the close. A folder gains too: one flush of the
    disk serves many files.
    """
    with ThreadPoolExecutor(WIDTH) as pool:
        behind = _Behind(store, pool)
        yield behind
        behind.drain(0)


class _Behind:
    """Puts in a pool, a few more than run at once, so that memory stays bounded."""

    def __init__(self, store: Store, pool: ThreadPoolExecutor) -> None:
        self._store, self._pool = store, pool
        self._running: set[Future[None]] = set()

    def put(self, path: str, data: bytes | memoryview, *, sha256: str | None = None) -> None:
        self.drain(2 * WIDTH)
        self._running.add(self._pool.submit(self._store.put, path, data, sha256=sha256))

    def drain(self, left: int) -> None:
        """Wait until at most ``left`` are under way; raises the error of one that failed."""
        while len(self._running) > left:
            done, self._running = wait(self._running, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
