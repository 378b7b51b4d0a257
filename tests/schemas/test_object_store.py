"""A place in a bucket as a store: the same laws as a folder, on a real server and in memory."""

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from schemas.errors import DamageError, SettingsError, StoreError
from schemas.object_errors import explained
from schemas.object_store import PART_BYTES, SINGLE_PUT_BYTES
from schemas.store import Store, StoreAddress, StoreOptions, open_store


@pytest.fixture(params=["s3", "memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "s3":
        yield open_store(request.getfixturevalue("s3"))
    elif request.param == "memory":
        yield open_store(f"memory://{uuid.uuid4().hex}/corpus")
    else:
        yield open_store(str(tmp_path / "corpus"))


@pytest.fixture
def bucket(s3: StoreAddress) -> Store:
    return open_store(s3)


def test_an_object_comes_back_as_it_was_put(store: Store) -> None:
    for data in (b"\0\1\2", b"", memoryview(b"abc")):
        store.put("a/b/c.bin", data)
        assert store.get("a/b/c.bin") == bytes(data)
        assert store.size("a/b/c.bin") == len(data)


def test_put_new_writes_only_where_nothing_is(store: Store) -> None:
    assert store.put_new("one", b"first")
    assert not store.put_new("one", b"second")
    assert store.get("one") == b"first"


def test_put_new_has_one_winner_among_threads(store: Store) -> None:
    for number in range(5):
        path = f"commits/{number}"
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(partial(store.put_new, path), [b"%d" % n for n in range(8)]))
        assert won.count(True) == 1
        assert store.get(path) == b"%d" % won.index(True)


def test_a_missing_object_is_none_or_an_error_with_its_place_and_cure(store: Store) -> None:
    assert store.head("x") is None
    assert store.size("x") is None
    for read in (store.get, lambda path: store.get_range(path, 0, 1)):
        with pytest.raises(StoreError, match=r"cannot read .*/corpus/x: it is not there; check"):
            read("x")
    store.delete("x")


def test_a_range_is_exactly_what_was_asked_for(store: Store) -> None:
    store.put("shard", b"0123456789")
    assert store.get_range("shard", 3, 4) == b"3456"
    assert store.get_range("shard", 10, 0) == b""
    for offset, length in ((8, 3), (10, 1), (50, 2)):
        with pytest.raises(StoreError, match=rf"wanted {length} bytes at {offset}.*voxmill verify"):
            store.get_range("shard", offset, length)


def test_ranges_come_in_the_order_they_were_asked_for(store: Store) -> None:
    data = bytes(range(256)) * 4096
    store.put("shard", data)
    ranges = [(900_000, 10), (0, 5), (3, 7), (500_000, 1), (600_000, 0)]
    assert store.get_ranges("shard", ranges) == [data[o : o + n] for o, n in ranges]
    assert store.get_ranges("shard", []) == []


def test_an_object_that_changed_since_it_was_looked_at_is_not_read_as_if_it_had_not(
    store: Store,
) -> None:
    store.put("shard", b"0123456789")
    meta = store.head("shard")
    assert meta is not None
    assert store.get_range("shard", 2, 2, if_match=meta.etag) == b"23"
    store.put("shard", b"abcdefghij")
    with pytest.raises(DamageError, match="changed since it was first looked at"):
        store.get_range("shard", 2, 2, if_match=meta.etag)


def test_a_list_has_all_objects_below_a_folder_sorted(store: Store) -> None:
    for path in ("b/2", "b/1", "b/deep/er/3", "bb/4", "a"):
        store.put(path, b"12")
    assert store.list("b") == ["b/1", "b/2", "b/deep/er/3"]
    assert store.list("") == ["a", "b/1", "b/2", "b/deep/er/3", "bb/4"]
    assert store.list("nothing/here") == []
    found = {meta.path: meta.size for meta in store.scan("b")}
    assert found == {"b/1": 2, "b/2": 2, "b/deep/er/3": 2}
    store.delete_many([*store.list("b"), "b/none"])
    assert store.list("") == ["a", "bb/4"]


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 5])
def test_a_file_of_any_size_is_put_as_it_is(store: Store, tmp_path: Path, size: int) -> None:
    local = tmp_path / "local"
    local.write_bytes(bytes(size))
    store.put_file("shards/x.tar", local, sha256="abc")
    assert store.get("shards/x.tar") == bytes(size)


@pytest.mark.parametrize("size", [5, 2 * PART_BYTES + 5])
def test_a_bucket_vouches_for_what_was_uploaded_and_for_nothing_else(
    bucket: Store, tmp_path: Path, size: int
) -> None:
    local = tmp_path / "local"
    local.write_bytes(bytes(size))
    bucket.put_file("shards/x.tar", local, sha256="abc")
    assert bucket.vouched_sha256("shards/x.tar") == "abc"
    bucket.put("shards/x.tar", b"something else")
    assert bucket.vouched_sha256("shards/x.tar") is None
    assert bucket.vouched_sha256("shards/none.tar") is None


@pytest.mark.parametrize("size", [0, 5, SINGLE_PUT_BYTES, SINGLE_PUT_BYTES + 5])
def test_a_bucket_vouches_for_bytes_that_were_put_with_their_checksum(
    bucket: Store, size: int
) -> None:
    bucket.put("inputs/x", bytes(size), sha256="abc")
    assert bucket.vouched_sha256("inputs/x") == "abc"
    assert bucket.size("inputs/x") == size


