"""A small HTTP proxy of the tests' own, in front of an S3 server, that breaks things on purpose.

It understands just enough of HTTP/1.1 to pass requests with a Content-Length on. It runs in a
thread of the test; `Proxy.break_with` says what goes wrong, where and how often.
"""

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlparse

from tests.servers import Server


@dataclass
class Request:
    """One request as it came. Header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def to_bytes(self) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


@dataclass
class Answer:
    """What goes back: ``cut`` bytes of the body only, then the connection is dropped.

    ``reset`` sends nothing at all and drops the connection. ``pause_s`` comes before each KiB.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    cut: int | None = None
    reset: bool = False
    pause_s: float = 0.0


Ask = Callable[[Request], Awaitable[Answer]]  # asks the real server


@dataclass(frozen=True)
class Fault:
    """What goes wrong: gets the request and the way to the real server, gives what goes back."""

    name: str
    run: Callable[[Request, Ask], Awaitable[Answer]]


@dataclass
class Rule:
    """A fault for requests that match, ``times`` of them after the first ``after``; -1: always."""

    matches: Callable[[Request], bool]
    fault: Fault
    times: int = 1
    after: int = 0
    hits: int = 0


@dataclass
class Proxy:
    """The running proxy: an S3 endpoint, its rules, and what it has seen."""

    server: Server
    endpoint: str = ""
    rules: list[Rule] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    sent: list[tuple[str, int]] = field(default_factory=list)  # of GET: target, bytes of the body

    @property
    def front(self) -> Server:
        """The server as it looks through the proxy."""
        return Server(self.endpoint)

    def read_bytes(self, pattern: str = "") -> int:
        """How many bytes clients were sent of objects whose path and query match."""
        return sum(size for target, size in self.sent if re.search(pattern, target))

    def break_with(
        self,
        fault: Fault,
        method: str,
        pattern: str = "",
        *,
        times: int = 1,
        after: int = 0,
        conditional: bool | None = None,
    ) -> Rule:
        """Apply a fault to ``times`` requests of a method whose path and query match."""

        def matches(request: Request) -> bool:
            if_none = "if-none-match" in request.headers
            return (
                request.method in method.split("|")
                and re.search(pattern, request.target) is not None
                and conditional in (None, if_none)
            )

        rule = Rule(matches, fault, times, after)
        self.rules.append(rule)
        return rule


def answering(status: int, code: str, message: str = "made by the test's proxy") -> Fault:
    """The request is not passed on: the store says this instead."""

    async def run(request: Request, ask: Ask) -> Answer:
        body = (
            f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        )
        return Answer(status, {"content-type": "application/xml"}, body.encode())

    return Fault(f"{status} {code}", run)


def resetting(*, after_success: bool = False) -> Fault:
    """The connection drops; ``after_success``: the store has done it, and its answer is lost."""

    async def run(request: Request, ask: Ask) -> Answer:
        if after_success:
            await ask(request)
        return Answer(0, {}, b"", reset=True)

    return Fault("answer lost" if after_success else "reset", run)


def then_says(status: int, code: str) -> Fault:
    """The store does it, and the client hears an error instead."""

    async def run(request: Request, ask: Ask) -> Answer:
        await ask(request)
        body = f"<Error><Code>{code}</Code><Message>made by the test's proxy</Message></Error>"
        return Answer(status, {"content-type": "application/xml"}, body.encode())

    return Fault(f"{status} after success", run)


def cutting(at: int = 10) -> Fault:
    """The answer's body ends after ``at`` bytes, and the connection drops."""

    async def run(request: Request, ask: Ask) -> Answer:
        answer = await ask(request)
        answer.cut = min(at, max(0, len(answer.body) - 1))
        return answer

    return Fault("truncated answer", run)


def shortening() -> Fault:
    """The answer's body loses its last byte and its Content-Length agrees: a quiet lie."""

    async def run(request: Request, ask: Ask) -> Answer:
        answer = await ask(request)
        answer.body = answer.body[:-1]
        return answer

    return Fault("quietly short answer", run)


