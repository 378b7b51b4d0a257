"""What fsspec knows as a store to read from: here a web server on loopback."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from schemas.errors import SettingsError, StoreError
from schemas.fsspec_store import FsspecStore
from schemas.store import Store, open_store

DATA = bytes(range(256)) * 8


class Silent(SimpleHTTPRequestHandler):
    """Serves files; it ignores Range, as Python's own server does."""

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "a.jsonl").write_bytes(DATA)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """fsspec's own view of the disk, which knows ranges."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.jsonl").write_bytes(DATA)
    (tmp_path / "deep" / "b.jsonl").write_bytes(b"b")
    return open_store(f"local://{tmp_path}", to_read=True)


def test_files_are_listed_and_read_whole_and_by_range(store: Store) -> None:
    assert store.list("") == ["a.jsonl", "deep/b.jsonl"]
    assert store.get("a.jsonl") == DATA
    assert store.size("a.jsonl") == len(DATA)
    assert store.get_ranges("a.jsonl", [(7, 9), (0, 3), (5, 0)]) == [DATA[7:16], DATA[:3], b""]
    assert store.size("none") is None
    assert store.size("deep") is None
    for read in (store.get, lambda path: store.get_range(path, 0, 1)):
        with pytest.raises(StoreError, match=r"cannot read local://.*/none: FileNotFound"):
            read("none")
    with pytest.raises(StoreError, match="wanted 9 bytes at 2044, the object ended after 4"):
        store.get_range("a.jsonl", 2044, 9)


def test_it_cannot_be_written(store: Store) -> None:
    for write in (lambda: store.put("x", b""), lambda: store.put_new("x", b"")):
        with pytest.raises(SettingsError, match="can be read and not written"):
            write()


def test_a_web_server_that_ignores_ranges_gives_no_wrong_bytes(web: str) -> None:
    store = open_store(f"{web}/rows", to_read=True)
    assert store.get("a.jsonl") == DATA
    with pytest.raises(StoreError, match="wanted 10 bytes at 5, the object ended after 2048"):
        store.get_range("a.jsonl", 5, 10)


def test_an_address_that_nobody_knows_is_refused() -> None:
    with pytest.raises(SettingsError, match="fsspec cannot read it"):
        open_store("nosuch://x/y", to_read=True)
    with pytest.raises(SettingsError, match="there is no store for http://"):
        open_store("http://x/y")


def test_what_fails_is_told_without_user_password_and_query(web: str) -> None:
    private = web.replace("http://", "http://me:hunter2@")
    store = FsspecStore(f"{private}/none?X-Amz-Signature=abc")
    assert "hunter2" not in store.uri
    for ask in (lambda: store.get("a"), lambda: store.get_range("a", 0, 1)):
        with pytest.raises(StoreError) as told:
            ask()
        assert "127.0.0.1" in str(told.value)
        assert not any(secret in str(told.value) for secret in ("hunter2", "Signature=abc"))


@pytest.mark.parametrize("to_read", [True, False])
@pytest.mark.parametrize("secret", ["u:s3cret@h/x.jsonl", "h/x.jsonl?token=s3cret"])
def test_a_password_in_an_address_is_refused_and_not_repeated(secret: str, to_read: bool) -> None:
    with pytest.raises(SettingsError, match="no password and no query") as caught:
        open_store(f"https://{secret}", to_read=to_read)
    assert "s3cret" not in str(caught.value)