def test_a_bucket_does_not_vouch_for_other_bytes_under_the_same_notes(
    bucket: Store, s3: StoreAddress, tmp_path: Path
) -> None:
    import obstore

    local = tmp_path / "local"
    local.write_bytes(b"whole")
    bucket.put_file("x", local, sha256="abc")
    client, key = bucket._client, bucket._key("x")  # type: ignore[attr-defined]
    notes = obstore.get(client, key, options={"head": True}).attributes
    obstore.put(client, key, b"spoilt", attributes=notes)
    assert bucket.vouched_sha256("x") is None


def test_memory_is_shared_by_name_within_a_process() -> None:
    name = uuid.uuid4().hex
    open_store(f"memory://{name}/a").put("x", b"1")
    assert open_store(f"memory://{name}").get("a/x") == b"1"
    assert open_store(f"memory://{name}-other").list("") == []


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3://", "no bucket"),
        ("s3:///corpus", "no bucket"),
        ("s3://key:secret@bucket/corpus", "neither keys nor options"),
        ("s3://bucket/corpus?secret=1", "neither keys nor options"),
        ("s3://bucket/../other", r"'\.\.' folder"),
        ("http://bucket/corpus", "there is no store for http://"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_without_repeating_a_secret(
    uri: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        open_store(uri)
    assert "secret" not in str(caught.value)


def test_an_http_endpoint_of_the_environment_alone_is_told_what_it_lacks(
    s3: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", str(s3.options.endpoint))
    store = open_store(StoreAddress(s3.uri, StoreOptions(region="us-east-1", retry_s=0)))
    with pytest.raises(StoreError, match="this endpoint is http and not https"):
        store.get("x")


def test_without_credentials_the_cure_is_named() -> None:
    said = "Error performing PUT http://169.254.169.254/latest/api/token - 403 Forbidden"
    assert "no credentials were found; set" in str(explained(OSError(said), "read", "s3://b/x"))


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A web server that is no object store: it answers everything with one status."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_POST = do_PUT

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("status", "words"), [(404, "404"), (501, "501")])
def test_a_web_server_that_is_no_object_store_is_told_as_such(
    status: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
    (tmp_path / "file").write_bytes(b"x")
    with answering(status) as endpoint:
        options = StoreOptions(endpoint=endpoint, region="x", timeout_s=5.0, retry_s=0.5)
        store = open_store(StoreAddress("s3://bucket/corpus", options))
        for attempt in (
            lambda: store.put("a", b"x"),
            lambda: store.put_file("a", tmp_path / "file"),
            lambda: store.put_new("a", b"x"),
            lambda: store.list("a"),
        ):
            with pytest.raises(StoreError, match=words) as told:
                attempt()
            assert "in time" not in str(told.value), "it did answer"
            assert "output.store.endpoint" in str(told.value)


@pytest.mark.parametrize(
    ("said", "passing"),
    [
        ("error sending request: Connection refused", True),
        ("500 Internal Server Error", True),
        ("operation timed out", True),
        ("<Code>AccessDenied</Code>", False),
        ("<Code>NoSuchBucket</Code>", False),
        ("501 Not Implemented", False),
    ],
)
def test_what_may_pass_is_told_from_what_has_to_be_mended(said: str, passing: bool) -> None:
    assert explained(OSError(said), "read", "s3://b/x").passing is passing


def test_no_message_repeats_a_signature() -> None:
    said = "GET https://user:word@host/b/x?X-Amz-Signature=abc&sig=word in 3ms - 500"
    text = str(explained(OSError(said), "read", "s3://b/x"))
    assert "word" not in text
    assert "abc" not in text


def test_an_option_that_a_store_does_not_know_is_refused() -> None:
    with pytest.raises(SettingsError, match="gs:// does not know it"):
        open_store(StoreAddress("gs://bucket", StoreOptions(region="x")))


def test_a_profile_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match=r"profile 'nobody'.*see ~/\.aws"):
        open_store(StoreAddress("s3://bucket", StoreOptions(profile="nobody", region="x")))


def test_a_profile_gives_its_keys(
    s3: StoreAddress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "credentials"
    file.write_text("[mine]\naws_access_key_id = one\naws_secret_access_key = two\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    options = StoreOptions(endpoint=s3.options.endpoint, region="us-east-1", profile="mine")
    store = open_store(StoreAddress(s3.uri, options))
    store.put("x", b"1")
    assert store.get("x") == b"1"


def test_open_uploads_are_found_and_ended(bucket: Store, s3: StoreAddress) -> None:
    from schemas.object_uploads import _client

    name = s3.uri.split("/")[2]
    client = _client(s3.uri, s3.options)
    for key in ("corpus/shards/a.tar", "elsewhere/b.tar"):
        client.create_multipart_upload(Bucket=name, Key=key)
    found = list(bucket.unfinished())
    assert [item.path for item in found] == ["shards/a.tar"]
    bucket.discard(found[0])
    bucket.discard(found[0])
    assert list(bucket.unfinished()) == []
