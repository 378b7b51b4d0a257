"""Speech from any OpenAI-compatible ``/v1/audio/speech``, over the transport of the chat client.

A server's speech is not a function of the request. So each reply is committed under its request's
key before it is used, as a language model's is, and the first one counts (docs/adr/0060).
"""

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from schemas.errors import BackendError, RowError
from transforms.audio import decode_flac
from transforms.backends.chat.desk import Desk, MemoryDesk
from transforms.backends.chat.endpoint import Answer, Endpoint, EndpointChat, Tries
from transforms.backends.chat.office import AskFor, Office
from transforms.backends.chat.protocol import Ask, ChatBackend, Reply
from transforms.backends.chat.wire import Outcome, understand
from transforms.backends.tts import MANNERS, Paid, Said, Say, Speaker, Speech, VoiceSpec, spoken
from transforms.backends.tts_long import pieces_of, speak_long
from transforms.backends.tts_sound import DEFAULT_LIMITS, SoundLimits, longest_s
from transforms.backends.tts_wire import (
    SpeechAsk,
    SpeechForm,
    batch_replies,
    speech_fields,
    understand_speech,
)

if TYPE_CHECKING:
    import aiohttp

MAX_AUDIO_BYTES = 64_000_000
MAX_BYTES_PER_S = 192_000  # 32-bit samples at 48 kHz
HEADER_BYTES = 100_000  # and what else a file may hold
SPEEDS = (0.25, 4.0)  # as OpenAI documents them
GATHER_S = 0.02  # what a request waits for others of its batch
ALL_ROWS = 1_000_000  # of a partition: the client's limit is how many are in flight


@dataclass(frozen=True, kw_only=True)
class SpeechService(Endpoint):
    """The service as the transport sees it."""

    form: SpeechForm
    limits: SoundLimits = DEFAULT_LIMITS
    batch_items: int = 1  # above 1: /audio/speech/batch
    setting: str = "backends.NAME"  # for messages

    def identity(self) -> Mapping[str, object]:
        return {**asdict(self.form), "limits": str(self.limits)}

    def client(self, session: "aiohttp.ClientSession") -> "SpeechClient":
        return SpeechClient(self, session)


class SpeechClient(EndpointChat):
    """One worker's client: in flight, retried and given up as chat requests are."""

    path = "/audio/speech"
    max_body_bytes = MAX_AUDIO_BYTES

    def __init__(self, settings: SpeechService, session: "aiohttp.ClientSession") -> None:
        super().__init__(settings, session)
        self._service = settings
        self._gathering: list[tuple[SpeechAsk, asyncio.Future[Reply | None]]] = []
        self._batches: set[asyncio.Task[None]] = set()

    async def complete(self, ask: Ask) -> Reply:
        """The reply: of a batch where the server takes batches, else by itself."""
        if self._service.batch_items > 1:
            assert isinstance(ask, SpeechAsk)
            reply = await self._in_batch(ask)
            if reply is not None:
                return reply
        return await super().complete(ask)

    def _body(self, ask: Ask) -> bytes:
        assert isinstance(ask, SpeechAsk)
        fields = speech_fields(self._service.form, ask)
        return json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")

    def _short(self) -> tuple[Ask, bytes]:
        voice = VoiceSpec(name=self._last_voice or "alloy", lang="en")
        ask = SpeechAsk(text="Yes, that is so.", voice=voice)
        return ask, self._body(ask)

    def _most_bytes(self, ask: Ask) -> int:
        assert isinstance(ask, SpeechAsk)
        seconds = longest_s(ask.text, ask.voice, self._service.limits)
        return min(self.max_body_bytes, HEADER_BYTES + round(MAX_BYTES_PER_S * seconds))

    _last_voice = ""

    async def _understood(self, ask: Ask, answer: Answer) -> Outcome:
        assert isinstance(ask, SpeechAsk)
        self._last_voice = ask.voice.name
        service = self._service
        return await asyncio.to_thread(  # decoding takes a while, and others wait
            understand_speech,
            service.form,
            service.limits,
            ask,
            answer.status,
            answer.kind,
            answer.headers,
            answer.data,
        )

    async def _in_batch(self, ask: SpeechAsk) -> Reply | None:
        """The reply by way of a batch; None where that gave none, so that it is asked alone."""
        mine: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
        self._gathering.append((ask, mine))
        if len(self._gathering) >= self._service.batch_items:
            self._post(self._take())
        elif len(self._gathering) == 1:
            asyncio.get_running_loop().call_later(GATHER_S, lambda: self._post(self._take()))
        return await mine

    def _take(self) -> list[tuple[SpeechAsk, "asyncio.Future[Reply | None]"]]:
        taken, self._gathering = self._gathering, []
        return taken

    def _post(self, batch: list[tuple[SpeechAsk, "asyncio.Future[Reply | None]"]]) -> None:
        if batch:
            task = asyncio.ensure_future(self._posted(batch))
            self._batches.add(task)
            task.add_done_callback(self._batches.discard)

    async def _posted(self, batch: list[tuple[SpeechAsk, "asyncio.Future[Reply | None]"]]) -> None:
        found: dict[int, Reply] = {}
        try:
            found = await self._batch_replies([ask for ask, _ in batch])
        finally:
            for place, (_, future) in enumerate(batch):
                if not future.done():
                    future.set_result(found.get(place))

    async def _batch_replies(self, asks: list[SpeechAsk]) -> dict[int, Reply]:
        """What a batch gave, by place; whatever goes wrong is left to requests of one.

        But a server that is busy is believed: the limit comes down, and the batch waits.
        """
        form, limits = self._service.form, self._service.limits
        told = {"model": form.model, "items": [speech_fields(form, ask) for ask in asks]}
        body = json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")
        most = HEADER_BYTES + 4 * sum(map(self._most_bytes, asks)) // 3  # base64
        tries = Tries()
        while True:
            lane = await self._lanes.take()
            epoch = lane.limiter.epoch
            try:
                got = await self._fetched(lane, self.path + "/batch", body, most)
                outcome = self._redacted(_of_batch(got))
                if outcome.kind == "reply":
                    lane.limiter.succeeded()
                    self._lanes.answered(lane)
                elif outcome.kind == "overload":
                    self._overloaded(lane, epoch, outcome)
            finally:
                self._lanes.give_back(lane)
            if isinstance(got, Answer) and outcome.kind == "reply":
                found = await asyncio.to_thread(batch_replies, form, limits, asks, got.data)
                if found:
                    self._health.succeeded()
                return found
            if outcome.kind != "overload" or self._health.troubled(outcome.message) is not None:
                return {}
            await asyncio.sleep(self._pause_s(tries, outcome))


