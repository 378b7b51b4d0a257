"""What runs on Beam's workers: DoFns that do pieces of tasks, and the CombineFn of fit steps.

Elements are (number, pickled task, answers so far as JSON); audio never is in one. Each task's
answer is put into the work store as a receipt, under the task's number: a bundle that a runner
repeats, or runs twice at once, finds the receipt there, or fails to put a second one.
"""

import json
import pickle
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TypeAlias

import apache_beam as beam
from apache_beam.metrics.metric import Metrics

from pipelines.engines.clocks import Timeouts
from pipelines.engines.host import Answer, Host, burns, together
from pipelines.engines.pieces import Piece
from pipelines.memo import pack_bytes, unpack
from pipelines.task import FinishFit, Job, Task
from pipelines.worker import merge_parts
from schemas.canonical import sha256_hex
from schemas.errors import VoxmillError
from schemas.snapshot import FileEntry, read_verified
from schemas.store import Store, open_store
from transforms.step import Fit

Element: TypeAlias = tuple[int, bytes, str | None]
NAMESPACE = "voxmill"  # of the metrics
BEACON_S = 2.0  # between looks whether the driver still wants a task in hand
FAN_IN = 64  # partials that an accumulator refers to before it merges them
_kept: dict[str, list[Host]] = {}  # in a driver's own process: hosts that outlive a pipeline


@dataclass(frozen=True)
class Post:
    """What the DoFns of one pipeline are told; ``folder`` is in the work store."""

    job: Job
    folder: str
    timeouts: Timeouts

    def receipt(self, number: int) -> str:
        """Where the receipt of a task lies."""
        return f"{self.folder}/receipts/{number:08d}.json"


def keep_hosts(job: Job) -> None:
    """Let hosts of this process wait for the next pipeline of the job, steps opened."""
    _kept[job.scratch] = []


def end_hosts(job: Job) -> None:
    """End the hosts that wait, and let none wait any more."""
    for host in _kept.pop(job.scratch, []):
        host.close()


class ReadTasks(beam.DoFn):
    """From packs of tasks in the work store to tasks.

    A pack is only unpickled if it has the checksum that came with the pipeline.
    """

    def __init__(self, job: Job) -> None:
        self._job = job

    def process(self, entry: tuple[str, str]) -> Iterator[Element]:
        """The tasks of one pack."""
        named: FileEntry = {"name": entry[0], "sha256": entry[1]}
        pack: list[tuple[int, bytes]] = pickle.loads(
            read_verified(open_store(self._job.work), named)
        )
        for number, task in pack:
            yield number, task, None


class DoPiece(beam.DoFn):
    """Do a piece of each task in a hosted process; the ``last`` piece leaves the receipt."""

    def __init__(self, post: Post, piece: Piece, *, last: bool) -> None:
        self._post, self._piece, self._last = post, piece, last
        self._host: Host | None = None
        self._work: Store | None = None

    def setup(self) -> None:
        """Open the work store: here, in the worker's process, and not where Beam was told."""
        self._work = open_store(self._post.job.work)

    def process(self, element: Element) -> Iterator[Element]:
        """One piece of one task."""
        number, task, before = element
        assert self._work is not None
        receipt = self._post.receipt(number)
        if not burns(self._post.job) or self._work.size(receipt) is not None:
            return
        answer = self._answer(self._piece.of([pickle.loads(task)]))
        _count(answer)
        if before is not None:
            answer = together(from_json(before), answer)
        if not self._last and answer.error is None:
            yield number, task, to_json(answer)
        elif burns(self._post.job):  # or it would lie there for nobody
            self._work.put_new(receipt, to_json(answer).encode("utf-8"))

    def finish_bundle(self) -> None:
        """Let the host wait for the next piece, or the next pipeline, where it can."""
        waiting = _kept.get(self._post.job.scratch)
        if self._host is not None and waiting is not None:
            waiting.append(self._host)
            self._host = None

    def teardown(self) -> None:
        """End the host that no other DoFn of this process can have."""
        if self._host is not None:
            self._host.close()
            self._host = None

    def _answer(self, task: Task) -> Answer:
        if self._host is None:
            try:
                self._host = _kept.get(self._post.job.scratch, []).pop()
            except IndexError:
                self._host = Host(self._post.job, self._post.timeouts)
        with _wanted(self._post.job, self._host):
            return self._host.run(task)


