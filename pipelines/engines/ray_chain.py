"""Several pools on Ray, chained: Ray Data streams tasks from one to the next.

While one pool speaks a partition, the pool before it works on the next ones. Ray Data sizes the
pools between their bounds, asks the cluster for machines, and holds back what runs ahead.
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, Dataset

from pipelines.engines.pieces import Piece
from pipelines.engines.ray_cluster import MB, Size
from pipelines.engines.ray_station import ROW, Post, Row, Station

IN_FLIGHT = 2  # tasks that a worker has: one in hand, one that waits for it


def chained(
    rows: Sequence[Row], pieces: Sequence[Piece], sizes: Sequence[Size], post: Post, at_once: int
) -> Iterator[Row]:
    """The rows of (number, task, answer) as they come out of the last pool, in any order.

    A worker that asks models is given ``at_once`` tasks.
    """
    table = pa.Table.from_pylist(list(rows), schema=ROW)
    # a block is what a worker gets at once: one task
    data: Dataset = ray.data.from_arrow([table.slice(row, 1) for row in range(len(rows))])
    for piece, size in zip(pieces, sizes, strict=True):
        data = data.map_batches(
            Station,
            batch_size=at_once if piece.asking else 1,
            batch_format="pyarrow",
            fn_constructor_args=(piece, post),
            num_cpus=piece.needs.cpus,
            num_gpus=piece.needs.gpus or None,
            memory=piece.needs.memory_mb * MB,
            compute=ActorPoolStrategy(
                min_size=size.fewest,
                initial_size=size.start,
                max_size=size.most,
                max_tasks_in_flight_per_actor=IN_FLIGHT,
            ),
        )
        if piece.asking and at_once > 1:
            data = data.repartition(target_num_rows_per_block=1)
    yield from data.iter_rows()
