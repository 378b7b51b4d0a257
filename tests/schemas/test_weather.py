"""Bad weather between a store and its bucket: right bytes, or an error that names the cure.

This is the short form; `python -m benchmarks.storage` plays every case.
"""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxy import Proxy, proxy
from tests.servers import Server, moto
from tests.weather import GET, PART, PUT_NEW, RANGE, Case, agrees, cases, play, short


@pytest.fixture(scope="module")
def front(s3_server: Server) -> Iterator[Proxy]:
    with proxy(s3_server) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("case", short(), ids=lambda case: case.name)
def test_a_fault_ends_in_the_right_bytes_or_in_a_clear_error(
    case: Case, front: Proxy, tmp_path: Path
) -> None:
    bucket = front.server.bucket(f"w-{uuid.uuid4().hex[:12]}")
    ended = play(case, front, f"{bucket}/corpus", tmp_path)
    assert agrees(case, ended), f"wanted {case.outcome or 'the right bytes'!r}, got {ended!r}"
    assert "test-secret" not in ended


@pytest.mark.slow
def test_another_server_is_of_the_same_opinion(
    s3_server: Server, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """moto stands in for ministack; ``s3_server`` is asked for its keys in the environment."""
    chosen = [
        case
        for case in cases()
        if case.outcome == "" and case.times == 1 and case.operation in (GET, RANGE, PUT_NEW, PART)
        if case.fault.name in ("answer lost", "truncated answer", "412 after success")
    ]
    with moto(tmp_path_factory.mktemp("moto")) as server, proxy(server) as front:
        for number, case in enumerate(chosen):
            ended = play(case, front, f"{server.bucket(f'moto-{number}')}/corpus", tmp_path)
            assert agrees(case, ended), (case.name, ended)
