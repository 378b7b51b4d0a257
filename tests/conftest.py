"""Settings of the whole suite, and the S3 server that its tests share."""

import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from schemas.store import StoreAddress
from tests.servers import KEYS, Server, ministack

TESTS = Path(__file__).parent

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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A worker gets whole modules, so that it builds what they share once; the slowest first.

    All engine tests are one group: they run one at a time (engines/conftest.py), and two workers
    would wait for one another.
    """
    groups = Counter(_group(item) for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: (-groups[_group(item)], _group(item)))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))


def _group(item: pytest.Item) -> str:
    return "engines" if "engines" in item.path.parts else item.path.relative_to(TESTS).as_posix()


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
