"""What runs on a Ray cluster: the worker of a pool, and the ledger that counts what dies.

A worker is an actor of Ray Data's. It gets rows of (number, task, answer), does its piece of each
task in a hosted process, and passes the answer on. An error is an answer too: one that Ray saw
would end the whole job.
"""

import pickle
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import ray

from pipelines.engines.clocks import Timeouts
from pipelines.engines.host import Answer, Host
from pipelines.engines.pieces import Piece, joined
from pipelines.task import Task

ROW = pa.schema([("number", pa.int64()), ("task", pa.binary()), ("answer", pa.binary())])
Row = dict[str, Any]
REPORT_S = 2.0  # between reports of a task that takes long
LEDGER_S = 10.0  # that a worker waits for the ledger, which is no reason to stop


class Ledger:
    """An actor: how often each task was begun, and the rows that tasks in hand report."""

    def __init__(self) -> None:
        self._begun: Counter[tuple[int, str, int]] = Counter()
        self._up: set[tuple[int, str]] = set()
        self._rows: Counter[str] = Counter()

    def begin(self, key: tuple[int, str, int]) -> int:
        """Count one more beginning of a task; how many there were."""
        self._begun[key] += 1
        return self._begun[key]

    def up(self, stage: int, pool: str) -> None:
        """Take note that a pool of a stage has a worker."""
        self._up.add((stage, pool))

    def pools_up(self, stage: int) -> set[str]:
        """The pools of a stage that have, or had, a worker."""
        return {pool for at, pool in self._up if at == stage}

    def tell(self, rows: dict[str, int]) -> None:
        """Take note of rows that went through steps."""
        self._rows.update(rows)

    def take(self) -> dict[str, int]:
        """What was told since the last time."""
        rows, self._rows = dict(self._rows), Counter()
        return rows


@dataclass(frozen=True)
class Post:
    """What a worker is told beside its task; the stage makes a task's number unique."""

    stage: int
    job: list[Any]  # a reference, in a list or Ray would send the whole job with each call
    timeouts: Timeouts
    ledger: Any
    lost: int  # so often may one task lose its worker


class Station:
    """A worker of a pool. As an actor of its own it is told the piece with each task.

    Ray Data makes it for one piece, and calls it with a table of one task.
    """

    def __init__(self, piece: Piece, post: Post) -> None:
        self._piece, self._post = piece, post
        self._host: Host | None = None
        post.ledger.up.remote(post.stage, piece.name)

    def ready(self) -> None:
        """Answer, which says that the worker is up."""

    def __call__(self, rows: pa.Table) -> pa.Table:
        return pa.Table.from_pylist(self.do(rows.to_pylist(), self._piece, self._post), schema=ROW)

    def do(self, rows: list[Row], piece: Piece, post: Post) -> list[Row]:
        """Do a piece of the tasks of these rows; the rows with their answers.

        A piece that asks models takes many tasks at once, others are given one.
        """
        self._piece, self._post = piece, post
        good = [row for row in rows if _error_of(row) is None]
        if not good:
            return rows
        task = piece.of([pickle.loads(row["task"]) for row in good])
        answer = self._answer(good[0]["number"], task)
        done = [row for row in rows if row not in good]
        for row in good:
            done.append({**row, "answer": pickle.dumps(_after(row, answer))})
            if answer.receipt is not None:  # what was done for all counts once
                answer = Answer(receipt={})
        return done

    def _answer(self, number: int, task: Task) -> Answer:
        begun = self._begin(number)
        if begun > self._post.lost:
            text = (
                f"a task of {self._piece.name} lost its Ray worker {begun - 1} times, on "
                f"{socket.gethostname()} last; is there enough memory? Give its steps more "
                "(engine.ray.pools.STEP.memory_mb), so that fewer work on one machine"
            )
            return Answer(error=("error", "BackendError", text))
        if self._host is None:
            self._host = Host(ray.get(self._post.job[0]), self._post.timeouts)
        with self._reporting(self._host) as told:
            answer = self._host.run(task)
        rows = Counter(answer.rows)
        rows.subtract(told)
        notes = answer.notes
        if begun > 1:
            lost = f"a Ray worker was lost in {self._piece.name}; its task was done again"
            notes = (lost, *notes)
        return replace(answer, rows=dict(rows), notes=notes)

    def _begin(self, number: int) -> int:
        try:
            key = (self._post.stage, self._piece.name, number)
            begun: int = ray.get(self._post.ledger.begin.remote(key), timeout=LEDGER_S)
        except ray.exceptions.RayError:
            return 1  # lost with its machine, which is the driver's: so is the build
        return begun

    @contextmanager
    def _reporting(self, host: Host) -> Iterator[Counter[str]]:
        """Report the rows of a task in hand now and then; what was told is not told again."""
        told: Counter[str] = Counter()
        over = threading.Event()

        def report() -> None:
            while not over.wait(REPORT_S):
                new = Counter(host.rows_so_far())
                new.subtract(told)
                if any(new.values()):
                    told.update(new)
                    self._post.ledger.tell.remote(dict(new))

        reporter = threading.Thread(target=report, daemon=True)
        reporter.start()
        try:
            yield told
        finally:
            over.set()
            reporter.join()


def _error_of(row: Row) -> tuple[str, str, str] | None:
    before: Answer | None = None if row["answer"] is None else pickle.loads(row["answer"])
    return None if before is None else before.error


def _after(row: Row, answer: Answer) -> Answer:
    """The answer to a row that has one from an earlier piece: both together."""
    if row["answer"] is None:
        return answer
    before: Answer = pickle.loads(row["answer"])
    rows = Counter(before.rows)
    rows.update(answer.rows)
    notes = (*before.notes, *answer.notes)
    receipt = answer.receipt
    if receipt is not None and before.receipt is not None:
        receipt = joined(before.receipt, receipt)
    return replace(answer, receipt=receipt, rows=dict(rows), notes=notes)
