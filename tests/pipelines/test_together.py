"""Many requests at once: in order, all done at the close, and no error lost."""

import threading
import uuid
from pathlib import Path

import pytest

from pipelines.together import WIDTH, together, writing_behind
from schemas.errors import StoreError
from schemas.store import FileStore, Store, open_store


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return FileStore(tmp_path)
    return open_store(f"memory://{uuid.uuid4().hex}")


def test_answers_come_in_order_and_an_error_is_raised(store: Store) -> None:
    assert list(together(store, lambda n: n * 2, range(100))) == list(range(0, 200, 2))
    with pytest.raises(StoreError, match="it is not there"):
        list(together(store, store.get, ["nothing"]))


def test_a_bucket_is_asked_many_things_at_once() -> None:
    bucket = open_store(f"memory://{uuid.uuid4().hex}")
    together_now = threading.Barrier(WIDTH)  # broken, unless so many are under way
    list(together(bucket, lambda _: together_now.wait(timeout=60), range(WIDTH)))


def test_what_is_written_behind_is_there_at_the_close(store: Store) -> None:
    with writing_behind(store) as sink:
        for number in range(100):
            sink.put(f"x/{number}", b"%d" % number)
    assert len(store.list("x")) == 100
    assert store.get("x/77") == b"77"


def test_an_error_of_a_put_behind_is_not_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: str, data: bytes, *, sha256: str | None = None) -> None:
        raise StoreError("the bucket is full")

    monkeypatch.setattr(store, "put", fail)
    with pytest.raises(StoreError, match="full"), writing_behind(store) as sink:
        sink.put("x", b"1")
