"""The Beam engine: one portable Beam pipeline for each stage, on any runner.

References to tasks go in, through a reshuffle, and receipts come back by the work store, which is
the one place that the driver and the workers of every runner share: while a pipeline runs, where it
can be read, and when it ends. A task that left no receipt was not done, whatever a runner says.
"""

import logging
import pickle
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.pvalue import PCollection

from pipelines.engines.beam_harness import HarnessWatch
from pipelines.engines.beam_options import BeamOptions, unknown_flags
from pipelines.engines.beam_work import (
    NAMESPACE,
    DoPiece,
    MergeFit,
    Post,
    ReadTasks,
    end_hosts,
    finish_of,
    from_json,
    keep_hosts,
)
from pipelines.engines.clocks import Timeouts
from pipelines.engines.engine import Listener
from pipelines.engines.host import Answer, anchored, light_beacon, put_out_beacon, settle
from pipelines.engines.pieces import pieces_of
from pipelines.task import FinishFit, Job, Receipt, RunPartition, Task
from schemas.canonical import sha256_hex
from schemas.errors import BackendError, LostWorkersError
from schemas.store import open_store
from transforms.step import Resources

logger = logging.getLogger(__name__)
PACK = 256  # tasks in one file
POLL_S = 0.5  # between looks for receipts; longer where a look takes long
LOOK_SHARE = 10  # looking takes at most this part of the time: one tenth
END_S = 30.0  # that a pipeline which nobody wants any more is waited for
RESUME = "finished work is kept; run the same command again to go on"


class BeamEngine:
    """Tasks by Beam pipelines.

    ``metrics`` are the sums of Beam's counters, as far as the runner tells them.
    """

    def __init__(
        self, job: Job, options: BeamOptions, timeouts: Timeouts, listener: Listener
    ) -> None:
        self._job = job = anchored(job)
        self._options, self._timeouts = options, timeouts
        self._listener = listener
        self._work = open_store(job.work)
        self._stage = 0
        self._passed: str | None = None  # the fit step up to which all partitions have come
        self._run: _Run | None = None
        self.metrics: Counter[str] = Counter()
        for flag in unknown_flags(options.flags):
            listener.note(f"Beam's Python SDK does not know {flag}; it goes to the runner as it is")
        if options.in_process:
            keep_hosts(job)
        light_beacon(job)

    def run(self, tasks: Iterable[Task]) -> Iterator[Receipt]:
        todo = list(tasks)
        if not todo:
            return
        self._stage += 1
        post = Post(self._job, f"{self._job.scratch}/beam-{self._stage:04d}", self._timeouts)
        watch = HarnessWatch()
        with watch.watching():
            yield from self._receipts(post, todo, watch)
        if isinstance(todo[0], RunPartition) and todo[0].until is not None:
            self._passed = todo[0].until

    def _receipts(self, post: Post, todo: Sequence[Task], watch: HarnessWatch) -> Iterator[Receipt]:
        """Run the pipeline of a stage, and give the receipts as they come."""
        self._run = run = _Run(self._pipeline(post, todo))
        seen: set[str] = set()
        while True:
            if watch.lost() and not run.over.is_set():
                run.abandon(watch)
            over = run.over.is_set()  # before the look: what it finds then is all
            began = time.monotonic()
            for answer in self._look(post, seen):
                receipt = settle(answer, self._listener)
                self._listener.finished()
                yield receipt
            if over:
                break
            run.over.wait(max(POLL_S, LOOK_SHARE * (time.monotonic() - began)))
        self._check(len(todo) - len(seen), len(todo))

    def close(self) -> None:
        """Let the workers stop what they do, and wait a while for it."""
        put_out_beacon(self._job)
        if self._run is not None:
            self._run.cancel()
            if not self._run.over.wait(END_S):
                logger.warning(
                    "the Beam pipeline did not end within %g s of being told; see its runner", END_S
                )
        end_hosts(self._job)

    def _pipeline(self, post: Post, todo: Sequence[Task]) -> beam.Pipeline:
        options = self._options.parsed(len(todo))
        pipeline = beam.Pipeline(runner=self._options.runner, options=options)
        first = todo[0]
        chain = pieces_of(self._job.pipeline, first, {}, self._passed)
        pieces = [piece for piece in chain if not piece.asking]  # a stage of its own asked before
        if isinstance(first, FinishFit) and len(first.parts) > 1:
            (told,) = todo
            elements = self._merging(pipeline, post, first, pickle.dumps(told))
        else:
            elements = (
                pipeline
                | "name the tasks" >> beam.Create(self._packs(post, todo))
                | "read the tasks" >> beam.ParDo(ReadTasks(self._job))
            )
        for piece in pieces:
            last = piece is pieces[-1]
            elements = (
                elements
                | f"spread {piece.name}" >> beam.Reshuffle()
                | piece.name
                >> beam.ParDo(DoPiece(post, piece, last=last)).with_resource_hints(
                    **hints(piece.needs, self._options.accelerator)
                )
            )
        return pipeline

    def _packs(self, post: Post, todo: Sequence[Task]) -> list[tuple[str, str]]:
        """The tasks as files of the work store, by name and checksum.

        In the pipeline itself those of a large corpus would be more than a runner takes.
        """
        numbered = [(number, pickle.dumps(task)) for number, task in enumerate(todo)]
        entries = []
        for start in range(0, len(numbered), PACK):
            data = pickle.dumps(numbered[start : start + PACK])
            name = f"{post.folder}/tasks-{start:08d}.pickle"
            self._work.put(name, data)
            entries.append((name, sha256_hex(data)))
        return entries

    def _merging(
        self, pipeline: beam.Pipeline, post: Post, task: FinishFit, told: bytes
    ) -> "PCollection[Any]":
        """Partials through a CombineFn, to the one task that finalizes the artifact."""
        task_alone: PCollection[Any] = (
            pipeline
            | "name the partials" >> beam.Create(list(task.parts))
            | "spread the partials" >> beam.Reshuffle()
            | f"merge {task.fit}" >> beam.CombineGlobally(MergeFit(post, task.fit))
            | "to one task" >> beam.Map(finish_of, told)
        )
        return task_alone

    def _look(self, post: Post, seen: set[str]) -> Iterator[Answer]:
        """The answers that have come since the last look."""
        for name in self._work.list(f"{post.folder}/receipts"):
            if name not in seen:
                seen.add(name)
                yield from_json(self._work.get(name))

    def _check(self, missing: int, count: int) -> None:
        """Take the metrics of a pipeline that is over. Raises BackendError if it left work."""
        assert self._run is not None
        run, self._run = self._run, None
        runner = self._options.runner
        if missing and run.error is not None:
            cause = str(run.error).strip().splitlines()
            if missing == count and not (run.taken or self._options.local):
                raise BackendError(
                    f"Beam's {runner} did not take the pipeline: {type(run.error).__name__}: "
                    f"{cause[-1] if cause else 'no answer in time'}; see whether "
                    "what listens at the address that its options name is a server of Beam's, of "
                    "this version (--job_server_timeout: how long it may take to answer)"
                ) from run.error
            raise LostWorkersError(
                f"Beam's {runner} ended with {missing} of {count} tasks undone: "
                f"{type(run.error).__name__}: {cause[-1] if cause else 'no message'}. One of its "
                f"workers may have been killed, or cannot be reached; {RESUME}"
            ) from run.error
        if missing:
            raise BackendError(
                f"Beam's {runner} says that all is done ({run.state}), and {missing} of {count} "
                f"tasks left no receipt; {RESUME}, or take another runner"
            )
        if run.error is not None:  # all is done: what a runner says at the end changes nothing
            self._listener.note(f"Beam's {runner} ended with an error after the last task")
        self.metrics.update(run.metrics())
        logger.info("Beam metrics so far: %s", dict(sorted(self.metrics.items())))