def cutting_the_upload() -> Fault:
    """Half of the request's body reaches the store, then both connections drop."""

    async def run(request: Request, ask: Ask) -> Answer:
        half = Request(
            request.method,
            request.target,
            dict(request.headers),
            request.body[: len(request.body) // 2],
        )
        with suppress(OSError, asyncio.IncompleteReadError):
            await ask(half)
        return Answer(0, {}, b"", reset=True)

    return Fault("truncated upload", run)


def ignoring_range() -> Fault:
    """The store sends 200 and the whole object, as if no Range had been asked for."""

    async def run(request: Request, ask: Ask) -> Answer:
        request.headers.pop("range", None)
        return await ask(request)

    return Fault("ignored Range", run)


def ignoring_conditions() -> Fault:
    """The store writes as if If-None-Match had not been sent."""

    async def run(request: Request, ask: Ask) -> Answer:
        request.headers.pop("if-none-match", None)
        return await ask(request)

    return Fault("ignored If-None-Match", run)


def slow(pause_s: float) -> Fault:
    """The answer trickles, a KiB at a time."""

    async def run(request: Request, ask: Ask) -> Answer:
        answer = await ask(request)
        answer.pause_s = pause_s
        return answer

    return Fault("slow body", run)


def stalling(seconds: float) -> Fault:
    """Nothing comes for so long."""

    async def run(request: Request, ask: Ask) -> Answer:
        await asyncio.sleep(seconds)
        return await ask(request)

    return Fault("stalled", run)


@contextmanager
def proxy(server: Server) -> Iterator[Proxy]:
    """A proxy in front of ``server``, in a thread of its own, until the block ends."""
    front = Proxy(server)
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        listener = await asyncio.start_server(
            lambda reader, writer: _client(front, reader, writer), "127.0.0.1", 0
        )
        front.endpoint = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        ready.set()
        await stop.wait()
        listener.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield front
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


async def _client(front: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while (request := await _read_request(reader, writer)) is not None:
            front.seen.append((request.method, request.target))
            answer = await _answer(front, request)
            if request.method == "GET":
                front.sent.append((request.target, len(answer.body[: answer.cut])))
            if not await _send(writer, answer, request.method == "HEAD"):
                break
    except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
        pass
    finally:
        with suppress(OSError):
            writer.close()


async def _answer(front: Proxy, request: Request) -> Answer:
    async def ask(passed: Request) -> Answer:
        return await _ask(front.server, passed)

    for rule in front.rules:
        if rule.matches(request) and rule.times != 0:
            rule.after -= 1
            if rule.after >= 0:
                continue
            rule.times -= 1
            rule.hits += 1
            return await rule.fault.run(request, ask)
    return await ask(request)


async def _read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Request | None:
    line = await reader.readline()
    if not line:
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers = await _read_headers(reader)
    if headers.pop("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, target, headers, body)


async def _read_headers(reader: asyncio.StreamReader) -> dict[str, str]:
    headers = {}
    while (line := await reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


async def _ask(server: Server, request: Request) -> Answer:
    """The server's own answer. A body shorter than announced is sent as far as it goes."""
    place = urlparse(server.endpoint)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        writer.write(request.to_bytes())
        await writer.drain()
        if len(request.body) < int(request.headers.get("content-length", "0")):
            writer.write_eof()
        line = await reader.readline()
        if not line:
            raise ConnectionResetError("the server closed the connection")
        status = int(line.split()[1])
        headers = await _read_headers(reader)
        body = b""
        if request.method != "HEAD" and status != 204:
            body = await _read_body(reader, headers)
        return Answer(status, headers, body)
    finally:
        writer.close()


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.pop("transfer-encoding", "").lower() == "chunked":
        pieces = []
        while size := int((await reader.readline()).split(b";")[0], 16):
            pieces.append(await reader.readexactly(size))
            await reader.readline()
        await reader.readline()
        return b"".join(pieces)
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    return await reader.read()


async def _send(writer: asyncio.StreamWriter, answer: Answer, head: bool) -> bool:
    """Whether the connection lives on."""
    if answer.reset:
        writer.transport.abort()
        return False
    if not head or answer.body:
        answer.headers["content-length"] = str(len(answer.body))
    lines = [f"HTTP/1.1 {answer.status} Made"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items() if name != "connection"]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
    body = b"" if head else answer.body[: answer.cut]
    if answer.pause_s:
        for start in range(0, len(body), 1024):
            await asyncio.sleep(answer.pause_s)
            writer.write(body[start : start + 1024])
            await writer.drain()
    else:
        writer.write(body)
    await writer.drain()
    if answer.cut is not None:
        await asyncio.sleep(0.01)
        writer.transport.abort()
        return False
    return True
