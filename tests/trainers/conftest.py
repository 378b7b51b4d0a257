"""One made corpus for all tests that only read."""

from pathlib import Path

import pytest

from benchmarks.made_corpus import make_corpus

COUNTS = (31, 7, 1, 64, 40, 12, 33)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """188 samples in seven uneven shards."""
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder, COUNTS)
    return folder


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another corpus, of 50 samples."""
    folder = tmp_path_factory.mktemp("other")
    make_corpus(folder, (20, 30), salt="other")
    return folder
