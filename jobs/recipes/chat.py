"""From a job's model sections to steps that ask: prompts read, keys fetched, backends made."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.recipes.similarity import similarity_of
from jobs.settings.chat import ModelSettings, RespondChat, RewriteChat
from jobs.settings.job import JobSettings
from jobs.settings.speech import SpeechEndpointSettings
from schemas.errors import SettingsError
from transforms.ask import Prompts
from transforms.ask_respond import AskRespond
from transforms.ask_rewrite import AskRewrite
from transforms.backends.chat.endpoint import Endpoint
from transforms.backends.chat.protocol import ChatBackend, Sampling
from transforms.backends.chat.secret import Secret
from transforms.backends.chat.vllm import Vllm
from transforms.prompts.prompt import SHIPPED, packaged_problems, packaged_prompt, parse_prompt
from transforms.text.rules import InputPolicy

Keys = Mapping[str, Secret]  # by the name of the environment variable
STEPS = ("rewrite", "respond")


def chats_of(job: JobSettings) -> dict[str, RewriteChat | RespondChat]:
    """The steps of a job that ask a model, with their settings."""
    found: dict[str, RewriteChat | RespondChat] = {}
    for step in STEPS:
        section = getattr(job, step)
        if section.backend == "chat":
            if section.chat is None:
                raise SettingsError(
                    f"{step}.backend is chat, and there is no {step}.chat; add it with the name "
                    "of a model of the section models, such as chat: {model: NAME}"
                )
            found[step] = section.chat
    return found


def models_of(job: JobSettings) -> dict[str, ModelSettings]:
    """The models that a job really uses. Raises SettingsError for one that it does not describe."""
    used = {}
    for step, chat in chats_of(job).items():
        if chat.model not in job.models:
            raise SettingsError(
                f"{step}.chat.model: there is no model '{chat.model}' in the section models; "
                f"it has {sorted(job.models)}"
            )
        used[chat.model] = job.models[chat.model]
    return used


def read_keys(job: JobSettings) -> Keys:
    """The API keys that are set in the environment. One that is missing is told by the doctor."""
    names: set[str | None] = {
        model.endpoint.api_key_env
        for model in models_of(job).values()
        if model.endpoint is not None and model.endpoint.api_key_env
    }
    for backend in job.backends.values():
        if isinstance(backend, SpeechEndpointSettings) and backend.endpoint is not None:
            names.add(backend.endpoint.api_key_env)
    return {
        name: Secret(os.environ[name].strip()) for name in names if name and os.environ.get(name)
    }


def with_prompts(job: JobSettings, folder: Path) -> JobSettings:
    """The job with every prompt as text, checked: what the manifest keeps, so that replay needs no
    file. Raises SettingsError for a prompt that cannot be read or has a hole that is not there."""
    update = {}
    for step, chat in chats_of(job).items():
        told = {
            "prompts": {
                **{lang: packaged_prompt(step, lang).to_text() for lang in SHIPPED},
                **_texts(step, chat.prompts, folder),
            },
            "source_prompts": {
                source: _texts(step, prompts, folder)
                for source, prompts in chat.source_prompts.items()
            },
        }
        section = getattr(job, step)
        update[step] = section.model_copy(update={"chat": chat.model_copy(update=told)})
    return job.model_copy(update=update) if update else job


def _texts(step: str, prompts: Mapping[str, str], folder: Path) -> dict[str, str]:
    found = {}
    for lang, given in prompts.items():
        name, text = f"of {step} for '{lang}'", given
        if "\n" not in given:
            name = str(folder / given)
            try:
                text = (folder / given).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(f"prompt {name}: cannot be read: {error}") from error
        found[lang] = parse_prompt(text, step, name, packaged_problems(lang)).to_text()
    return found


def _prompts(step: str, chat: RewriteChat | RespondChat) -> Prompts:
    places = {("", lang): text for lang, text in chat.prompts.items()}
    for source, prompts in chat.source_prompts.items():
        places |= {(source, lang): text for lang, text in prompts.items()}
    if not places:
        places = {("", lang): packaged_prompt(step, lang).to_text() for lang in SHIPPED}
    return Prompts(
        by_place=tuple(
            (place, parse_prompt(text, step, f"of {step} for '{place[1]}'"))
            for place, text in sorted(places.items())
        )
    )


def ask_rewrite(job: JobSettings, keys: Keys) -> AskRewrite:
    """The rewrite step of a job whose backend is chat."""
    rewrite, chat = job.rewrite, chats_of(job)["rewrite"]
    assert isinstance(chat, RewriteChat)
    return AskRewrite(
        chat=backend_of(chat.model, models_of(job)[chat.model], keys),
        seed=job.seed,
        prompts=_prompts("rewrite", chat),
        input_policy=InputPolicy(rewrite.input_policy),
        max_input_chars=rewrite.max_input_chars.pairs(),
        max_chars=rewrite.max_chars.pairs(),
        max_asks=chat.max_asks,
        keep=chat.keep,
        similarity=similarity_of(chat),
    )


def ask_respond(job: JobSettings, keys: Keys) -> AskRespond:
    """The respond step of a job whose backend is chat."""
    chat = chats_of(job)["respond"]
    assert isinstance(chat, RespondChat)
    return AskRespond(
        chat=backend_of(chat.model, models_of(job)[chat.model], keys),
        seed=job.seed,
        prompts=_prompts("respond", chat),
        max_chars=job.respond.max_chars.pairs(),
        max_asks=chat.max_asks,
        use_reference=chat.reference == "show",
    )


def backend_of(name: str, settings: ModelSettings, keys: Keys) -> ChatBackend:
    """The backend of a model. A key that is missing is an error when something is asked."""
    sampling = Sampling(
        **settings.model_dump(
            include={"model", "revision", "temperature", "top_p", "max_tokens", "json_mode"}
        ),
        send_seed=settings.send_seed,
        extra=json.dumps(settings.extra, sort_keys=True),
    )
    if settings.backend == "vllm":
        return Vllm(sampling=sampling, **settings.vllm.model_dump())
    told = settings.endpoint
    if told is None:
        cure = f"the job names no endpoint for the model '{name}'; set models.{name}.endpoint.urls"
        return Endpoint(sampling=sampling, not_ready=cure)
    env, options = told.api_key_env, told.model_dump(exclude={"api_key_env"})
    options["max_in_flight"] = -(-told.max_in_flight // told.processes)
    return Endpoint(
        sampling=sampling,
        key=keys.get(env) if env else None,
        not_ready=missing_key(env) if env and env not in keys else "",
        **options,
    )


def missing_key(env: str) -> str:
    """What is said where an API key is not there."""
    return f"the environment variable {env}, which holds the API key, is not set; export it first"


def without_addresses(models: dict[str, Any]) -> dict[str, Any]:
    """The models section as a manifest keeps it: no address, no name of a key, no price."""
    hidden = ("endpoint", "price")
    return {
        name: {key: value for key, value in model.items() if key not in hidden}
        for name, model in models.items()
    }
