"""In a bucket planning asks the store whether source rows are whole, and reads few of them."""

import random
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from pipelines.plan import Plan
from pipelines.planning import make_plan
from schemas.address import StoreAddress
from schemas.object_store import ObjectStore
from schemas.store import open_store
from tests.builders import Row, conversation, heard, source_row
from tests.proxy import Proxy, proxy
from tests.servers import Server

CLIP = random.Random(7).randbytes(20_000)


@pytest.fixture
def front(s3_server: Server) -> Iterator[Proxy]:
    with proxy(s3_server) as running:
        yield running


@pytest.fixture
def place(front: Proxy, s3_server: Server) -> StoreAddress:
    return front.front.address(f"{s3_server.bucket(f'b-{uuid.uuid4().hex[:12]}')}/corpus")


def rows(count: int) -> list[Row]:
    return [
        source_row(conversation(heard(f"Listen {number}.", CLIP), "I hear."))
        for number in range(count)
    ]


def plan(place: StoreAddress, count: int, parent: Plan | None = None) -> Plan:
    size: dict[str, Any] = {"target_bytes": 10**12, "rows_per_partition": 2}
    version = 1 if parent is None else 2
    return make_plan(rows(count), open_store(place), parent, version, eval_fraction=0.25, **size)


def test_rows_that_stand_are_not_read_again(front: Proxy, place: StoreAddress) -> None:
    first = plan(place, 12)
    before, asked = front.read_bytes("inputs/"), len(front.seen)
    assert plan(place, 12, first) == first
    assert len(first.partitions) == 6
    assert front.read_bytes("inputs/") == before
    assert len(front.seen) - asked == 7  # the first is asked for twice


def test_rows_that_changed_in_the_bucket_are_written_again(
    front: Proxy, place: StoreAddress, caplog: pytest.LogCaptureFixture
) -> None:
    first = plan(place, 12)
    store = open_store(place)
    hurt, gone = first.partitions[2], first.partitions[4]
    good = store.get(hurt.file)
    store.put(hurt.file, b"spoilt", sha256=hurt.sha256[::-1])
    store.delete(gone.file)
    assert plan(place, 12, first) == first
    assert store.get(hurt.file) == good
    assert store.size(gone.file) is not None
    assert caplog.text.count("is written again") == 2


def test_where_the_store_vouches_for_nothing_all_is_read(
    front: Proxy, place: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a corpus whose rows were written before, or where etags are no MD5s."""
    with monkeypatch.context() as patch:
        patch.setattr("schemas.object_store._notes", lambda sha256, etag: {})
        first = plan(place, 12)
    before, asked = front.read_bytes("inputs/"), len(front.seen)
    assert plan(place, 12, first) == first
    requests = len(front.seen) - asked
    sizes = [open_store(place).size(item.file) for item in first.partitions]
    assert front.read_bytes("inputs/") - before == sum(filter(None, sizes)) > 6 * len(CLIP)
    assert requests == 7  # asked once whether it vouches


def test_an_unanswered_question_is_no_damage(
    place: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = plan(place, 4)
    monkeypatch.setattr(ObjectStore, "vouched_sha256", lambda store, path: None)
    assert plan(place, 4, first) == first