def _of_batch(got: Answer | Outcome) -> Outcome:
    """What the response of a batch means, before it is looked into."""
    if isinstance(got, Outcome):
        return got
    if got.status == 200:
        return Outcome("reply")
    return understand(got.status, got.kind, got.headers.get("Retry-After"), got.data, frozenset())


@dataclass(frozen=True, kw_only=True)
class SpeechEndpoint:
    """A backend of kind ``speech_endpoint``. Nothing of how it is reached is in its identity."""

    name: str = "speech_endpoint"
    service: ChatBackend
    form: SpeechForm
    max_chars: int = 4000
    limits: SoundLimits = DEFAULT_LIMITS

    bit_stable = False
    honors = frozenset(MANNERS)
    batch_rows = ALL_ROWS

    def identity(self, voice: VoiceSpec) -> Mapping[str, object]:
        """What is asked of the server; a reference clip by its checksum."""
        return {
            "backend": "speech_endpoint",
            "service": dict(self.service.identity()),
            "max_chars": self.max_chars,
        }

    def check(self, voice: VoiceSpec) -> None:
        """What can be known without asking: the doctor asks."""
        if voice.pitch != 1.0:
            raise BackendError(
                f"{self.name}: voice {voice.name!r} asks for a pitch of {voice.pitch}, which no "
                "speech endpoint can do; leave pitch at 1"
            )
        if not SPEEDS[0] <= voice.rate <= SPEEDS[1]:
            raise BackendError(
                f"{self.name}: voice {voice.name!r} asks for a rate of {voice.rate}; wanted "
                f"{SPEEDS[0]} to {SPEEDS[1]}"
            )
        if self.form.response_format == "pcm" and not self.form.sample_rate_hz:
            raise BackendError(
                f"{self.name}: pcm does not tell its rate; set backends.{self.name}.sample_rate_hz"
            )

    @contextmanager
    def open(self) -> Iterator[Speaker]:
        """A speaker whose replies live as long as it is open: for the doctor and for trials."""
        office = Office()
        try:
            yield self.speaker(office, MemoryDesk())
        finally:
            office.close()

    def speaker(self, office: Office, desk: Desk) -> "EndpointSpeaker":
        """A speaker whose replies are kept at a desk."""
        return EndpointSpeaker(self, office, office.asker(self.service, desk))

    def requests(self, items: Sequence[Say]) -> list[SpeechAsk]:
        """What a speaker asks for these texts: one request a piece."""
        return [_request(say) for say in pieces_of(items, self.max_chars).says]


class EndpointSpeaker:
    """Says texts by asking; all of a batch side by side."""

    def __init__(self, backend: SpeechEndpoint, office: Office, ask: AskFor) -> None:
        self._backend, self._office, self._ask = backend, office, ask

    def speak(self, text: str, voice: VoiceSpec) -> Speech:
        """Say ``text``. Raises RowError where this request is not answered."""
        (said,) = self.speak_batch([Say(text, voice)])
        return spoken(said)

    def speak_batch(self, items: Sequence[Say]) -> list[Said]:
        """Say several texts; long ones in pieces."""
        return speak_long(items, self._backend.max_chars, self._pieces)

    def _pieces(self, items: list[Say]) -> list[Said]:
        return self._office.gather(self._one(item) for item in items)

    async def _one(self, item: Say) -> Said:
        try:
            key, reply = await self._ask(_request(item))
        except RowError as error:
            return Said(None, error)
        samples, rate = decode_flac(base64.b64decode(reply["text"]))
        paid = Paid(
            key=key,
            characters=len(item.text),
            prompt_tokens=reply["prompt_tokens"],
            completion_tokens=reply["completion_tokens"],
            audio_ms=round(1000 * len(samples) / rate),
        )
        return Said(Speech(samples, rate), None, (paid,))


def _request(say: Say) -> SpeechAsk:
    # A seed that is not sent still counts in the key: another attempt asks anew.
    return SpeechAsk(text=say.text, voice=say.voice)
