"""The narrow protocol of a language model: what is asked, what came back, how it can fail.

A request's key is a digest of everything that determines it (model, sampling, messages, seed) and
of nothing else: no address, no API key, no concurrency.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from typing import Final, Literal, Protocol, TypedDict

from schemas.canonical import digest
from schemas.errors import RowError

JsonMode = Literal["schema", "object", "none"]
KEY_DIGITS = 32
Messages = tuple[tuple[str, str], ...]  # (role, content) in order


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """What a model is, and how it is drawn from: all of it changes replies.

    ``revision`` is free text for weights that change under one name. ``json_mode``: how the server
    is told to answer in JSON. ``send_seed``: whether it takes a seed. ``extra`` is a JSON object
    of further request fields, such as ``{"top_k": 20}``.
    """

    model: str
    revision: str = ""
    temperature: float = 0.7
    top_p: float = 0.95
    max_tokens: int = 512
    json_mode: JsonMode = "schema"
    send_seed: bool = True
    extra: str = "{}"


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request: the answer is a JSON object whose ``answer_key`` holds a string."""

    messages: Messages
    answer_key: str
    seed: int

    @property
    def held_bytes(self) -> int:
        """About how much memory it and its reply take until that is kept; 0: not worth counting."""
        return 0

    def key(self, identity: Mapping[str, object]) -> str:
        """The digest under which the reply of a backend with this identity is kept."""
        return digest({"model": dict(identity), **asdict(self)})[:KEY_DIGITS]


class Reply(TypedDict):
    """A raw reply with its accounting. ``attempts`` counts what was sent to get it."""

    text: str
    finish_reason: str
    refusal: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    attempts: int


def answer_schema(answer_key: str) -> dict[str, object]:
    """The JSON schema of an answer."""
    return {
        "type": "object",
        "properties": {answer_key: {"type": "string"}},
        "required": [answer_key],
        "additionalProperties": False,
    }


class ChatError(RowError):
    """One request was not answered; the build goes on."""


class RequestRefused(ChatError):
    """The server refuses this very request (4xx), so asking again is of no use."""


class ContextExceeded(RequestRefused):
    """The text does not fit into the model's context."""


FAILURES: Final[Mapping[str, type[ChatError]]] = {
    kind.__name__: kind for kind in (ChatError, RequestRefused, ContextExceeded)
}


class Chat(Protocol):
    """An opened model."""

    async def complete(self, ask: Ask) -> Reply:
        """The reply. Raises ChatError for this request alone, BackendError for all of them."""


class ChatBackend(Protocol):
    """A model before anything is opened: a frozen, picklable, hashable dataclass."""

    @property
    def sampling(self) -> Sampling:
        """What determines its replies."""

    @property
    def max_in_flight(self) -> int:
        """How many requests one worker may have in flight."""

    @property
    def processes(self) -> int:
        """How many workers ask at the same time."""

    def identity(self) -> Mapping[str, object]:
        """What replies depend on besides the messages and the seed."""

    def open(self) -> AbstractAsyncContextManager[Chat]:
        """Connect or load, once per worker, inside its event loop."""
