"""The sweep of faults: what an S3 server or the network does, on which operation, how it must end.

`play` runs one case through the proxy. docs/storage.md holds the table; a test compares the two.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from schemas.canonical import sha256_hex
from schemas.errors import VoxmillError
from schemas.object_store import PART_BYTES
from schemas.store import Store, open_store
from tests.proxy import (
    Fault,
    Proxy,
    answering,
    cutting,
    cutting_the_upload,
    ignoring_range,
    resetting,
    shortening,
    slow,
    stalling,
    then_says,
)

DATA = bytes(range(256)) * 40
BIG = bytes(2 * PART_BYTES) + DATA
ALWAYS = -1
RIGHT = ""  # the outcome of a case that ends in the right bytes
TIMEOUT_S = 1.0
RETRY_S = 1.5


@dataclass(frozen=True)
class Operation:
    """One thing that Voxmill asks of a store. ``run`` raises AssertionError for wrong bytes."""

    name: str
    method: str  # of the request that the fault hits
    run: Callable[[Store, Path], None]
    pattern: str = "object"


@dataclass(frozen=True)
class Case:
    """A fault on an operation, so many times; ``outcome``: RIGHT, or words of the error."""

    fault: Fault
    operation: Operation
    times: int = 1
    outcome: str = RIGHT

    @property
    def name(self) -> str:
        """For the table: fault, how often, where."""
        often = {1: "once", ALWAYS: "for ever"}.get(self.times, f"{self.times} times")
        return f"{self.fault.name}, {often}: {self.operation.name}"


def _get(store: Store, folder: Path) -> None:
    assert store.get("object") == DATA


def _range(store: Store, folder: Path) -> None:
    assert store.get_range("object", 100, 3000) == DATA[100:3100]


def _ranges(store: Store, folder: Path) -> None:
    assert store.get_ranges("object", [(9000, 5), (0, 9)]) == [DATA[9000:9005], DATA[:9]]


def _head(store: Store, folder: Path) -> None:
    assert store.size("object") == len(DATA)


def _list(store: Store, folder: Path) -> None:
    assert store.list("") == ["object"]


def _put(store: Store, folder: Path) -> None:
    store.put("new-object", DATA)
    assert store.get("new-object") == DATA


def _put_new(store: Store, folder: Path) -> None:
    assert store.put_new("new-object", DATA)
    assert store.get("new-object") == DATA
    assert not store.put_new("new-object", b"another's")
    assert store.get("new-object") == DATA


def _put_file(store: Store, folder: Path) -> None:
    local = folder / "local"
    local.write_bytes(DATA)
    store.put_file("new-object", local, sha256=sha256_hex(DATA))
    assert store.get("new-object") == DATA
    assert store.vouched_sha256("new-object") == sha256_hex(DATA)


def _put_parts(store: Store, folder: Path) -> None:
    local = folder / "local"
    local.write_bytes(BIG)
    store.put_file("new-object", local, sha256=sha256_hex(BIG))
    assert store.get("new-object") == BIG
    assert store.vouched_sha256("new-object") == sha256_hex(BIG)


def _delete(store: Store, folder: Path) -> None:
    store.delete("object")
    assert store.list("") == []


GET = Operation("get", "GET", _get)
RANGE = Operation("ranged get", "GET", _range)
RANGES = Operation("several ranges", "GET", _ranges)
HEAD = Operation("head", "HEAD|GET", _head)  # what HEAD does not say, GET is asked
LIST = Operation("list", "GET", _list, "list-type")
PUT = Operation("put", "PUT", _put)
PUT_NEW = Operation("conditional put", "PUT", _put_new)
PUT_FILE = Operation("put of a file", "PUT", _put_file)
PART = Operation("a part of a file", "PUT", _put_parts, "partNumber=2")
BEGIN = Operation("begin of an upload", "POST", _put_parts, "uploads")
COMPLETE = Operation("end of an upload", "POST", _put_parts, r"uploadId")
DELETE = Operation("delete", "POST|DELETE", _delete, "")
READS = (GET, RANGE, RANGES, HEAD, LIST)
WRITES = (PUT, PUT_NEW, PUT_FILE, PART, BEGIN, COMPLETE)
ALL = (*READS, *WRITES, DELETE)

SLOW_DOWN = answering(503, "SlowDown", "Please reduce your request rate.")
TOO_MANY = answering(500, "InternalError")
EXPIRED = answering(400, "ExpiredToken", "The provided token has expired.")
FORBIDDEN = answering(403, "AccessDenied", "Access Denied")
UNKNOWN_KEY = answering(403, "InvalidAccessKeyId", "The key does not exist in our records.")
NO_BUCKET = answering(404, "NoSuchBucket", "The specified bucket does not exist")
FULL = answering(507, "QuotaExceeded", "Bucket quota exceeded")
CONFLICT = answering(409, "ConditionalRequestConflict")
SKEWED = answering(403, "RequestTimeTooSkewed")


def cases() -> list[Case]:
    """Every case of the sweep."""
    found = [Case(fault, operation) for fault in (SLOW_DOWN, TOO_MANY) for operation in ALL]
    found += [Case(resetting(), operation) for operation in ALL]
    found += [Case(resetting(after_success=True), operation) for operation in (*WRITES, DELETE)]
    found += [Case(SLOW_DOWN, operation, 3) for operation in (GET, PUT_NEW, PART)]
    found += [
        Case(SLOW_DOWN, operation, ALWAYS, "slow down and went on asking")
        for operation in (GET, LIST, PUT, PUT_NEW)
    ]
    found += [
        Case(resetting(), operation, ALWAYS, "run the same command again|no server answers")
        for operation in (GET, PUT, PUT_NEW)
    ]
    found += [
        Case(fault, operation)
        for fault in (cutting(), cutting(2000))
        for operation in (GET, RANGE, RANGES, LIST)
    ]
    found += [Case(cutting(), GET, ALWAYS, "answers break off on the way")]
    found += [Case(shortening(), RANGE, 1, "wanted .* bytes at .* the object ended after")]
    found += [Case(cutting_the_upload(), operation) for operation in (PUT, PUT_NEW, PUT_FILE, PART)]
    found += [
        Case(ignoring_range(), operation, ALWAYS, "ignores Range") for operation in (RANGE, RANGES)
    ]
    found += [Case(CONFLICT, PUT_NEW), Case(CONFLICT, PUT_NEW, 3)]
    found += [Case(CONFLICT, PUT_NEW, ALWAYS, "another writer kept this object busy")]
    found += [Case(then_says(412, "PreconditionFailed"), PUT_NEW)]
    found += [Case(then_says(409, "ConditionalRequestConflict"), PUT_NEW)]
    found += [Case(then_says(500, "InternalError"), operation) for operation in WRITES]
    found += [Case(slow(0.02), operation) for operation in (GET, RANGE)]
    found += [Case(stalling(TIMEOUT_S + 1), operation) for operation in (GET, PUT_NEW)]
    for fault, words in (
        (EXPIRED, "credentials have expired; renew them"),
        (FORBIDDEN, "access is denied; the credentials need to"),
        (UNKNOWN_KEY, "does not know these credentials; check AWS_ACCESS_KEY_ID"),
        (SKEWED, "clock is wrong by more than the store allows; set the clock"),
    ):
        found += [
            Case(fault, item, ALWAYS, words) for item in (GET, HEAD, LIST, PUT, PUT_NEW, PART)
        ]
    found += [
        Case(NO_BUCKET, item, ALWAYS, "the bucket is not there; create it, or correct")
        for item in (GET, LIST, PUT, PUT_NEW, BEGIN)
    ]
    found += [
        Case(FULL, item, ALWAYS, "the bucket is full; free some space")
        for item in (PUT, PUT_NEW, PUT_FILE, PART, COMPLETE)
    ]
    return found


def short() -> list[Case]:
    """One case for each fault and outcome, on the operations in turn: what `make test` runs."""
    chosen: dict[tuple[str, str], list[Case]] = {}
    for case in cases():
        chosen.setdefault((case.fault.name, case.outcome), []).append(case)
    found = [group[number % len(group)] for number, group in enumerate(chosen.values())]
    return [*found, Case(cutting(), LIST)]  # which the client itself does not ask for again


def play(case: Case, proxy: Proxy, uri: str, folder: Path) -> str:
    """Run a case in the empty place ``uri``; RIGHT, or the error's text.

    Raises AssertionError for wrong bytes, and for a fault that never struck.
    """
    open_store(proxy.server.address(uri)).put("object", DATA)
    proxy.rules.clear()
    rule = proxy.break_with(
        case.fault, case.operation.method, case.operation.pattern, times=case.times
    )
    store = open_store(proxy.front.address(uri, timeout_s=TIMEOUT_S, retry_s=RETRY_S))
    ended = RIGHT
    try:
        case.operation.run(store, folder)
    except VoxmillError as error:
        ended = str(error)
    assert rule.hits >= 1, "the fault never struck"
    proxy.rules.clear()
    whole = open_store(proxy.server.address(uri))
    for path in whole.list(""):  # whatever happened, nothing is half there
        assert whole.get(path) in (DATA, BIG), f"{path} is damaged"
    return ended


def agrees(case: Case, ended: str) -> bool:
    """Whether a case ended as it must."""
    if case.outcome == RIGHT or ended == RIGHT:
        return case.outcome == ended
    return re.search(case.outcome, ended) is not None
