"""The OpenAI chat format on the wire: request bodies, and what a response means.

A response is exactly one of: a reply, an overload (wait and send again), a passing failure (try
again), a refusal of this request, or a fault of the set-up that no request can get past.
"""

import json
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from transforms.backends.chat.protocol import Ask, Reply, Sampling, answer_schema

Kind = Literal["reply", "overload", "passing", "refused", "context", "fault"]
OVERLOADS = {429, 503, 529}
FAULTS = {401, 402, 403, 404, 405}
MAX_RETRY_AFTER_S = 600.0
SHOWN_CHARS = 300
_CONTEXT = re.compile(
    r"context.{0,20}(length|window|size)|maximum.{0,20}tokens|too many tokens|too long", re.I
)
_QUOTA = re.compile(r"insufficient_quota|billing|exceeded your current quota", re.I)
_DATED = re.compile(r"[-:@](\d{4}-?\d{2}-?\d{2}|latest|\d{4})$|@[\w.\-]+$")


@dataclass(frozen=True)
class Outcome:
    """What a response means; ``message`` says what arrived."""

    kind: Kind
    message: str = ""
    reply: Reply | None = None
    retry_after_s: float | None = None


def request_body(sampling: Sampling, ask: Ask) -> bytes:
    """The JSON body of a chat completion."""
    body: dict[str, Any] = {
        "model": sampling.model,
        "messages": [{"role": role, "content": content} for role, content in ask.messages],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
    }
    if sampling.send_seed:
        body["seed"] = ask.seed
    if sampling.json_mode == "object":
        body["response_format"] = {"type": "json_object"}
    elif sampling.json_mode == "schema":
        schema = {"name": ask.answer_key, "schema": answer_schema(ask.answer_key), "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return json.dumps({**body, **json.loads(sampling.extra)}, ensure_ascii=False).encode(
        "utf-8", "replace"
    )


def understand(
    status: int, kind: str, retry_after: str | None, data: bytes, known_models: frozenset[str]
) -> Outcome:
    """The meaning of a response of content type ``kind``."""
    shown = _shown(data)
    if status in OVERLOADS and not (status == 429 and _QUOTA.search(shown)):
        return Outcome("overload", f"HTTP {status}: {shown}", None, retry_after_s(retry_after))
    if status in FAULTS or status == 429:
        return Outcome("fault", f"HTTP {status}: {shown}")
    if status >= 500 or status == 408:
        return Outcome("passing", f"HTTP {status}: {shown}")
    if status >= 400:
        over = status == 413 or _CONTEXT.search(shown)
        return Outcome("context" if over else "refused", f"HTTP {status}: {shown}")
    if status >= 300:
        return Outcome("fault", f"HTTP {status}, a redirect: give the address it leads to")
    if "html" in kind or "event-stream" in kind:
        return Outcome("passing", f"wanted JSON, got {kind}: {shown}")
    return _reply(data, shown, known_models)


def _reply(data: bytes, shown: str, known_models: frozenset[str]) -> Outcome:
    try:
        value = json.loads(data)
        choice = value["choices"][0]
        message = choice["message"]
        text, refusal = message.get("content") or "", message.get("refusal") or ""
        usage = value.get("usage") or {}
        model = str(value.get("model") or "")
        reply = Reply(
            text=_string(text),
            finish_reason=str(choice.get("finish_reason") or ""),
            refusal=_string(refusal),
            model=model,
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
            attempts=1,
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return Outcome(
            "passing", f"wanted a chat completion, got {len(data)} bytes ({error!r}): {shown}"
        )
    if model and not is_model(model, known_models):
        return Outcome(
            "fault",
            f"the reply is of the model '{model[:80]}'; wanted {sorted(known_models)}",
        )
    return Outcome("reply", "", reply)


def is_model(found: str, known: frozenset[str]) -> bool:
    """Whether ``found`` is a known name; a date or @revision may follow it, a path precede it."""
    names = {found, _DATED.sub("", found)}
    tails = {name.rstrip("/").rpartition("/")[2] for name in known}
    return bool(names & known) or bool({name.rpartition("/")[2] for name in names} & tails)


def retry_after_s(header: str | None) -> float | None:
    """The seconds that a Retry-After header asks for, as a number or a date; None if neither."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        from datetime import UTC, datetime

        try:
            seconds = (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S) if seconds == seconds else None


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a {type(value).__name__} where text was wanted")
    return value.encode("utf-8", "replace").decode("utf-8")


def _shown(data: bytes) -> str:
    text = data[:4000].decode("utf-8", "replace")
    return " ".join(text.split())[:SHOWN_CHARS] or "an empty body"
