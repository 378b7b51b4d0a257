"""Any OpenAI-compatible endpoint (vLLM, SGLang, llama.cpp, hosted): an asynchronous client."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from schemas.errors import BackendError
from transforms.backends.chat.health import Health
from transforms.backends.chat.lanes import Lane, Lanes
from transforms.backends.chat.protocol import (
    Ask,
    ChatError,
    ContextExceeded,
    Reply,
    RequestRefused,
    Sampling,
)
from transforms.backends.chat.secret import Secret
from transforms.backends.chat.wire import Outcome, request_body, understand

if TYPE_CHECKING:
    import aiohttp

logger = logging.getLogger(__name__)
MAX_BODY_BYTES = 4_000_000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
OVERLOAD_PAUSE_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A model behind one or more addresses, each ending in ``/v1`` or the like.

    Only ``sampling`` changes replies. ``patience_s`` is how long nothing may be answered before the
    build stops; ``max_attempts`` how often one request may fail while others succeed.
    ``max_in_flight`` is of one worker; ``processes`` workers ask at a time.
    """

    sampling: Sampling
    urls: tuple[str, ...] = ()
    not_ready: str = ""  # why nothing can be asked
    key: Secret | None = None
    also_named: tuple[str, ...] = ()
    max_in_flight: int = 256
    timeout_s: float = 300.0
    connect_timeout_s: float = 10.0
    patience_s: float = 120.0
    max_attempts: int = 5
    processes: int = 1

    body_type: ClassVar[str] = "application/json"

    def identity(self) -> Mapping[str, object]:
        return asdict(self.sampling)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["EndpointChat"]:
        if self.not_ready or not self.urls:
            why = self.not_ready or "no endpoint is named"
            raise BackendError(
                f"model {self.sampling.model}: a reply is wanted that is not stored, and {why}"
            )
        try:
            import aiohttp
        except ImportError as error:
            raise BackendError(
                "the endpoint client needs aiohttp: pip install -c constraints.txt -e '.[llm]'"
            ) from error
        headers = {"Content-Type": self.body_type, "Accept": "application/json"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key.reveal()}"
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60.0),
            timeout=aiohttp.ClientTimeout(
                total=self.timeout_s, sock_connect=self.connect_timeout_s
            ),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=16_384,
        ) as session:
            yield self.client(session)

    def client(self, session: "aiohttp.ClientSession") -> "EndpointChat":
        """What asks over an open session."""
        return EndpointChat(self, session)


@dataclass(frozen=True)
class Answer:
    """A response as it came; ``kind`` is its content type."""

    status: int
    kind: str
    headers: Mapping[str, str]
    data: bytes


@dataclass
class Tries:
    """What befell one request so far."""

    sent: int = 0
    overloads: int = 0
    failures: int = 0
    among_others: int = 0  # failures during which another request succeeded


