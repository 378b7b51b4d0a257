"""A module of vLLM's documented shape, whose engine says what it is told to and can die."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any


@dataclass
class Completion:
    text: str
    token_ids: list[int]
    finish_reason: str = "stop"


@dataclass
class RequestOutput:
    prompt_token_ids: list[int]
    outputs: list[Completion]


@dataclass(kw_only=True)
class StructuredOutputsParams:
    json: Any = None
    json_object: bool | None = None


@dataclass(kw_only=True)
class SamplingParams:
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 16
    seed: int | None = None
    structured_outputs: StructuredOutputsParams | None = None


class EngineDeadError(Exception):
    pass


@dataclass
class Engines:
    """What happened: the settings of each engine, and each batch's texts."""

    settings: list[dict[str, Any]] = field(default_factory=list)
    batches: list[list[str]] = field(default_factory=list)
    params: list[SamplingParams] = field(default_factory=list)


@contextmanager
def installed(speak: Callable[[str], str]) -> Iterator[Engines]:
    """``import vllm`` finds this; ``speak`` gives the reply to a user message, or raises."""
    seen = Engines()

    class LLM:
        def __init__(self, **settings: Any) -> None:
            seen.settings.append(settings)
            self.dead = False

        def chat(
            self,
            messages: list[list[dict[str, str]]],
            sampling_params: list[SamplingParams],
            use_tqdm: bool = True,
            chat_template_kwargs: dict[str, Any] | None = None,
        ) -> list[RequestOutput]:
            if self.dead:
                raise EngineDeadError("EngineCore encountered an issue")
            assert len(messages) == len(sampling_params)
            texts = [conversation[-1]["content"] for conversation in messages]
            seen.batches.append(texts)
            seen.params += sampling_params
            try:
                said = [speak(text) for text in texts]
            except EngineDeadError:
                self.dead = True
                raise
            return [RequestOutput([1] * 9, [Completion(text, [1] * 4)]) for text in said]

    modules = {"vllm": ModuleType("vllm"), "vllm.sampling_params": ModuleType("sampling_params")}
    modules["vllm"].LLM = LLM  # type: ignore[attr-defined]
    modules["vllm"].SamplingParams = SamplingParams  # type: ignore[attr-defined]
    modules["vllm.sampling_params"].StructuredOutputsParams = (  # type: ignore[attr-defined]
        StructuredOutputsParams
    )
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules |= modules
    try:
        yield seen
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
