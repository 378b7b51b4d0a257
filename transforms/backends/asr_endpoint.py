"""Speech to text by any OpenAI-compatible ``/v1/audio/transcriptions``, over the chat transport.

A server's text is not a function of the request. So each reply is committed under its request's
key before it is used, and the first one counts, as a language model's does (docs/adr/0068).
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from schemas.canonical import digest
from schemas.errors import RowError
from transforms.audio import encode_flac
from transforms.backends.asr_windows import MIN_SAMPLES
from transforms.backends.chat.desk import Desk, MemoryDesk
from transforms.backends.chat.endpoint import Answer, Endpoint, EndpointChat
from transforms.backends.chat.office import AskFor, Office
from transforms.backends.chat.protocol import KEY_DIGITS, Ask, ChatBackend, Reply
from transforms.backends.chat.wire import Outcome, understand
from transforms.backends.listening import (
    SAMPLE_RATE_HZ,
    Clip,
    OpenRecognizer,
    Request,
    Transcript,
)

if TYPE_CHECKING:
    import aiohttp

HEARD: Final = "transcript"  # the finish_reason of a kept reply
BOUNDARY: Final = "voxmill-3f1c9a7be2d84c06a51d7f90e6b3c8d24a7e15f0"
ALL_ROWS: Final = 1_000_000  # of a partition: the client's limit is how many are in flight


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a recognizer is and how it is asked: all of it changes replies.

    ``languages`` are the server's words for ours, where they differ; ``extra`` is a JSON object of
    further form fields, each a text.
    """

    model: str
    revision: str = ""
    temperature: float = 0.0
    prompt: str = ""
    languages: tuple[tuple[str, str], ...] = ()
    extra: str = "{}"


@dataclass(frozen=True, kw_only=True)
class HearAsk(Ask):
    """One clip to be transcribed. The file itself is in no key, its checksum is."""

    flac: bytes
    flac_sha256: str
    lang: str
    messages: tuple[tuple[str, str], ...] = ()
    answer_key: str = ""
    seed: int = 0

    @property
    def held_bytes(self) -> int:
        return 2 * len(self.flac)  # once more in the body

    def key(self, identity: Mapping[str, object]) -> str:
        """The digest under which the reply is kept."""
        told = {"transcribe": dict(identity), "flac": self.flac_sha256, "lang": self.lang}
        return digest(told)[:KEY_DIGITS]


@dataclass(frozen=True, kw_only=True)
class TranscriptionService(Endpoint):
    """The service as the transport sees it."""

    form: Form

    body_type: ClassVar[str] = f"multipart/form-data; boundary={BOUNDARY}"

    def identity(self) -> Mapping[str, object]:
        return asdict(self.form)

    def client(self, session: "aiohttp.ClientSession") -> "TranscriptionClient":
        return TranscriptionClient(self, session)


class TranscriptionClient(EndpointChat):
    """One worker's client: in flight, retried and given up as chat requests are."""

    path = "/audio/transcriptions"

    def __init__(self, settings: TranscriptionService, session: "aiohttp.ClientSession") -> None:
        super().__init__(settings, session)
        self._service = settings

    def _body(self, ask: Ask) -> bytes:
        assert isinstance(ask, HearAsk)
        return form_data(form_fields(self._service.form, ask.lang), ask.flac)

    def _short(self) -> tuple[Ask, bytes]:
        ask = silence("en")
        return ask, self._body(ask)

    async def _understood(self, ask: Ask, answer: Answer) -> Outcome:
        return understand_transcript(
            self._service.form.model,
            answer.status,
            answer.kind,
            answer.headers.get("Retry-After"),
            answer.data,
        )


