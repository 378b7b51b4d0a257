"""One Ray of two nodes on this machine for the whole session, and one undisturbed build."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.pipelines.engines.builds import Corpus, build_in
from tests.servers import KEYS

RAY = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", **KEYS}
STORE = 80 << 20  # bytes of each node's object store, which holds references and receipts


@pytest.fixture(autouse=True)
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One such test at a time on this machine: they look for workers by name, and kill some."""
    with FileLock(tmp_path_factory.getbasetemp().parent / "engines.lock"):
        yield


@pytest.fixture(scope="session")
def ray_environment() -> Iterator[None]:
    """What Ray's processes are started with; the keys of the test bucket too."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in RAY.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def cluster(ray_environment: None) -> Iterator[Any]:
    """A cluster of two nodes with one CPU each; this process is connected to it."""
    import ray
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": STORE}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            cluster.add_node(num_cpus=1, object_store_memory=STORE)
            ray.init(cluster.address, log_to_driver=False, logging_level="error")
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A build in this process: no engine at all."""
    return build_in(tmp_path_factory.mktemp("reference") / "corpus", "--workers", "0")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Where a test's corpus goes."""
    assert os.access(tmp_path, os.W_OK)
    return tmp_path / "corpus"
