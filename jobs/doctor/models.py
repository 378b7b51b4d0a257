"""Tries an endpoint: is it there, is the key taken, is the model served, does JSON come back."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from jobs.settings.chat import ModelSettings
from schemas.errors import VoxmillError
from transforms.ask import AskingStep, tokens_guess
from transforms.backends.chat.endpoint import Endpoint
from transforms.backends.chat.protocol import Ask, ChatBackend, JsonMode, Messages, Reply
from transforms.backends.chat.secret import Secret
from transforms.backends.chat.wire import is_model
from transforms.prompts.prompt import ANSWER_KEYS
from transforms.replies.parse import answer_in

QUICK_S = 10.0
PATIENCE_S = 5.0
QUESTION = "Why is the sky blue?"
LONGEST_ROW_TOKENS = 1500  # of text that a row adds to a prompt, about
MODES: tuple[JsonMode, ...] = ("schema", "object", "none")


@dataclass(frozen=True)
class Asked:
    """What came of a try."""

    state: Literal["ok", "warning", "failed"]
    told: str
    cure: str = ""


def try_endpoint(url: str, model: ModelSettings, key: Secret | None) -> Asked:
    """GET /models: one round trip without a token spent."""
    try:
        status, text = asyncio.run(get_text(url.rstrip("/") + "/models", key))
    except ImportError:
        cure = "pip install -c constraints.txt -e '.[llm]'"
        return Asked("failed", "the endpoint client needs aiohttp", cure)
    except (OSError, TimeoutError) as error:
        cure = f"start the server (for vLLM: vllm serve {model.model}), or correct endpoint.urls"
        return Asked("failed", f"no answer: {type(error).__name__}: {error}", cure)
    if key is not None:
        text = key.redact(text)
    if status in (401, 403):
        cure = "set endpoint.api_key_env to the variable that holds a key of this server"
        return Asked("failed", f"the key is refused, HTTP {status}: {text[:200]}", cure)
    try:
        listed = {item["id"]: item for item in json.loads(text)["data"]}
    except (ValueError, LookupError, TypeError):
        if status in (404, 405) or status >= 500:
            return Asked("warning", f"it lists no models (HTTP {status}), so they are not checked")
        cure = "the address of the API ends in /v1 as a rule; a page for people does not answer"
        return Asked("failed", f"wanted a list of models, got HTTP {status}: {text[:120]!r}", cure)
    known = frozenset((model.model, *(model.endpoint.also_named if model.endpoint else ())))
    served = next((item for name, item in listed.items() if is_model(name, known)), None)
    if served is None:
        cure = f"set model to one of {sorted(listed)[:8]}, or serve it there"
        return Asked("failed", f"it does not serve {model.model}", cure)
    return _context(model, served)


def _context(model: ModelSettings, served: dict[str, Any]) -> Asked:
    told = model.context_tokens or served.get("max_model_len") or served.get("context_length")
    if not isinstance(told, int):
        return Asked("ok", f"serves {model.model}; it does not tell its context length")
    needed = LONGEST_ROW_TOKENS + model.max_tokens
    if told < needed:
        cure = f"serve it with a longer context, or set a max_tokens under {model.max_tokens}"
        return Asked("warning", f"a context of {told} tokens; long rows need {needed}", cure)
    return Asked("ok", f"serves {model.model} with a context of {told} tokens")


async def get_text(url: str, key: Secret | None) -> tuple[int, str]:
    """Status and text of an address. Raises OSError or TimeoutError."""
    import aiohttp

    headers = {} if key is None else {"Authorization": f"Bearer {key.reveal()}"}
    timeout = aiohttp.ClientTimeout(total=QUICK_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            data = await response.content.read(1_000_000)
            return response.status, data.decode("utf-8", "replace")
    except aiohttp.ClientError as error:
        raise OSError(str(error)) from error


def try_model(step: AskingStep, model: ModelSettings, backend: ChatBackend) -> Iterator[Asked]:
    """One real request with the job's own prompt, and other JSON modes where it is refused."""
    prompt = step.prompts.get("", "en") or next(
        (prompt for _, prompt in step.prompts.by_place), None
    )
    if prompt is None:
        yield Asked("failed", "there is no prompt", f"set {step.name}.chat.prompts")
        return
    values = dict.fromkeys(("text", "question"), QUESTION)
    empty = dict.fromkeys(("input", "history", "system", "reference"), "")
    messages = prompt.messages({**values, **empty, "max_chars": "300"})
    read = sum(tokens_guess(content) for _, content in messages)
    try:
        reply = _once(backend, messages, ANSWER_KEYS[step.name])
    except VoxmillError as error:
        working = _working_mode(backend, messages, ANSWER_KEYS[step.name])
        cure = "see the message"
        if working is not None:
            cure = f"it answers with json_mode: {working}; set that for the model"
        yield Asked("failed", str(error)[:400], cure)
        return
    answer, flaws = answer_in(reply["text"], ANSWER_KEYS[step.name])
    if flaws:
        cure = "try json_mode: schema, another model, or a prompt of your own"
        yield Asked("warning", f"it answers, but {flaws[0][0]}: {reply['text'][:80]!r}", cure)
        return
    counted = f"{reply['prompt_tokens'] or f'about {read:.0f}'} + {reply['completion_tokens']}"
    yield Asked("ok", f"answers in JSON ({counted} tokens): {answer[:80]!r}")


def _working_mode(backend: ChatBackend, messages: Messages, key: str) -> JsonMode | None:
    if not isinstance(backend, Endpoint):
        return None
    for mode in MODES:
        if mode != backend.sampling.json_mode:
            other = replace(backend, sampling=replace(backend.sampling, json_mode=mode))
            try:
                _once(other, messages, key)
            except VoxmillError:
                continue
            return mode
    return None


def _once(backend: ChatBackend, messages: Messages, key: str) -> Reply:
    async def ask() -> Reply:
        async with hurried.open() as chat:
            return await chat.complete(Ask(messages=messages, answer_key=key, seed=1))

    hurried = replace(backend, patience_s=PATIENCE_S) if isinstance(backend, Endpoint) else backend
    return asyncio.run(ask())
