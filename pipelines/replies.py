"""The model replies of a partition: committed one by one while it runs, published when it is done.

A reply is an object of its own in the work store, created only if there is none, so the first one
stands: after a kill, and where two drivers ask at once. When a partition has its verdicts, the
replies that its rows used are written to ``inputs/`` as one file that the snapshot names.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.canonical import canonical_json, pretty_json, sha256_hex
from schemas.columns import field
from schemas.errors import DamageError, StoreError
from schemas.parquet import read_table
from schemas.snapshot import FileEntry, read_verified
from schemas.store import Store
from transforms.ask import CALLS_SUFFIX, Call
from transforms.backends.chat.protocol import FAILURES, ChatError, Reply

REPLIES: Final = pa.schema(
    [
        field("key", pa.string(), "digest of the request"),
        field("text", pa.string(), "the reply as it came"),
        field("finish_reason", pa.string(), "as the server says"),
        field("refusal", pa.string(), "as the server says"),
        field("model", pa.string(), "the model that the server names"),
        field("prompt_tokens", pa.int64(), "as the server counts", unit="tokens"),
        field("completion_tokens", pa.int64(), "as the server counts", unit="tokens"),
        field("attempts", pa.int32(), "requests sent until it came", unit="requests"),
    ]
)


class StoreDesk:
    """The desk of one partition: its committed replies, then those that a snapshot published."""

    def __init__(
        self,
        work: Store,
        partition: str,
        output: Store | None = None,
        entry: FileEntry | None = None,
        asked: Callable[[Reply], None] = lambda reply: None,
        scratch: str = "",
    ) -> None:
        """``asked`` is told of each reply that is committed here.

        ``scratch`` is the folder of this run, where requests that failed are noted.
        """
        self._work, self._output, self._entry, self._asked = work, output, entry, asked
        self.folder = f"replies/{partition}"
        self._lock = Lock()
        self._there: set[str] | None = None
        self._published: dict[str, Reply] | None = None
        self._noted = f"{scratch}/unanswered/{partition}" if scratch else ""
        self._failed: set[str] | None = None

    def look(self, key: str) -> Reply | None:
        with self._lock:
            if self._there is None:
                self._there = set(self._work.list(self.folder))
        path = f"{self.folder}/{key}.json"
        if path in self._there:
            found = _parsed(self._work, path)
            if found is not None:
                return found
        return self.published().get(key)

    def keep(self, key: str, reply: Reply) -> Reply:
        path = f"{self.folder}/{key}.json"
        self._asked(reply)
        while not self._work.put_new(path, _sealed(reply)):
            standing = _parsed(self._work, path)
            if standing is not None:
                return standing
        return reply

    def failure(self, key: str) -> ChatError | None:
        if not self._noted:
            return None
        with self._lock:
            if self._failed is None:
                self._failed = set(self._work.list(self._noted))
        path = f"{self._noted}/{key}.json"
        if path not in self._failed:
            return None
        told = json.loads(self._work.get(path))
        return FAILURES[told["kind"]](told["message"], retryable=told["retryable"])

    def fail(self, key: str, error: ChatError) -> None:
        kind = type(error).__name__
        if self._noted and kind in FAILURES:
            told = {"kind": kind, "message": str(error), "retryable": error.retryable}
            self._work.put(f"{self._noted}/{key}.json", canonical_json(told))

    @property
    def entry(self) -> FileEntry | None:
        """The file of the parent snapshot."""
        return self._entry

    @property
    def where(self) -> str:
        """Its folder, for messages."""
        return f"{self._work.uri}/{self.folder}"

    def entry_if(self, keys: set[str]) -> FileEntry | None:
        """The published file, if it holds these replies and no others."""
        try:
            return self._entry if self.published().keys() == keys else None
        except (DamageError, StoreError):
            return None  # it is written again

    def published(self) -> dict[str, Reply]:
        """What the parent snapshot holds for this partition; read when first needed."""
        with self._lock:
            if self._published is None:
                self._published = {}
                if self._output is not None and self._entry is not None:
                    self._published = read_replies(self._output, self._entry)
            return self._published


def _sealed(reply: Reply) -> bytes:
    body = canonical_json(reply)
    return canonical_json({"reply": reply, "sha256": sha256_hex(body)})


def _parsed(work: Store, path: str) -> Reply | None:
    """A committed reply; a torn or damaged one is removed, and asked for again."""
    try:
        value = json.loads(work.get(path))
        reply: Reply = value["reply"]
        if sha256_hex(canonical_json(reply)) == value["sha256"]:
            return reply
    except (ValueError, LookupError, TypeError):
        pass
    work.delete(path)
    return None


def read_replies(output: Store, entry: FileEntry) -> dict[str, Reply]:
    """The published replies of one partition, by key."""
    table = read_table(read_verified(output, entry), REPLIES, entry["name"])
    found: dict[str, Reply] = {}
    for row in table.to_pylist():
        found[row.pop("key")] = row
    return found


def used_calls(tables: Mapping[str, pa.Table]) -> Iterator[tuple[str, Call]]:
    """(step, call) for every request behind the rows of an evaluated partition."""
    for table in tables.values():
        for name in table.column_names:
            if name.endswith(CALLS_SUFFIX):
                for calls in table.column(name).to_pylist():
                    for call in calls or []:
                        yield name.removesuffix(CALLS_SUFFIX), call


def publish_replies(output: Store, partition: str, desk: StoreDesk, keys: set[str]) -> FileEntry:
    """Write the replies of a partition to ``inputs/``, unless the parent's file is just that."""
    entry = desk.entry_if(keys)
    if entry is not None:
        return entry
    rows = []
    for key in sorted(keys):
        reply = desk.look(key)
        if reply is None:
            raise DamageError(
                f"{desk.where}/{key}.json: gone, though rows were made from it; delete the folder "
                "memo/ of the work store and build again"
            )
        rows.append({"key": key, **reply})
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=REPLIES), sink, compression="zstd")
    data = sink.getvalue().to_pybytes()
    sha256 = sha256_hex(data)
    made: FileEntry = {
        "name": f"inputs/{partition}-replies-{sha256[:12]}.parquet",
        "sha256": sha256,
    }
    output.put(made["name"], data)
    return made


def write_listing(output: Store, entries: dict[str, FileEntry]) -> FileEntry:
    """One file that names the replies of every partition."""
    data = pretty_json(entries)
    sha256 = sha256_hex(data)
    listing: FileEntry = {"name": f"inputs/replies-{sha256[:12]}.json", "sha256": sha256}
    output.put(listing["name"], data)
    return listing


def read_listing(output: Store, listing: FileEntry | None) -> dict[str, FileEntry]:
    """The reply files of a snapshot, by partition."""
    if listing is None:
        return {}
    entries: dict[str, FileEntry] = json.loads(read_verified(output, listing))
    return entries
