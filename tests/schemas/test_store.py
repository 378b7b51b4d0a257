"""The folder as a store: whole objects, one winner, errors that name the cure."""

import errno
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import SettingsError, StoreError
from schemas.store import FileStore, open_store

CRASH = """
import os, sys
from pathlib import Path
from schemas.store import FileStore
setattr(os, sys.argv[2], lambda *places, **options: os._exit(9))
getattr(FileStore(Path(sys.argv[1])), sys.argv[3])("deep/object", b"new")
"""


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "corpus")


def files(store: FileStore) -> list[str]:
    """All files of the folder, temporary ones too."""
    return sorted(path.name for path in store.root.rglob("*") if path.is_file())


def claim(root: str, number: int, together: "multiprocessing.synchronize.Barrier") -> bool:
    together.wait()
    return FileStore(Path(root)).put_new("commits/one.json", b"%d" % number)


def claim_into(
    root: str,
    number: int,
    together: "multiprocessing.synchronize.Barrier",
    won: "multiprocessing.queues.Queue[tuple[int, bool]]",
) -> None:
    won.put((number, claim(root, number, together)))


def test_an_object_comes_back_as_it_was_put(store: FileStore) -> None:
    store.put("a/b/c.bin", b"\0\1\2")
    assert store.get("a/b/c.bin") == b"\0\1\2"
    assert store.size("a/b/c.bin") == 3
    store.put("a/b/c.bin", b"")
    assert store.get("a/b/c.bin") == b""
    assert files(store) == ["c.bin"]


def test_a_file_is_put_like_bytes(store: FileStore, tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000  # more than one piece
    (tmp_path / "local").write_bytes(data)
    store.put("shards/x.tar", b"old")
    store.put_file("shards/x.tar", tmp_path / "local")
    assert store.get("shards/x.tar") == data
    assert files(store) == ["x.tar"]


def test_put_new_writes_only_where_nothing_is(store: FileStore) -> None:
    assert store.put_new("one", b"first")
    assert not store.put_new("one", b"second")
    assert store.get("one") == b"first"
    assert files(store) == ["one"]


def test_put_new_has_one_winner_among_threads(store: FileStore) -> None:
    for round_ in range(20):
        start = threading.Barrier(8)

        def work(
            number: int, name: str = f"commit-{round_}", start: threading.Barrier = start
        ) -> bool:
            start.wait()
            return store.put_new(name, b"%d" % number)

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(work, range(8)))
        assert won.count(True) == 1
        assert store.get(f"commit-{round_}") == b"%d" % won.index(True)
    assert len(files(store)) == 20


def test_put_new_has_one_winner_among_processes(store: FileStore) -> None:
    fork = multiprocessing.get_context("spawn")
    together, won = fork.Barrier(4), fork.Queue()
    workers = [
        fork.Process(target=claim_into, args=(str(store.root), number, together, won))
        for number in range(4)
    ]
    for worker in workers:
        worker.start()
    results = dict(won.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()
    assert sorted(results.values()) == [False, False, False, True]
    (winner,) = (number for number, first in results.items() if first)
    assert store.get("commits/one.json") == b"%d" % winner


@pytest.mark.parametrize(("moment", "method"), [("replace", "put"), ("link", "put_new")])
def test_a_crash_before_the_last_move_leaves_nothing_visible(
    store: FileStore, moment: str, method: str
) -> None:
    store.put("deep/other", b"stays")
    died = subprocess.run([sys.executable, "-c", CRASH, str(store.root), moment, method])
    assert died.returncode == 9
    assert len(files(store)) == 2  # the temporary file is there, and nobody sees it
    assert store.list("deep") == ["deep/other"]
    assert store.size("deep/object") is None
    with pytest.raises(StoreError):
        store.get("deep/object")
    assert store.put_new("deep/object", b"again")


def test_a_crash_leaves_the_old_object_whole(store: FileStore) -> None:
    store.put("deep/object", b"old")
    subprocess.run([sys.executable, "-c", CRASH, str(store.root), "replace", "put"])
    assert store.get("deep/object") == b"old"


def test_what_is_put_is_synced_before_it_is_visible_and_its_folder_after(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def spy(name: str) -> Callable[..., object]:
        real = getattr(os, name)

        def called(*places: object, **options: object) -> object:
            is_folder = name == "fsync" and os.path.isdir(f"/proc/self/fd/{places[0]}")
            seen.append("sync folder" if is_folder else name)
            return real(*places, **options)

        return called

    for name in ("fsync", "replace", "link"):
        monkeypatch.setattr(os, name, spy(name))
    store.put("object", b"1")
    assert seen == ["fsync", "replace", "sync folder"]
    seen.clear()
    assert store.put_new("another", b"1")
    assert seen == ["fsync", "link", "sync folder"]


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (errno.ENOSPC, "the disk is full; free some space, or move the output"),
        (errno.EDQUOT, "the disk quota is used up; free some space"),
        (errno.EROFS, "the file system is read-only; choose another --output"),
        (errno.EACCES, "permission denied; choose another --output or change"),
        (errno.EPERM, "not permitted; choose another --output or change"),
        (errno.EFBIG, "the file would be larger than the limit"),
        (errno.ENAMETOOLONG, "the name is too long for the file system; choose a shorter --output"),
        (errno.ELOOP, "links there lead in a circle; remove them, or choose another --output"),
        (errno.ENOTDIR, "a file stands where a folder is wanted; choose another --output"),
    ],
)
@pytest.mark.parametrize("moment", ["fsync", "replace", "link", "mkdir"])
def test_what_the_disk_refuses_is_said_with_its_cure(
    store: FileStore, monkeypatch: pytest.MonkeyPatch, moment: str, code: int, cure: str
) -> None:
    def refuse(*places: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, moment, refuse)
    put = store.put_new if moment == "link" else store.put
    with pytest.raises(StoreError, match=cure) as caught:
        put("shards/x.tar", b"data")
    assert f"cannot write {store.uri}/shards/x.tar: " in str(caught.value)
    monkeypatch.undo()
    assert not store.root.exists() or files(store) == []


