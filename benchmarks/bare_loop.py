"""The yardstick for overhead: the job's own transforms in one process, with nothing around them.

    python -m benchmarks.bare_loop JOB.yaml ROWS.json ADAPTER

No partitions, no memo, no workers, no shards, no checks of schemas. Prints one JSON line.
"""

import itertools
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from threadpoolctl import threadpool_limits

from jobs.recipes.recipe import BACKENDS, pipeline_of
from jobs.settings.job import JobSettings
from jobs.settings.jobfile import load_overridden
from jobs.sources.read import read_source
from jobs.sources.settings import SourceSettings
from pipelines.graph import PLANNED, Pipeline
from pipelines.tables import gather, live
from schemas.conformance import plain
from schemas.conversation import row_id
from transforms.step import BatchFn, Explode, Fit, Gather, Step
from transforms.voice_file import load_bank

ROWS_AT_ONCE = 64


def main(job_path: str, rows_path: str, adapter: str) -> None:
    """Run the loop and print rows, accepted rows, seconds of speech and wall time."""
    path = Path(job_path)
    job = load_overridden(path, [f"source.adapter={adapter}"], source=rows_path)
    assert isinstance(job, JobSettings)
    pipeline = pipeline_of(job, load_bank(path.parent / job.voices.bank), BACKENDS)
    began = time.perf_counter()
    with threadpool_limits(limits=1):
        tables = _run(pipeline, list(_batches(Path(rows_path), adapter)))
    wall_s = time.perf_counter() - began
    accepted = sum(
        table["conversations"].filter(live(table["conversations"])).num_rows for table in tables
    )
    samples = sum(pc.sum(table["utterances"]["num_samples"]).as_py() or 0 for table in tables)
    rows = sum(table["conversations"].num_rows for table in tables)
    print(
        json.dumps(
            {
                "rows": rows,
                "accepted": accepted,
                "wall_s": round(wall_s, 2),
                "speech_s": round(samples / 16000, 1),
            }
        )
    )


def rows_before(pipeline: Pipeline, rows: Path, adapter: str, step: str) -> pa.Table:
    """What the step ``step`` of a pipeline would read, for all rows of a file."""
    before = Pipeline(
        pipeline.name, tuple(itertools.takewhile(lambda node: node.name != step, pipeline.nodes))
    )
    node = pipeline.node(step)
    tables = _run(before, list(_batches(rows, adapter)))
    read = [_read(table[node.table], node.reads) for table in tables]
    return pa.Table.from_batches(read)


def _batches(path: Path, adapter: str) -> Iterator[pa.Table]:
    settings = SourceSettings(path=path, adapter=adapter, name="rows", license="unknown")
    seen: dict[str, int] = {}
    rows = []
    for row in read_source(settings):
        number = seen[row.digest] = seen.get(row.digest, -1) + 1
        rows.append(
            {
                **(row.conversation or {}),
                "id": row_id(row.digest, number),
                "born": 1,
                "source": row.source,
                "origin": row.origin,
                "source_error": row.error,
            }
        )
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield pa.Table.from_pylist(rows[start : start + ROWS_AT_ONCE], schema=plain(PLANNED))


def _run(pipeline: Pipeline, batches: list[pa.Table]) -> list[dict[str, pa.Table]]:
    tables = [{"conversations": batch} for batch in batches]
    artifacts: dict[str, bytes] = {}
    with ExitStack() as stack:
        for node in pipeline.nodes:
            if isinstance(node, Fit):
                parts = [
                    node.partial(_read(table[node.table], node.reads), len(tables))
                    for table in tables
                ]
                artifacts[node.name] = node.finalize(node.merge(parts))
            elif isinstance(node, Gather):
                for table in tables:
                    table["conversations"] = gather(
                        node, table["conversations"], table["utterances"]
                    )
            elif isinstance(node, Explode):
                explode = stack.enter_context(node.open())
                for table in tables:
                    read = _read(table["conversations"], node.reads)
                    table["utterances"] = pa.Table.from_batches([explode(read)])
            elif isinstance(node, Step):
                run = stack.enter_context(node.open(artifacts))
                for table in tables:
                    table[node.table] = _apply(node, run, table[node.table])
    return tables


def _read(table: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    return table.filter(live(table)).select(schema.names).combine_chunks().to_batches()[0]


def _apply(step: Step, run: BatchFn, table: pa.Table) -> pa.Table:
    alive = live(table)
    made = pa.Table.from_batches([run(_read(table, step.reads))])
    places = iter(range(made.num_rows))
    rows = pa.array([next(places) if good else None for good in alive.to_pylist()], pa.int64())
    taken = made.take(rows)
    for name in taken.column_names:
        if name in table.column_names:
            table = table.drop_columns([name])
        table = table.append_column(name, taken.column(name))
    return table


if __name__ == "__main__":
    main(*sys.argv[1:])
