"""Runs the nodes of a pipeline over one partition, taking from the memo what it holds."""

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from contextlib import ExitStack
from functools import partial
from threading import Lock

import pyarrow as pa

from pipelines.graph import CONVERSATIONS, UTTERANCES, Pipeline, written
from pipelines.health import cause_of
from pipelines.memo import KEY, Memo, row_keys
from pipelines.tables import Tables, conform_live, gather, live, nullable, scattered
from pipelines.watch import Opening, StepStats, Watch, unwatched
from schemas.columns import ERROR_SUFFIX, RowFailure, failure
from schemas.conformance import check_conformance, plain
from schemas.errors import RowError, SchemaError, VoxmillError
from transforms.asks import AskFn, Asks, AsksSpeech, SendFn
from transforms.backends.chat.desk import Desk, MemoryDesk
from transforms.backends.chat.office import Office
from transforms.step import Artifacts, BatchFn, Explode, Gather, SomeRowsFailed, Step

logger = logging.getLogger(__name__)


class Evaluator:
    """A worker's view of a pipeline: steps are opened once, when first needed."""

    def __init__(
        self,
        pipeline: Pipeline,
        memo: Memo | None,
        fingerprints: Mapping[str, str],
        artifacts: Artifacts,
        *,
        generation: int = 0,
        compute: bool = True,
        desk: Callable[[str], Desk] = lambda partition: MemoryDesk(),
        row_attempts: int = 1,
        opening: Opening = unwatched,
    ) -> None:
        self.pipeline = pipeline
        self.memo = memo
        self.fingerprints = fingerprints
        self.artifacts = artifacts
        self.generation = generation
        self.compute = compute
        self.desk = desk
        self.row_attempts = row_attempts
        self.opening = opening
        self._open: dict[str, BatchFn] = {}
        self._asking: dict[str, AskFn] = {}
        self._sending: dict[str, SendFn] = {}
        self._office: Office | None = None
        self._lock = Lock()  # the partitions of an asking task are evaluated by several threads
        self._stack = ExitStack()

    def close(self) -> None:
        """Close the opened steps. Nothing is flushed here: what is done is kept already."""
        self._open.clear()
        self._asking.clear()
        self._sending.clear()
        self._office = None
        self._stack.close()

    def evaluate(
        self, rows: pa.Table, partition: str, until: str | None, watch: Watch | None = None
    ) -> tuple[Tables, dict[str, StepStats]]:
        """Both tables after the nodes before ``until`` (all of them if None), and what was done."""
        watch = watch or Watch()
        tables: Tables = {CONVERSATIONS: rows}
        stats: dict[str, StepStats] = {}
        for node in self.pipeline.nodes:
            if node.name == until:
                break
            if isinstance(node, Step):
                stats[node.name] = StepStats()
                table = tables[node.table]
                tables[node.table] = self._step(node, table, partition, watch, stats[node.name])
            elif isinstance(node, Explode):
                table = tables[CONVERSATIONS]
                tables[UTTERANCES] = self._explode(node, table, partition, watch)
            elif isinstance(node, Gather):
                tables[CONVERSATIONS] = gather(node, tables[CONVERSATIONS], tables[UTTERANCES])
        return tables, stats

    def _batch_fn(self, node: Step | Explode, partition: str) -> BatchFn:
        with self._lock:
            if isinstance(node, Asks):
                return partial(self._ask_fn(node), desk=self.desk(partition))
            if node.name not in self._open:
                context = (
                    node.open({name: self.artifacts[name] for name in node.uses})
                    if isinstance(node, Step)
                    else node.open()
                )
                with self.opening(node.name):
                    self._open[node.name] = self._stack.enter_context(context)
            return self._open[node.name]

    def _ask_fn(self, step: Asks) -> AskFn:
        if step.name not in self._asking:
            context = step.open_asking(self._the_office())
            with self.opening(step.name):
                self._asking[step.name] = self._stack.enter_context(context)
        return self._asking[step.name]

    def _the_office(self) -> Office:
        """Steps that ask share one office, and with it their models."""
        if self._office is None:
            self._office = Office(self.opening)
            self._stack.callback(self._office.close)
        return self._office

    def _send(self, step: AsksSpeech, batch: pa.RecordBatch, partition: str) -> None:
        """Send the requests of some rows; their replies are kept at the partition's desk."""
        with self._lock:
            if step.name not in self._sending:
                context = step.open_ahead(self._the_office())
                with self.opening(step.name):
                    self._sending[step.name] = self._stack.enter_context(context)
        self._sending[step.name](batch, self.desk(partition))

    def _explode(self, node: Explode, table: pa.Table, partition: str, watch: Watch) -> pa.Table:
        batch = conform_live(node, table)
        run = self._batch_fn(node, partition)
        watch.entering(node.name, "")
        result = run(batch)
        watch.left()
        check_conformance(node.name, "writes", result, node.writes)
        return pa.Table.from_batches([result])

    def _step(
        self, step: Step, table: pa.Table, partition: str, watch: Watch, stats: StepStats
    ) -> pa.Table:
        alive = live(table)
        batch = conform_live(step, table, alive)
        stats.rows = batch.num_rows
        columns = pa.schema(written(step))
        named = step.memo or watch.solo or watch.poison
        keys = row_keys(batch) if named else [""] * batch.num_rows
        if not step.memo or self.memo is None:
            results = self._compute(step, batch, keys, partition, watch, stats)
            positions: list[int | None] = list(range(batch.num_rows))
        else:
            kept = plain(pa.schema([KEY, *columns]))
            fingerprint = self.fingerprints[step.name]
            found = self.memo.lookup(step.name, fingerprint, partition, kept, self.generation)
            new = _first_positions(keys, found.rows)
            parts = [found.table]
            compute = self.compute and not (watch.ahead and step.table == UTTERANCES)
            if watch.ahead and new and isinstance(step, AsksSpeech):
                self._send(step, batch.take(pa.array(new)), partition)
                watch.done(step.name, len(new))
            if compute and new:
                for chunk in [[row] for row in new] if watch.solo else [new]:
                    made = self._compute(
                        step,
                        batch.take(pa.array(chunk)),
                        [keys[row] for row in chunk],
                        partition,
                        watch,
                        stats,
                    ).add_column(0, KEY.name, pa.array([keys[row] for row in chunk], pa.string()))
                    if step.first_counts:
                        made = self.memo.put_first(
                            step.name, fingerprint, partition, made, self.generation
                        )
                    else:
                        self.memo.put(step.name, fingerprint, partition, made)
                    parts.append(made)
            else:
                stats.missing = sum(key not in found.rows for key in keys)
            results = pa.concat_tables(parts)
            rows = dict(found.rows)
            if compute:
                rows |= {keys[row]: found.table.num_rows + n for n, row in enumerate(new)}
            positions = [rows.get(key) for key in keys]
        return scattered(table, alive, results, positions, columns, step.name)

    def _compute(
        self,
        step: Step,
        batch: pa.RecordBatch,
        keys: list[str],
        partition: str,
        watch: Watch,
        stats: StepStats,
    ) -> pa.Table:
        started = time.perf_counter()
        columns = pa.schema(written(step))
        size = 1 if watch.solo else max(1, step.resources.batch_rows)
        parts = []
        if batch.num_rows:
            self._batch_fn(step, partition)  # loading is no row's time
        for start in range(0, batch.num_rows, size):
            piece = batch.slice(start, size)
            names = keys[start : start + size]
            poisoned = [watch.poison.get((step.name, name)) for name in names]
            # What waits for a server has limits of its own; to find a killer, all are watched.
            waits = isinstance(step, Asks) and (step.server_times_rows or watch.ahead)
            if watch.solo or not waits:
                watch.entering(step.name, names[0] if len(names) == 1 else "")
            if any(poisoned):
                parts += [
                    self._poisoned(step, columns, poison)
                    if poison
                    else self._guarded(step, piece.slice(n, 1), columns, partition, stats)
                    for n, poison in enumerate(poisoned)
                ]
            else:
                parts.append(self._guarded(step, piece, columns, partition, stats))
            if step.memo:
                watch.done(step.name, len(names))
            else:
                watch.left()
        for part in parts:
            errors = part.column(step.name + ERROR_SUFFIX).drop_null().to_pylist()
            stats.failed += len(errors)
            stats.causes.update(cause_of(item["error_class"], item["message"]) for item in errors)
        stats.computed += batch.num_rows
        stats.busy_s += time.perf_counter() - started
        return pa.concat_tables(parts) if parts else plain(columns).empty_table()

    def _guarded(
        self,
        step: Step,
        piece: pa.RecordBatch,
        columns: pa.Schema,
        partition: str,
        stats: StepStats,
        attempt: int = 1,
    ) -> pa.Table:
        """The step over some rows; where it raises, over each alone, so that one row fails.

        A row alone is tried ``row_attempts`` times, if another time might help.
        """
        run = self._batch_fn(step, partition)
        try:
            result = run(piece)
        except SomeRowsFailed as failed:
            rows = []
            for n, row in enumerate(failed.rows):
                if not isinstance(row, RowError):
                    rows.append(self._checked(step, columns, row, 1))
                elif row.retryable and attempt < self.row_attempts:
                    stats.retried += 1
                    one = piece.slice(n, 1)
                    rows.append(self._guarded(step, one, columns, partition, stats, attempt + 1))
                else:
                    rows.append(self._failed(step, columns, row))
            return pa.concat_tables(rows)
        except Exception as error:  # a row becomes an error value
            if isinstance(error, VoxmillError) and not isinstance(error, RowError):
                raise
            if isinstance(error, CancelledError):  # the office closed: no row's doing
                raise
            if piece.num_rows > 1:
                rows = [
                    self._guarded(step, piece.slice(n, 1), columns, partition, stats)
                    for n in range(piece.num_rows)
                ]
                return pa.concat_tables(rows)
            retryable = error.retryable if isinstance(error, RowError) else True
            if retryable and attempt < self.row_attempts:
                stats.retried += 1
                return self._guarded(step, piece, columns, partition, stats, attempt + 1)
            logger.debug("%s: a row failed", step.name, exc_info=True)
            return self._failed(step, columns, error)
        return self._checked(step, columns, result, piece.num_rows)

    def _failed(self, step: Step, columns: pa.Schema, error: Exception) -> pa.Table:
        return _failed(
            step,
            columns,
            failure(
                step.name,
                type(error).__name__,
                str(error)[:500],
                retryable=error.retryable if isinstance(error, RowError) else True,
                generation=self.generation,
            ),
        )

    def _checked(
        self, step: Step, columns: pa.Schema, result: pa.RecordBatch, num_rows: int
    ) -> pa.Table:
        """What a step returned, if it is what it declares."""
        if result.num_rows != num_rows:
            raise SchemaError(
                f"{step.name} got {num_rows} rows and returned {result.num_rows}; a step "
                "returns the same rows in the same order"
            )
        check_conformance(step.name, "writes", result, step.writes)
        table = pa.Table.from_batches([result])
        for item in columns:
            if item.name not in table.column_names:
                table = table.append_column(item, pa.nulls(table.num_rows, item.type))
        table = nullable(table.select(columns.names))
        own_errors = step.name + ERROR_SUFFIX in step.writes.names
        return _dated(table, step, self.generation) if own_errors else table

    def _poisoned(self, step: Step, columns: pa.Schema, poison: tuple[str, str]) -> pa.Table:
        return _failed(
            step,
            columns,
            failure(step.name, poison[0], poison[1], retryable=True, generation=self.generation),
        )


def _first_positions(keys: list[str], known: Mapping[str, int]) -> list[int]:
    """The rows to compute: one per key that is not known."""
    seen: set[str] = set()
    new = []
    for row, key in enumerate(keys):
        if key not in known and key not in seen:
            seen.add(key)
            new.append(row)
    return new


def _dated(table: pa.Table, step: Step, generation: int) -> pa.Table:
    """The errors that a step wrote itself, with the generation that it does not know."""
    name = step.name + ERROR_SUFFIX
    column = table.column(name)
    errors = [error and {**error, "generation": generation} for error in column.to_pylist()]
    place = table.column_names.index(name)
    return table.set_column(place, name, pa.array(errors, column.type))


def _failed(step: Step, columns: pa.Schema, error: RowFailure) -> pa.Table:
    return pa.table(
        [
            pa.array([error if item.name == step.name + ERROR_SUFFIX else None], item.type)
            for item in columns
        ],
        schema=plain(columns),
    )
