"""The Ray engine: partition references through Ray Data's actor pools, a pool per kind of worker.

Only references and receipts travel: rows, audio and results stay in the stores. Ray restarts what
dies and repeats its task, which finds in the memo what was done; Ray's own checkpoints play no part.
"""

import logging
import pickle
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, Dataset
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pipelines.engines.engine import Listener
from pipelines.engines.host import Answer, light_beacon, settle
from pipelines.engines.pieces import Piece, check_names, pieces_of
from pipelines.engines.ray_cluster import MB, RayOptions, check_room, connect, pool_sizes
from pipelines.engines.ray_station import LEDGER_S, REPORT_S, ROW, Ledger, Station
from pipelines.task import Job, Receipt, Task
from schemas.errors import BackendError

logger = logging.getLogger(__name__)
IN_FLIGHT = 2  # tasks that a worker has: one in hand, one that waits for it
Size = tuple[int, int]  # workers at the start, most workers


class RayEngine:
    """Tasks over the workers of a Ray cluster; a row may take ``row_timeout_s`` in one step."""

    def __init__(
        self, job: Job, options: RayOptions, row_timeout_s: float, listener: Listener
    ) -> None:
        check_names(job.pipeline, options.pools)
        self._job, self._options, self._timeout_s = job, options, row_timeout_s
        self._listener = _Locked(listener)
        self._ours = connect(options)
        try:
            light_beacon(job)
            self._ref = ray.put(job)
            here = ray.get_runtime_context().get_node_id()
            # where the driver dies, the build does: the ledger need not survive it
            stays = NodeAffinitySchedulingStrategy(here, soft=False)
            self._ledger = Ledger.options(scheduling_strategy=stays).remote()
        except BaseException:
            self._disconnect()
            raise
        self._stage = 0
        self._over = threading.Event()
        self._pulse = threading.Thread(target=self._report, daemon=True, name="ray-progress")
        self._pulse.start()

    def run(self, tasks: Iterable[Task]) -> Iterator[Receipt]:
        rows = [
            {"number": number, "task": pickle.dumps(task), "answer": None}
            for number, task in enumerate(tasks)
        ]
        if not rows:
            return
        self._stage += 1
        pieces = pieces_of(self._job.pipeline, pickle.loads(rows[0]["task"]), self._options.pools)
        check_room(pieces, self._options)
        sizes = pool_sizes(pieces, self._options, len(rows))
        if sizes is None:  # the pools do not fit side by side: one after the other
            for piece in pieces[:-1]:
                alone = pool_sizes([piece], self._options, len(rows))
                rows = list(self._flow(rows, [piece], alone or [(1, 1)]))
            pieces = pieces[-1:]
            sizes = pool_sizes(pieces, self._options, len(rows)) or [(1, 1)]
        for row in self._flow(rows, pieces, sizes):
            answer: Answer = pickle.loads(row["answer"])
            receipt = settle(answer, self._listener)
            self._listener.finished()
            yield receipt

    def close(self) -> None:
        """Let go of the cluster: the workers of this build end, and what they were doing."""
        self._over.set()
        self._pulse.join()
        self._disconnect()

    def _disconnect(self) -> None:
        if self._ours:
            ray.shutdown()

    def _flow(
        self, rows: list[dict[str, Any]], pieces: list[Piece], sizes: list[Size]
    ) -> Iterator[dict[str, Any]]:
        """The rows as they come out of the last pool, in any order."""
        table = pa.Table.from_pylist(rows, schema=ROW)
        # a block is what a worker gets at once: one task
        data = ray.data.from_arrow([table.slice(row, 1) for row in range(len(rows))])
        for piece, size in zip(pieces, sizes, strict=True):
            data = self._through(data, piece, size)
        try:
            for batch in data.iter_batches(
                batch_size=1, batch_format="pyarrow", prefetch_batches=0
            ):
                yield from batch.to_pylist()
        except ray.exceptions.RayError as error:
            raise BackendError(
                f"Ray ended the work: {str(error).strip().splitlines()[-1]}; finished work is "
                "kept, run the same command to go on. Every machine of the cluster needs this "
                "very voxmill and its locked requirements"
            ) from error

    def _through(self, data: Dataset, piece: Piece, size: Size) -> Dataset:
        start, most = size
        return data.map_batches(
            Station,
            batch_size=1,
            batch_format="pyarrow",
            fn_constructor_args=(self._stage, piece, [self._ref], self._timeout_s, self._ledger),
            num_cpus=piece.needs.cpus,
            num_gpus=piece.needs.gpus or None,
            memory=piece.needs.memory_mb * MB,
            compute=ActorPoolStrategy(
                min_size=min(start, piece.min_workers or self._options.min_workers),
                initial_size=start,
                max_size=most,
                max_tasks_in_flight_per_actor=IN_FLIGHT,
            ),
        )

    def _report(self) -> None:
        """Tell the listener what tasks report that are still in hand."""
        while not self._over.wait(REPORT_S):
            try:
                rows = ray.get(self._ledger.take.remote(), timeout=LEDGER_S)
            except ray.exceptions.RayError as error:
                logger.debug("no progress from the cluster: %s", error)
                continue
            for step, count in rows.items():
                self._listener.rows(step, count)


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
