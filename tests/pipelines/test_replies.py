"""The desk of a partition: the first committed reply stands, a damaged one does not."""

from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.memo import Memo, pack_bytes, unpack
from pipelines.replies import StoreDesk, publish_replies, read_listing, read_replies, write_listing
from schemas.errors import DamageError
from schemas.store import FileStore
from transforms.backends.chat.protocol import Reply


def reply(text: str = "hello") -> Reply:
    return Reply(
        text=text,
        finish_reason="stop",
        refusal="",
        model="m",
        prompt_tokens=3,
        completion_tokens=1,
        attempts=1,
    )


def test_the_first_committed_reply_stands_for_both_of_two_drivers(tmp_path: Path) -> None:
    one, other = (StoreDesk(FileStore(tmp_path), "p000000") for _ in range(2))
    assert one.look("k") is None
    assert other.look("k") is None
    assert one.keep("k", reply("first")) == reply("first")
    assert other.keep("k", reply("second")) == reply("first")
    assert StoreDesk(FileStore(tmp_path), "p000000").look("k") == reply("first")


def test_a_reply_whose_bytes_changed_is_removed_and_missing(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    StoreDesk(store, "p").keep("k", reply("a true answer"))
    (path,) = store.list("replies")
    store.put(path, store.get(path).replace(b"true", b"fake"))
    assert StoreDesk(store, "p").look("k") is None
    assert StoreDesk(store, "p").keep("k", reply("again")) == reply("again")


def test_replies_of_one_partition_are_none_of_another(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    StoreDesk(store, "p1").keep("k", reply())
    assert StoreDesk(store, "p2").look("k") is None


def test_what_is_published_serves_when_the_work_store_is_empty(tmp_path: Path) -> None:
    work, output = FileStore(tmp_path / "work"), FileStore(tmp_path / "out")
    desk = StoreDesk(work, "p")
    for key in "cab":
        desk.keep(key, reply(key))
    entry = publish_replies(output, "p", StoreDesk(work, "p"), {"a", "b"})
    assert read_replies(output, entry) == {"a": reply("a"), "b": reply("b")}
    later = StoreDesk(FileStore(tmp_path / "other"), "p", output, entry)
    assert later.look("b") == reply("b")
    assert later.look("c") is None
    assert publish_replies(output, "p", later, {"a", "b"}) is entry
    listing = write_listing(output, {"p": entry})
    assert read_listing(output, listing) == {"p": entry}


def test_rows_without_their_replies_are_not_published(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    with pytest.raises(DamageError, match="delete the folder memo/"):
        publish_replies(store, "p", StoreDesk(store, "p"), {"gone"})


def test_of_two_drivers_results_of_the_same_rows_the_first_stands(tmp_path: Path) -> None:
    """A request may have failed for one driver and been answered for the other."""
    memo = Memo(FileStore(tmp_path))
    answered, failed = (pa.table({"key": ["k"], "said": [text]}) for text in ("yes", "failed"))
    assert memo.put_first("rewrite", "f" * 64, "p", answered, 0) is answered
    assert memo.put_first("rewrite", "f" * 64, "p", failed, 0).equals(answered)
    assert memo.put_first("rewrite", "f" * 64, "p", failed, 1) is failed  # another generation


def test_a_pack_that_lost_rows_since_does_not_stand_for_all_of_them(tmp_path: Path) -> None:
    """Another driver's stop may have dropped the failures of a pack of that very name."""
    store = FileStore(tmp_path)
    memo, fingerprint = Memo(store), "f" * 64
    both = pa.table({"key": ["k", "l"], "said": ["yes", "no"]})
    memo.put_first("rewrite", fingerprint, "p", both, 0)
    (path,) = store.list("memo")
    store.put(path, pack_bytes(both.slice(1)))
    assert memo.put_first("rewrite", fingerprint, "p", both, 0).equals(both)
    assert unpack(store.get(path), path).equals(both)