class _Run:
    """A pipeline in a thread of its own: some runners return at once, others when all is done."""

    def __init__(self, pipeline: beam.Pipeline) -> None:
        self.over = threading.Event()
        self.error: Exception | None = None
        self._pipeline = pipeline
        self._result: Any = None
        threading.Thread(target=self._work, daemon=True, name="beam-pipeline").start()

    @property
    def taken(self) -> bool:
        """Whether the runner took the pipeline; one that runs it in this process says so last."""
        return self._result is not None

    @property
    def state(self) -> str:
        """As the runner calls it."""
        return str(getattr(self._result, "state", "UNKNOWN"))

    def _work(self) -> None:
        try:
            self._result = self._pipeline.run()
            self._result.wait_until_finish()
        except Exception as error:  # noqa: BLE001 - runners raise what they like; it is told
            self.error = self.error or error
        finally:
            self.over.set()

    def abandon(self, watch: HarnessWatch) -> None:
        """Wait no longer for a worker that is gone, as the runner would; end those that are left.

        The runner's own thread may stay until this process ends.
        """
        self.error = BackendError("a worker process of Beam's ended before its work was done")
        self.over.set()
        watch.end()

    def cancel(self) -> None:
        """Ask the runner to stop; those that cannot stop find the beacon out."""
        try:
            if self._result is not None and not self.over.is_set():
                self._result.cancel()
        except Exception as error:  # noqa: BLE001 - as above, and the build is over anyway
            logger.debug("the pipeline could not be canceled: %s", error)

    def metrics(self) -> dict[str, int]:
        """The counters of the namespace voxmill; none where the runner does not tell them."""
        try:
            found = self._result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))
        except Exception as error:  # noqa: BLE001 - as above; no metric is worth a build
            logger.debug("no metrics: %s", error)
            return {}
        return {item.key.metric.name: int(item.result or 0) for item in found["counters"]}


def hints(needs: Resources, accelerator: str | None) -> dict[str, str]:
    """Beam's resource hints for what a piece needs. A runner may pass over them."""
    told = {"min_ram": f"{needs.memory_mb}MB", "cpu_count": str(max(1, round(needs.cpus)))}
    if needs.gpus and accelerator:
        told["accelerator"] = accelerator
    return told