class EndpointChat:
    """The client of one worker: all its requests share limits, connections and health.

    What is said over the wire is in three methods that other services replace.
    """

    path = "/chat/completions"
    max_body_bytes = MAX_BODY_BYTES

    def __init__(self, settings: Endpoint, session: "aiohttp.ClientSession") -> None:
        self._settings = settings
        self._session = session
        each = -(-settings.max_in_flight // len(settings.urls))
        self._lanes = Lanes([Lane(url.rstrip("/"), each) for url in settings.urls])
        self._health = Health(f"model {settings.sampling.model}", settings.patience_s)
        self._known = frozenset((settings.sampling.model, *settings.also_named))
        self._probe: asyncio.Task[bool] | None = None
        self._jitter = random.Random()  # spreads retries over time; no byte depends on it

    async def complete(self, ask: Ask) -> Reply:
        body = self._body(ask)
        tries = Tries()
        while True:
            lane = await self._lanes.take()
            epoch, before = lane.limiter.epoch, self._health.successes
            try:
                tries.sent += 1
                outcome = await self._send(lane, body, ask)
                if outcome.kind == "reply":
                    lane.limiter.succeeded()
                    self._lanes.answered(lane)
                elif outcome.kind == "passing":
                    self._lanes.failed(lane)
                elif outcome.kind == "overload":
                    self._overloaded(lane, epoch, outcome)
            finally:
                self._lanes.give_back(lane)
            if outcome.reply is not None:
                self._health.succeeded()
                return {**outcome.reply, "attempts": tries.sent}
            self._raise_if_final(outcome)
            stop = self._health.troubled(outcome.message)
            if outcome.kind == "passing":
                tries.failures += 1
                tries.among_others += self._health.successes > before
                await self._raise_if_to_blame(tries, lane, outcome, stop is not None)
            if stop is not None:
                raise stop
            await asyncio.sleep(self._pause_s(tries, outcome))

    async def _raise_if_to_blame(
        self, tries: Tries, lane: Lane, outcome: Outcome, hopeless: bool
    ) -> None:
        """A request that keeps failing while others succeed, or while a probe does, fails alone."""
        most = self._settings.max_attempts
        blamed = tries.among_others >= most
        if not blamed and (hopeless or tries.failures >= most):
            blamed = await self._alive()
        if blamed:
            raise ChatError(
                f"{lane.url}: failed {tries.failures} times while others succeeded; last: "
                f"{outcome.message}",
                retryable=True,
            )

    async def _alive(self) -> bool:
        """Whether a request of two words is answered. One probe at a time, shared by all."""
        if self._probe is None or self._probe.done():
            self._probe = asyncio.ensure_future(self._probed())
        return await asyncio.shield(self._probe)

    async def _probed(self) -> bool:
        ask, body = self._short()
        lane = await self._lanes.take()
        try:
            alive = (await self._send(lane, body, ask)).kind == "reply"
        finally:
            self._lanes.give_back(lane)
        if alive:
            self._health.succeeded()
        return alive

    def _body(self, ask: Ask) -> bytes:
        return request_body(self._settings.sampling, ask)

    def _most_bytes(self, ask: Ask) -> int:
        """What a reply can have at most; the rest of a longer one is not read."""
        return self.max_body_bytes

    def _short(self) -> tuple[Ask, bytes]:
        """The smallest request there is, to see whether anything is answered."""
        short = replace(self._settings.sampling, max_tokens=1, json_mode="none")
        ask = Ask(messages=(("user", "Say hi."),), answer_key="", seed=0)
        return ask, request_body(short, ask)

    async def _understood(self, ask: Ask, answer: Answer) -> Outcome:
        return understand(
            answer.status,
            answer.kind,
            answer.headers.get("Retry-After"),
            answer.data,
            self._known,
        )

    async def _send(self, lane: Lane, body: bytes, ask: Ask) -> Outcome:
        got = await self._fetched(lane, self.path, body, self._most_bytes(ask))
        outcome = await self._understood(ask, got) if isinstance(got, Answer) else got
        return self._redacted(outcome)

    async def _fetched(self, lane: Lane, path: str, body: bytes, most: int) -> Answer | Outcome:
        """What came of a posted body: a response of at most ``most`` bytes, or why not."""
        import aiohttp

        try:
            async with self._session.post(
                lane.url + path, data=body, allow_redirects=False
            ) as response:
                data = bytearray()
                async for chunk in response.content.iter_any():
                    data += chunk
                    if len(data) > most:
                        return Outcome("passing", f"a body without end, over {len(data)} bytes")
                return Answer(response.status, response.content_type, response.headers, bytes(data))
        except TimeoutError:
            return Outcome("passing", f"{lane.url}: no answer within {self._settings.timeout_s} s")
        except aiohttp.InvalidURL as error:
            return Outcome("fault", f"not an address: {error}")
        except (aiohttp.ClientError, OSError) as error:
            return Outcome("passing", f"{lane.url}: {type(error).__name__}: {error}")

    def _redacted(self, outcome: Outcome) -> Outcome:
        """Without the API key, which a server may quote."""
        if self._settings.key is None or not outcome.message:
            return outcome
        shown = self._settings.key.redact(outcome.message)
        return Outcome(outcome.kind, shown, outcome.reply, outcome.retry_after_s)

    def _overloaded(self, lane: Lane, epoch: int, outcome: Outcome) -> None:
        """Flow control: the limit comes down; a server that takes nothing at all gets a rest."""
        lane.limiter.refused(epoch)
        if lane.limiter.in_flight <= 1 and outcome.retry_after_s:
            self._lanes.pause(lane, outcome.retry_after_s)

    def _pause_s(self, tries: Tries, outcome: Outcome) -> float:
        """What a request waits before it queues again, spread by chance."""
        if outcome.kind == "overload":
            tries.overloads += 1
            most = OVERLOAD_PAUSE_S * 2.0 ** min(tries.overloads - 1, 6)
            return (outcome.retry_after_s or most) * self._jitter.uniform(1.0, 1.25)
        most = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(tries.failures - 1, 6))
        return self._jitter.uniform(most / 2, most)

    def _raise_if_final(self, outcome: Outcome) -> None:
        settings = self._settings
        if outcome.kind == "fault":
            raise BackendError(
                f"model {settings.sampling.model} at {', '.join(settings.urls)}: "
                f"{outcome.message}. Check the address (it ends in /v1), the model's name, "
                "endpoint.also_named and endpoint.api_key_env; `voxmill doctor JOB` tells which"
            )
        if outcome.kind == "context":
            raise ContextExceeded(
                f"{outcome.message}; shorten the text, or set a smaller models.NAME.max_tokens"
            )
        if outcome.kind == "refused":
            self._health.refused(outcome.message)
            raise RequestRefused(outcome.message)
