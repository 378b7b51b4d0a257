"""The two tables of a partition: which rows live, how columns and utterances are put to them."""

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.graph import is_verdict, written
from schemas.columns import ERROR_SUFFIX, RowFailure, failure
from schemas.conformance import conform, plain
from transforms.step import Gather, Node

Tables = dict[str, pa.Table]


def live(table: pa.Table) -> pa.ChunkedArray:
    """A mask of the rows that no step has rejected or failed yet."""
    alive = pa.chunked_array([pa.array([True] * table.num_rows, pa.bool_())])
    for name in table.column_names:
        if is_verdict(name):
            column = table.column(name)
            good = (
                column.is_null()
                if name.endswith(ERROR_SUFFIX)
                else pc.equal(pc.fill_null(pc.list_value_length(column), 0), 0)
            )
            alive = pc.and_(alive, good)
    return alive


def conform_live(
    node: Node, table: pa.Table, alive: pa.ChunkedArray | None = None
) -> pa.RecordBatch:
    """The live rows of the columns that a node reads, checked; no other column is copied."""
    missing = [name for name in node.reads.names if name not in table.column_names]
    shown = table if missing else table.select(node.reads.names)
    alive = live(table) if alive is None else alive
    if not pc.all(alive, min_count=0).as_py():  # filtering copies, audio too
        shown = shown.filter(alive)
    return conform(node.name, shown, node.reads)


def gather(node: Gather, conversations: pa.Table, utterances: pa.Table) -> pa.Table:
    """Nest utterances under their conversation; its first failed utterance fails it."""
    errors = _first_errors(utterances)
    nested: dict[str, list[dict[str, object]]] = {}
    failed: dict[str, RowFailure] = {}
    ids = utterances.column("id").to_pylist()
    for key, row, error in zip(
        ids, utterances.select(node.reads.names).to_pylist(), errors, strict=True
    ):
        nested.setdefault(key, []).append(row)
        if error is not None:
            failed.setdefault(key, error)
    column, error_column = written(node)
    keys = conversations.column("id").to_pylist()
    return conversations.append_column(
        column, pa.array([nested.get(key, []) for key in keys], column.type)
    ).append_column(error_column, pa.array([failed.get(key) for key in keys], error_column.type))


def nullable(table: pa.Table) -> pa.Table:
    """Without nullability and metadata: dead rows hold nulls, and packs are compared by type."""
    return pa.Table.from_arrays(table.columns, schema=plain(table.schema))


def scattered(
    table: pa.Table,
    alive: pa.ChunkedArray,
    results: pa.Table,
    positions: list[int | None],
    columns: pa.Schema,
    step: str,
) -> pa.Table:
    """Add the results to their rows; rows without one hold nulls.

    ``positions`` has, for each live row in order, its row in ``results``, or None for a row that
    was only looked for: it fails as NotComputed, so that no later step is shown its nulls.
    """
    remaining = iter(positions)
    rows = [next(remaining) if good else None for good in alive.to_pylist()]
    taken = results.select(columns.names).take(pa.array(rows, pa.int64()))
    for item in columns:
        column = taken.column(item.name)
        if item.name == step + ERROR_SUFFIX and None in positions:
            absent = failure(step, "NotComputed", "", retryable=True)
            values = [
                absent if good and row is None else value
                for good, row, value in zip(
                    alive.to_pylist(), rows, column.to_pylist(), strict=True
                )
            ]
            column = pa.array(values, item.type)
        replaced = table.schema.get_field_index(item.name)
        if replaced >= 0:  # the graph has checked that the step may
            old = table.column(replaced)
            column = pc.if_else(alive, column, old)  # dead rows keep what they had
            table = table.set_column(replaced, pa.field(item.name, item.type), column)
        else:
            table = table.append_column(pa.field(item.name, item.type), column)
    return table


def _first_errors(table: pa.Table) -> list[RowFailure | None]:
    found: list[RowFailure | None] = [None] * table.num_rows
    for name in table.column_names:
        if name.endswith(ERROR_SUFFIX):
            for row, error in enumerate(table.column(name).to_pylist()):
                if found[row] is None:
                    found[row] = error
    return found
