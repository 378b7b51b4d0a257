"""Results of slow calls, in order, with a bounded number of bytes under way."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
_PER_THREAD: Final = 32  # tasks: enough to keep threads busy where samples are tiny


def read_ahead(
    tasks: Iterator[Task],
    run: Callable[[Task], Result],
    *,
    threads: int,
    max_bytes: int,
    size_of: Callable[[Task], int],
) -> Iterator[Result]:
    """``run`` of each task, in order, by ``threads`` threads (0: by the caller's own).

    New tasks begin while those under way or waiting to be taken count less than ``max_bytes`` by
    ``size_of``, and no more than 32 per thread; one at least is always under way. What ``run``
    raises is raised at its place.
    """
    if threads == 0:
        yield from map(run, tasks)
        return
    waiting: deque[tuple[Future[Result], int]] = deque()
    total, more, most = 0, True, _PER_THREAD * threads
    pool = ThreadPoolExecutor(threads, thread_name_prefix="voxmill-read")
    try:
        while True:
            while more and (not waiting or total < max_bytes) and len(waiting) < most:
                task = next(tasks, None)
                if task is None:
                    more = False
                else:
                    size = size_of(task)
                    waiting.append((pool.submit(run, task), size))
                    total += size
            if not waiting:
                return
            future, size = waiting.popleft()
            result = future.result()
            total -= size
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
