"""One pool on Ray that stands as long as the build needs no other.

Ray Data makes a pool for each pass and ends it with the pass, which takes seconds each time, and it
repeats a task at the worker that is to be restarted. Where all steps can be done by one kind of
worker, which is the common job, the workers of this pool stay, and a task whose worker died goes to
the next one that is free (docs/adr/0050).
"""

import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError

from pipelines.engines.pieces import Piece
from pipelines.engines.ray_cluster import MB
from pipelines.engines.ray_station import Post, Row, Station
from pipelines.engines.ray_waiting import FIRST_S, Waiting
from schemas.errors import BackendError, OpeningError
from transforms.step import Resources

POLL_S = 1.0
STILLBORN = 3  # times the workers: so many in a row may die before they are ready
Actor = Any  # Ray's handles and references have no types worth the name
Ref = Any


class StandingPool:
    """Actors of one kind, and what each is doing. Closing kills them."""

    def __init__(
        self,
        needs: Resources,
        wait_s: float = 30.0,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        """``note`` is told, now and then, where no worker gets a place for ``wait_s``."""
        self.needs = needs
        self._note, self._waiting = note, Waiting(note, min(wait_s, FIRST_S))
        self._starting: dict[Ref, Actor] = {}
        self._idle: list[Actor] = []
        self._busy: dict[Ref, tuple[Actor, Row]] = {}
        self._stillborn = 0

    def run(self, rows: Iterable[Row], piece: Piece, post: Post, size: int) -> Iterator[Row]:
        """The rows with their answers, in any order, from at most ``size`` workers."""
        waiting = deque(rows)
        moved: set[int] = set()
        while waiting or self._busy:
            wanted = min(size, len(waiting) + len(self._busy))
            while len(self._starting) + len(self._idle) + len(self._busy) < wanted:
                actor = self._start(piece, post)
                self._starting[actor.ready.remote()] = actor
            while waiting and self._idle and len(self._busy) < size:
                actor, row = self._idle.pop(), waiting.popleft()
                self._busy[actor.do.remote([row], piece, post)] = (actor, row)
            refs = [*self._busy, *self._starting]
            ready, _ = ray.wait(refs, num_returns=1, timeout=POLL_S)
            going = ready or self._busy or self._idle
            self._waiting.look([] if going else [(piece.name, self.needs)])
            for ref in ready:
                if ref in self._starting:
                    self._greet(ref, wanted)
                else:
                    actor, row = self._busy.pop(ref)
                    done = self._received(ref, actor)
                    if done is None:
                        waiting.appendleft(row)
                    elif _did_not_open(done) and row["number"] not in moved:
                        moved.add(row["number"])
                        waiting.appendleft(row)
                        self._replace(actor)
                    else:
                        yield done

    def close(self) -> None:
        """Kill the workers: whatever they finished is in the store."""
        for actor in (*self._starting.values(), *self._idle, *(a for a, _ in self._busy.values())):
            ray.kill(actor)
        self._starting, self._idle, self._busy = {}, [], {}

    def _replace(self, actor: Actor) -> None:
        """End a worker that could not open what it needs; the next may get a better machine."""
        self._note("a Ray worker could not open what it needs; its task goes to another")
        self._idle.remove(actor)
        ray.kill(actor)

    def _start(self, piece: Piece, post: Post) -> Actor:
        options = {"max_restarts": 0, "max_task_retries": 0, "scheduling_strategy": "SPREAD"}
        needs = {
            "num_cpus": self.needs.cpus,
            "num_gpus": self.needs.gpus,
            "memory": self.needs.memory_mb * MB,
        }
        return ray.remote(Station).options(**options, **needs).remote(piece, post)

    def _greet(self, ref: Ref, wanted: int) -> None:
        actor = self._starting.pop(ref)
        try:
            ray.get(ref)
        except RayActorError as error:
            self._stillborn += 1
            if self._stillborn >= STILLBORN * wanted:
                raise BackendError(
                    f"Ray workers die before they do anything: {error}; every machine of the "
                    "cluster needs this very voxmill and its locked requirements"
                ) from error
            return
        self._stillborn = 0
        self._idle.append(actor)

    def _received(self, ref: Ref, actor: Actor) -> Row | None:
        """A worker's answer; None if it died or cannot be reached: its task is to be repeated."""
        try:
            rows: Any = ray.get(ref)
        except (ActorDiedError, ActorUnavailableError):
            ray.kill(actor)
            return None
        self._idle.append(actor)
        done: Row = rows[0]
        return done


def _did_not_open(done: Row) -> bool:
    """Whether the worker's own processes waited in vain for something to open."""
    answer = pickle.loads(done["answer"]) if done.get("answer") else None
    return bool(answer and answer.error and answer.error[1] == OpeningError.__name__)
