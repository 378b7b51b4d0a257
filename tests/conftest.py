"""Settings of the whole suite, and the S3 server that its tests share."""

import uuid
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

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