def silence(lang: str) -> HearAsk:
    """The smallest request there is: half a second in which nothing is said."""
    import numpy as np

    flac = encode_flac(np.zeros(SAMPLE_RATE_HZ // 2, np.int16), SAMPLE_RATE_HZ)
    return HearAsk(flac=flac, flac_sha256="", lang=lang)


def form_fields(form: Form, lang: str) -> dict[str, str]:
    """The text fields of a request, as OpenAI documents them."""
    fields = {
        "model": form.model,
        "language": dict(form.languages).get(lang, lang),
        "response_format": "json",
        "temperature": f"{form.temperature:g}",
    }
    if form.prompt:
        fields["prompt"] = form.prompt
    return {**fields, **json.loads(form.extra)}


def form_data(fields: Mapping[str, str], flac: bytes) -> bytes:
    """A multipart body (RFC 7578). Equal for equal requests."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="clip.flac"\r\n'
        "Content-Type: audio/flac\r\n\r\n"
    )
    start = "".join([*parts, head]).encode("utf-8", "replace")
    return start + flac + f"\r\n--{BOUNDARY}--\r\n".encode()


def understand_transcript(
    model: str, status: int, kind: str, retry_after: str | None, data: bytes
) -> Outcome:
    """The meaning of a response. A reply's text is what was heard, perhaps nothing."""
    if status == 200 and "html" not in kind and "event-stream" not in kind:
        try:
            value = json.loads(data)
            text = value["text"]
            if not isinstance(text, str):
                raise TypeError(f"a {type(text).__name__} where text was wanted")
        except (ValueError, LookupError, TypeError) as error:
            shown = " ".join(data[:300].decode("utf-8", "replace").split()) or "an empty body"
            told = f"wanted a transcription, got {len(data)} bytes ({error!r}): {shown}"
            return Outcome("passing", told)
        return Outcome("reply", "", _reply(model, text, value.get("usage")))
    outcome = understand(status, kind, retry_after, data, frozenset())
    told = outcome.message.replace("a chat completion", "a transcription")
    return Outcome(outcome.kind, told, None, outcome.retry_after_s)


def _reply(model: str, text: str, usage: object) -> Reply:
    told: Mapping[str, Any] = usage if isinstance(usage, dict) else {}

    def count(name: str) -> int:
        value = told.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else 0

    return Reply(
        text=text.encode("utf-8", "replace").decode("utf-8"),
        finish_reason=HEARD,
        refusal="",
        model=model,
        prompt_tokens=count("input_tokens"),
        completion_tokens=count("output_tokens"),
        attempts=1,
    )


@dataclass(frozen=True, kw_only=True)
class TranscriptionEndpoint:
    """The recognizer ``transcriptions``. Nothing of how it is reached is in its identity."""

    service: ChatBackend
    langs: tuple[str, ...]
    setting: str = "checks.asr"

    batch_rows: ClassVar[int] = ALL_ROWS
    gpus: ClassVar[float] = 0.0
    bit_stable: ClassVar[bool] = False

    def identity(self) -> Mapping[str, object]:
        """What is asked of the server."""
        return {
            "backend": "transcriptions",
            "langs": sorted(self.langs),
            "service": dict(self.service.identity()),
        }

    def check(self) -> None:
        """Nothing can be known without asking; the doctor asks."""

    @contextmanager
    def open(self) -> Iterator[OpenRecognizer]:
        """With replies that live as long as it is open: for the doctor and for trials."""
        office = Office()
        try:
            yield self.ears(office, MemoryDesk())
        finally:
            office.close()

    def ears(self, office: Office, desk: Desk) -> "EndpointEars":
        """A recognizer whose replies are kept at a desk."""
        return EndpointEars(office, office.asker(self.service, desk))

    def requests(self, clips: Iterable[Clip]) -> Iterator[HearAsk]:
        """What ears ask for these clips; nothing for one that is too short."""
        return (ask for ask in map(_request, clips) if ask is not None)


class EndpointEars:
    """Transcribes by asking; all clips of a batch side by side."""

    def __init__(self, office: Office, ask: AskFor) -> None:
        self._office, self._ask = office, ask

    def transcribe(self, clips: Sequence[Clip]) -> list[Transcript]:
        return self._office.gather(self._one(clip) for clip in clips)

    async def _one(self, clip: Clip) -> Transcript:
        ask = _request(clip)
        if ask is None:
            return Transcript()
        try:
            key, reply = await self._ask(ask)
        except RowError as error:
            return Transcript(error=error)
        request = Request(
            key=key,
            prompt_tokens=reply["prompt_tokens"],
            completion_tokens=reply["completion_tokens"],
            audio_ms=round(1000 * len(clip.samples) / SAMPLE_RATE_HZ),
        )
        return Transcript(reply["text"].strip(), requests=(request,))


def _request(clip: Clip) -> HearAsk | None:
    if len(clip.samples) < MIN_SAMPLES:
        return None
    return HearAsk(flac=clip.flac, flac_sha256=clip.flac_sha256, lang=clip.lang)
