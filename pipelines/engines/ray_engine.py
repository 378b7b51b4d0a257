"""The Ray engine: references to tasks, over pools of Ray actors on one machine or many.

Only references and receipts travel: rows, audio and results stay in the stores. A task whose worker
is lost is repeated, and finds in the memo what was done. Ray's own checkpoints play no part.
"""

import logging
import pickle
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipelines.asking import asking_steps, num_threads
from pipelines.engines.clocks import Timeouts
from pipelines.engines.engine import Listener
from pipelines.engines.host import anchored, light_beacon, settle
from pipelines.engines.pieces import Piece, all_pieces, check_names, pieces_of
from pipelines.engines.ray_chain import chained
from pipelines.engines.ray_cluster import RayOptions, check_room, connect, pool_sizes
from pipelines.engines.ray_standing import StandingPool
from pipelines.engines.ray_station import LEDGER_S, REPORT_S, Ledger, Post
from pipelines.engines.ray_waiting import FIRST_S, Waiting
from pipelines.task import Job, Receipt, RunPartition, Task
from schemas.errors import LostWorkersError

logger = logging.getLogger(__name__)
GROUP = 4  # times the partitions that keep a model busy: what is asked for before it goes on
LOST = 12  # so often may one task lose its worker
Rows = Sequence[dict[str, Any]]


class RayEngine:
    """Tasks over the workers of a Ray cluster, each of which is watched: `Timeouts`."""

    def __init__(
        self, job: Job, options: RayOptions, timeouts: Timeouts, listener: Listener
    ) -> None:
        check_names(job.pipeline, options.pools)
        self._pipeline, self._options, self._timeouts = job.pipeline, options, timeouts
        self._listener = _Locked(listener)
        self._stage = 0
        self.num_workers = 1  # at most, at any time
        self._passed: str | None = None  # the fit step up to which all partitions have come
        self._standing: StandingPool | None = None
        self._chain: tuple[int, Sequence[Piece]] | None = None  # pools of Ray Data's
        self._waiting = Waiting(self._listener.note, min(options.wait_s, FIRST_S))
        self._over = threading.Event()
        self._pulse = threading.Thread(target=self._report, daemon=True, name="ray-progress")
        self._ours = connect(options)
        try:
            check_room(all_pieces(job.pipeline, options.pools), options, listener.note)
            light_beacon(job)
            self._job = ray.put(anchored(job))
            here = ray.get_runtime_context().get_node_id()
            # where the driver dies, the build does: the ledger need not survive it
            stays = NodeAffinitySchedulingStrategy(here, soft=False)
            ledger = ray.remote(num_cpus=0)(Ledger).options(scheduling_strategy=stays)
            self._ledger: Any = ledger.remote()
        except BaseException:
            self._disconnect()
            raise
        self._pulse.start()

    def run(self, tasks: Iterable[Task]) -> Iterator[Receipt]:
        todo = list(tasks)
        if not todo:
            return
        rows = [
            {"number": number, "task": pickle.dumps(task), "answer": None}
            for number, task in enumerate(todo)
        ]
        first = todo[0]
        pieces = pieces_of(self._pipeline, first, self._options.pools, self._passed)
        try:
            for row in self._through(rows, pieces, self._at_once(todo)):
                receipt = settle(pickle.loads(row["answer"]), self._listener)
                self._listener.finished()
                yield receipt
        except ray.exceptions.RayError as error:
            raise LostWorkersError(
                f"Ray ended the work: {str(error).strip().splitlines()[-1]}; finished work is kept,"
                " run the same command to go on. Every machine of the cluster needs this very "
                "voxmill and its locked requirements"
            ) from error
        if isinstance(first, RunPartition) and first.until is not None:
            self._passed = first.until

    def close(self) -> None:
        """Let go of the cluster: the workers of this build end, and what they were doing."""
        if self._over.is_set():
            return
        self._over.set()
        self._pulse.join()
        if self._standing is not None:
            self._standing.close()
        ray.kill(self._ledger)
        self._disconnect()

    def _disconnect(self) -> None:
        if self._ours:
            ray.shutdown()

    @property
    def asks_itself(self) -> bool:
        """Whether models are asked while other pools speak what was answered, and not before."""
        pieces = all_pieces(self._pipeline, self._options.pools)
        asking = any(piece.asking for piece in pieces)
        return asking and pool_sizes(pieces, self._options, len(pieces)) is not None

    def _at_once(self, todo: Sequence[Task]) -> int:
        """How many partitions a worker asks for at once: enough to keep its requests in flight."""
        first = todo[0]
        if not isinstance(first, RunPartition):
            return 1
        partitions = [task.partition for task in todo if isinstance(task, RunPartition)]
        steps = asking_steps(self._pipeline, first.until)
        return min(len(todo), GROUP * num_threads(steps, partitions)) if steps else 1

    def _through(
        self, rows: Rows, pieces: Sequence[Piece], at_once: int
    ) -> Iterator[dict[str, Any]]:
        """The rows through all pieces: side by side, or one by one where the cluster is small."""
        sizes = pool_sizes(pieces, self._options, len(rows))
        if len(pieces) > 1 and sizes is not None:
            self._stand_down()
            self.num_workers = max(self.num_workers, sum(size.most for size in sizes))
            post = self._post()
            self._chain = (post.stage, pieces)
            try:
                yield from chained(rows, pieces, sizes, post, at_once)
            finally:
                self._chain = None
            return
        for piece in pieces[:-1]:
            rows = list(self._alone(rows, piece))
        yield from self._alone(rows, pieces[-1])

    def _alone(self, rows: Rows, piece: Piece) -> Iterator[dict[str, Any]]:
        if self._standing is not None and self._standing.needs != piece.needs:
            self._stand_down()
        post = self._post()
        if self._standing is None:
            self._standing = StandingPool(piece.needs, self._options.wait_s, self._listener.note)
        sizes = pool_sizes([piece], self._options, len(rows))
        most = sizes[0].most if sizes else 1
        self.num_workers = max(self.num_workers, min(most, len(rows)))
        return self._standing.run(rows, piece, post, most)

    def _stand_down(self) -> None:
        if self._standing is not None:
            self._standing.close()
        self._standing = None

    def _post(self) -> Post:
        self._stage += 1
        return Post(self._stage, [self._job], self._timeouts, self._ledger, LOST)

    def _report(self) -> None:
        """Tell the listener what tasks report that are still in hand."""
        while not self._over.wait(REPORT_S):
            try:
                rows: dict[str, int] = ray.get(self._ledger.take.remote(), timeout=LEDGER_S)
                self._look_at_pools()
            except ray.exceptions.RayError as error:
                logger.debug("no progress from the cluster: %s", error)
                continue
            for step, count in rows.items():
                self._listener.rows(step, count)

    def _look_at_pools(self) -> None:
        """Ray Data waits silently for a pool that gets no place; a standing pool looks itself."""
        chain = self._chain
        if chain is None:
            self._waiting.look([])
            return
        stage, pieces = chain
        up: set[str] = ray.get(self._ledger.pools_up.remote(stage), timeout=LEDGER_S)
        self._waiting.look([(one.name, one.needs) for one in pieces if one.name not in up])


class _Locked:
    """A Listener that two threads may tell."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._lock = threading.Lock()

    def stage(self, name: str, total: int) -> None:
        with self._lock:
            self._listener.stage(name, total)

    def finished(self) -> None:
        with self._lock:
            self._listener.finished()

    def rows(self, step: str, count: int) -> None:
        with self._lock:
            self._listener.rows(step, count)

    def note(self, text: str) -> None:
        with self._lock:
            self._listener.note(text)
