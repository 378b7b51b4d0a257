"""Randomness: a function of seed and labels, uniform, and nothing else."""

import hashlib
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.randomness import draw


@given(st.integers(), st.lists(st.text(), max_size=3))
def test_a_draw_is_a_function_of_its_arguments(seed: int, labels: list[str]) -> None:
    first = draw(seed, *labels)
    random.seed(0)
    assert draw(seed, *labels) == first
    assert 0.0 <= first < 1.0


def test_draws_are_frozen() -> None:
    """Every split and voice of every corpus follows from these. To show them again:

    python -c "from transforms.randomness import draw; print(draw(0, 'split', 'a-0'))"
    """
    assert draw(0, "split", "a-0") == 0.9184830111526209
    assert draw(1, "split", "a-0") == 0.3624570193862903


def test_another_process_draws_the_same() -> None:
    script = "from transforms.randomness import draw; print(repr(draw(3, 'cast', 'k', 'user')))"
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, capture_output=True, text=True, env={"PYTHONHASHSEED": "5"})
    assert found.stdout.strip() == repr(draw(3, "cast", "k", "user"))


def test_each_label_and_the_seed_change_the_draw() -> None:
    arguments = [(0, "a", "b"), (1, "a", "b"), (0, "a", "c"), (0, "b", "a"), (0, "ab"), (0, "a")]
    assert len({draw(*item) for item in arguments}) == len(arguments)


def test_labels_do_not_run_together() -> None:
    assert draw(0, "a", "bc") != draw(0, "ab", "c")
    assert draw(1, "1") != draw(11, "")


def test_draws_are_uniform() -> None:
    draws = np.sort([draw(0, "x", str(n)) for n in range(20_000)])
    distance = np.abs(draws - (np.arange(20_000) + 0.5) / 20_000).max()
    assert distance < 1.63 / np.sqrt(20_000)  # Kolmogorov-Smirnov at 1 %


def test_neighboring_seeds_are_unrelated() -> None:
    draws = [[draw(seed, str(n)) for n in range(2000)] for seed in (0, 1)]
    assert abs(np.corrcoef(draws)[0, 1]) < 0.06


def test_the_largest_hash_draws_under_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A draw of 1.0 would fall out of `choose` and of every list that it indexes."""

    class Largest:
        def digest(self) -> bytes:
            return b"\xff" * 32

    monkeypatch.setattr(hashlib, "sha256", lambda data: Largest())
    assert draw(0, "x") < 1.0
