"""The conformance check: is a table what its schema declares?"""

import pyarrow as pa

from schemas.errors import SchemaError


def check_conformance(step: str, direction: str, data: pa.RecordBatch, wanted: pa.Schema) -> None:
    """Raise SchemaError unless ``data`` has exactly the columns of ``wanted``, in order.

    The message names the step, the column, what was expected and what was found.
    """
    if data.schema.names != wanted.names:
        raise SchemaError(
            f"{step} {direction} the columns {data.schema.names}; expected {wanted.names}"
        )
    for column, spec in zip(data.columns, wanted, strict=True):
        if column.type != spec.type:
            raise SchemaError(
                f"{step} {direction} column '{spec.name}': expected {spec.type}, "
                f"found {column.type}"
            )
        if not spec.nullable and column.null_count:
            raise SchemaError(
                f"{step} {direction} column '{spec.name}': expected no nulls, "
                f"found {column.null_count} in {len(column)} rows"
            )


def conform(step: str, table: pa.Table, wanted: pa.Schema) -> pa.RecordBatch:
    """The columns of ``wanted`` from ``table`` as one batch, checked.

    Raises SchemaError, naming the step and the column, if one is missing or of another type.
    """
    missing = [name for name in wanted.names if name not in table.column_names]
    if missing:
        raise SchemaError(
            f"{step} reads column '{missing[0]}', which is not there; found {table.column_names}"
        )
    columns = [table.column(name).combine_chunks() for name in wanted.names]
    arrays = [
        pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
        for column in columns
    ]
    bare = pa.schema(
        [pa.field(name, array.type) for name, array in zip(wanted.names, arrays, strict=True)]
    )
    batch = pa.RecordBatch.from_arrays(arrays, schema=bare)
    check_conformance(step, "reads", batch, wanted)
    return batch


def plain(schema: pa.Schema) -> pa.Schema:
    """The same names and types without nullability and metadata, as tables on the way have them.

    A rejected or failed row holds nulls in the columns of the steps that it never reached.
    """
    return pa.schema([pa.field(item.name, item.type) for item in schema])
