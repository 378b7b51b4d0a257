"""Reading ahead: in order, and no more than was allowed."""

import threading
import time

import pytest

from trainers.prefetch import read_ahead


@pytest.mark.parametrize("threads", [0, 1, 5])
def test_results_come_in_order(threads: int) -> None:
    def slow(task: int) -> int:
        time.sleep(0.002 * (task % 3))
        return task * task

    found = read_ahead(iter(range(40)), slow, threads=threads, max_bytes=10, size_of=lambda _: 1)
    assert list(found) == [task * task for task in range(40)]


def test_no_more_bytes_are_under_way_than_allowed() -> None:
    lock, alive, most = threading.Lock(), 0, 0

    def run(task: int) -> int:
        nonlocal alive, most
        with lock:
            alive += 1
            most = max(most, alive)
        return task

    results = read_ahead(iter(range(60)), run, threads=8, max_bytes=35, size_of=lambda _: 10)
    for _ in results:
        with lock:
            alive -= 1
    assert most <= 4 + 1  # 35 bytes begin four of ten; one was handed out


def test_an_error_comes_at_its_place_and_ends_the_threads() -> None:
    def run(task: int) -> int:
        if task == 7:
            raise ValueError("seven")
        return task

    results = read_ahead(iter(range(60)), run, threads=4, max_bytes=20, size_of=lambda _: 1)
    assert [next(results) for _ in range(7)] == list(range(7))
    with pytest.raises(ValueError, match="seven"):
        next(results)
    assert not [t for t in threading.enumerate() if t.name.startswith("voxmill-read")]


def test_leaving_in_the_middle_ends_the_threads() -> None:
    results = read_ahead(
        iter(range(60)), lambda task: task, threads=4, max_bytes=20, size_of=lambda _: 1
    )
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name.startswith("voxmill-read")]
