"""Settings of the whole suite, and the S3 server that its tests share."""

import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from schemas.store import StoreAddress
from tests.servers import KEYS, Server, ministack

# Derandomized, so that a red build is red again on the next machine; no deadline, because two
# workers share these cores.
settings.register_profile(
    "voxmill",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("voxmill")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """A worker gets whole modules, so that it builds what they share once.

    All engine tests are one group: they run one at a time (engines/conftest.py), and two workers
    would wait for one another.
    """
    return _ByModule(config, log)


class _ByModule(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The groups with most slow tests come first, so that workers end at about the same time."""
    slow = Counter(_group(item.nodeid) for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: (-slow[_group(item.nodeid)], _group(item.nodeid)))


def _group(nodeid: str) -> str:
    module = nodeid.partition("::")[0]
    return "engines" if "/engines/" in module else module


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """ministack for the whole session. Its keys stand in the environment meanwhile."""
    with pytest.MonkeyPatch.context() as patch, ministack(tmp_path_factory.mktemp("s3")) as server:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture
def s3(s3_server: Server) -> StoreAddress:
    """A folder in a bucket of this test's own."""
    return s3_server.address(f"{s3_server.bucket(f'b-{uuid.uuid4().hex[:12]}')}/corpus")