def test_a_file_where_the_output_should_be_is_said_with_its_cure(tmp_path: Path) -> None:
    (tmp_path / "corpus").write_text("not a folder")
    with pytest.raises(StoreError, match="a file stands where a folder is wanted"):
        FileStore(tmp_path / "corpus").put("shards/x.tar", b"data")


def test_a_file_where_an_objects_folder_should_be_is_said_with_its_cure(tmp_path: Path) -> None:
    (tmp_path / "shards").write_text("not a folder")
    with pytest.raises(StoreError, match="a file stands where a folder is wanted"):
        FileStore(tmp_path).put("shards/x.tar", b"data")


def test_a_folder_that_others_remove_as_empty_is_made_again(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `running/` is by a build that ends while another begins."""
    mkdir, removed = Path.mkdir, []

    def taken_away(path: Path, *given: Any, **more: Any) -> None:
        mkdir(path, *given, **more)
        if path.name == "running" and len(removed) < 2:
            path.rmdir()
            removed.append(path)

    monkeypatch.setattr(Path, "mkdir", taken_away)
    store.put("running/one.json", b"{}")
    assert len(removed) == 2
    assert store.get("running/one.json") == b"{}"


def test_a_missing_object_is_an_error_with_its_path_and_cure(store: FileStore) -> None:
    for read in (store.get, lambda path: store.get_range(path, 0, 1)):
        with pytest.raises(StoreError, match=r"cannot read .*/index/x: it is not there; check"):
            read("index/x")
    assert store.size("index/x") is None
    assert store.size("index/x/below") is None


def test_a_range_is_exactly_what_was_asked_for(store: FileStore) -> None:
    store.put("shard", b"0123456789")
    assert store.get_range("shard", 3, 4) == b"3456"
    assert store.get_range("shard", 10, 0) == b""
    for offset, length in ((8, 3), (10, 1), (50, 2)):
        with pytest.raises(StoreError, match=rf"wanted {length} bytes at {offset}.*voxmill verify"):
            store.get_range("shard", offset, length)


def test_a_list_has_all_objects_below_a_folder_sorted_and_no_temporaries(store: FileStore) -> None:
    for path in ("b/2", "b/1", "b/deep/er/3", "bb/4", "a", "b/.tmpfile"):
        store.put(path, b"")
    (store.root / "b" / ".tmp-77-abc").write_bytes(b"half")
    (store.root / "b" / "deep" / ".tmp-78-abc").write_bytes(b"half")
    assert store.list("b") == ["b/.tmpfile", "b/1", "b/2", "b/deep/er/3"]
    assert store.list("") == ["a", "b/.tmpfile", "b/1", "b/2", "b/deep/er/3", "bb/4"]
    assert store.list("nothing/here") == []
    assert store.list("a") == []


def test_deleting_what_is_not_there_is_no_error(store: FileStore) -> None:
    store.put("a", b"")
    store.delete("a")
    store.delete("a")
    assert store.size("a") is None


@pytest.mark.parametrize(
    "uri", ["{}", "file://{}", "file://localhost{}"], ids=["path", "address", "host"]
)
def test_a_path_and_a_file_address_are_the_same_store(tmp_path: Path, uri: str) -> None:
    spaced = str(tmp_path / "a b")
    open_store(uri.format(spaced.replace(" ", "%20") if "file" in uri else spaced)).put("x", b"1")
    assert (tmp_path / "a b" / "x").read_bytes() == b"1"


def test_a_relative_path_is_made_absolute_and_nothing_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_store("corpus").uri == str(tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("ftp://host/corpus", "there is no store for ftp://"),
        ("file://host/corpus", "names no host"),
        ("", "an empty path"),
        ("file://", "an empty path"),
    ],
)
def test_what_is_no_store_is_a_settings_error(uri: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        open_store(uri)