class MergeFit(beam.CombineFn):
    """Merge the partials of a fit step. An accumulator is the paths of some partials.

    By reference, because a partial may have megabytes. What was merged is named by its content, so
    that a repeated bundle writes the same again.
    """

    def __init__(self, post: Post, fit: str) -> None:
        self._post, self._name = post, fit

    def create_accumulator(self) -> list[str]:
        """No partial."""
        return []

    def add_input(self, accumulator: list[str], part: str) -> list[str]:
        """One more partial."""
        return self._compact([*accumulator, part])

    def merge_accumulators(self, accumulators: Iterable[list[str]]) -> list[str]:
        """All partials of several accumulators."""
        paths: list[str] = []
        for accumulator in accumulators:
            paths = self._compact([*paths, *accumulator])
        return paths

    def compact(self, accumulator: list[str]) -> list[str]:
        """As one partial, before it travels: each worker merges what it holds."""
        return accumulator if len(accumulator) < 2 else [self._merged(accumulator)]

    def extract_output(self, accumulator: list[str]) -> tuple[str, ...]:
        """The paths of what is left to merge, sorted."""
        return tuple(sorted(accumulator))

    def _compact(self, paths: list[str]) -> list[str]:
        return paths if len(paths) < FAN_IN else [self._merged(paths)]

    def _merged(self, paths: list[str]) -> str:
        fit = self._post.job.pipeline.node(self._name)
        assert isinstance(fit, Fit)
        work = open_store(self._post.job.work)
        data = pack_bytes(merge_parts(fit, (unpack(work.get(path), path) for path in paths)))
        path = f"{self._post.folder}/merged-{fit.name}-{sha256_hex(data)[:32]}.pack"
        work.put(path, data)
        return path


def finish_of(parts: tuple[str, ...], task: bytes) -> Element:
    """The task that finalizes a fit step, with the partials that the CombineFn left."""
    told: FinishFit = pickle.loads(task)
    return 0, pickle.dumps(FinishFit(state=told.state, fit=told.fit, parts=parts)), None


def to_json(answer: Answer) -> str:
    """An answer as its receipt file holds it."""
    return json.dumps(asdict(answer))


def from_json(text: str | bytes) -> Answer:
    """The answer in a receipt file."""
    told = json.loads(text)
    error = told["error"]
    return Answer(
        receipt=told["receipt"],
        rows=told["rows"],
        notes=tuple(told["notes"]),
        error=None if error is None else (error[0], error[1], error[2]),
    )


def _count(answer: Answer) -> None:
    """Beam's metrics of a piece of a task: tasks, rows by step, seconds by step, errors."""
    Metrics.counter(NAMESPACE, "tasks").inc()
    if answer.error is not None:
        Metrics.counter(NAMESPACE, "errors").inc()
    for step, stats in (answer.receipt or {}).get("steps", {}).items():
        Metrics.counter(NAMESPACE, f"{step}.rows").inc(int(stats["rows"]))
        Metrics.counter(NAMESPACE, f"{step}.computed").inc(int(stats["computed"]))
        Metrics.distribution(NAMESPACE, f"{step}.busy_ms").update(round(1000 * stats["busy_s"]))


@contextmanager
def _wanted(job: Job, host: Host) -> Iterator[None]:
    """Stop a task in hand as soon as the driver's beacon is out: a runner may never tell."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(BEACON_S):
            try:
                if not burns(job):
                    host.stop()
                    return
            except VoxmillError:
                continue  # the store does not answer; what the task itself asks will say so

    watch = threading.Thread(target=look, daemon=True, name="beam-beacon")
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()
