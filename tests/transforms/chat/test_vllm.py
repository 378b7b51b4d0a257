"""vLLM in process, against a module of its documented shape: batches, deaths, refused prompts."""

import asyncio
from typing import Any

import pytest

from schemas.errors import BackendError
from tests.transforms.chat.fake_vllm import EngineDeadError, installed
from transforms.backends.chat.protocol import Ask, ChatError, ContextExceeded, Reply, Sampling
from transforms.backends.chat.vllm import DEATHS, Vllm


def complete(count: int, settings: Vllm | None = None) -> list[Reply | BaseException]:
    backend = settings or Vllm(sampling=Sampling(model="org/model"))

    async def run() -> list[Reply | BaseException]:
        async with backend.open() as chat:
            asks = [
                Ask(messages=(("system", "R."), ("user", f"{n}")), answer_key="question", seed=n)
                for n in range(count)
            ]
            return await asyncio.gather(
                *(chat.complete(ask) for ask in asks), return_exceptions=True
            )

    return asyncio.run(run())


def texts(replies: list[Any]) -> list[str]:
    return [reply["text"] for reply in replies]


def test_what_waits_is_one_batch_and_each_reply_finds_its_request() -> None:
    with installed(lambda text: f"said {text}") as seen:
        replies = complete(50)
        assert texts(replies) == [f"said {n}" for n in range(50)]
        assert [len(batch) for batch in seen.batches] == [50]
        assert [params.seed for params in seen.params] == list(range(50))
        schema = seen.params[0].structured_outputs
        assert schema is not None
        assert schema.json["required"] == ["question"]


def test_the_engine_is_told_the_jobs_settings_and_to_cache_prefixes() -> None:
    sampling = Sampling(
        model="org/model",
        json_mode="none",
        extra='{"top_k": 5, "chat_template_kwargs": {"enable_thinking": false}}',
    )
    settings = Vllm(sampling=sampling, quantization="fp8", tensor_parallel=4, max_model_len=4096)
    with installed(str) as seen:
        complete(1, settings)
        (told,) = seen.settings
        assert told["enable_prefix_caching"] is True
        assert told["tensor_parallel_size"] == 4
        assert told["quantization"] == "fp8"
        assert seen.params[0].top_k == 5
        assert seen.params[0].structured_outputs is None


def test_quantization_changes_the_key_of_a_request_and_parallelism_does_not() -> None:
    sampling = Sampling(model="m")
    plain = Vllm(sampling=sampling)
    assert plain.identity() == Vllm(sampling=sampling, tensor_parallel=8).identity()
    assert plain.identity() != Vllm(sampling=sampling, quantization="awq").identity()


def test_an_engine_that_dies_once_is_started_again_and_every_request_is_answered() -> None:
    died: list[str] = []

    def speak(text: str) -> str:
        if text == "7" and not died:
            died.append(text)
            raise EngineDeadError("EngineCore encountered an issue")
        return f"said {text}"

    with installed(speak) as seen:
        assert texts(complete(20)) == [f"said {n}" for n in range(20)]
        assert len(seen.settings) == 2


def test_the_request_that_kills_every_engine_fails_alone() -> None:
    def speak(text: str) -> str:
        if text == "2":
            raise EngineDeadError("CUDA error: an illegal memory access")
        return f"said {text}"

    with installed(speak):
        replies = complete(6)
        assert isinstance(replies[2], ChatError)
        assert replies[2].retryable
        assert texts(replies[:2] + replies[3:]) == [
            "said 0",
            "said 1",
            "said 3",
            "said 4",
            "said 5",
        ]


def test_an_engine_that_only_dies_stops_the_build() -> None:
    def speak(text: str) -> str:
        raise EngineDeadError("out of memory")

    with installed(speak) as seen:
        replies = complete(64)
        assert all(isinstance(reply, BackendError) for reply in replies)
        assert "out of memory" in str(replies[0])
        assert len(seen.settings) == DEATHS + 1


def test_a_prompt_that_is_too_long_fails_alone() -> None:
    def speak(text: str) -> str:
        if text == "1":
            raise ValueError("The decoder prompt (length 9000) is longer than the maximum length")
        return f"said {text}"

    with installed(speak):
        replies = complete(3)
        assert isinstance(replies[1], ContextExceeded)
        assert texts([replies[0], replies[2]]) == ["said 0", "said 2"]


def test_without_vllm_the_error_says_what_to_install() -> None:
    with pytest.raises(BackendError, match="pip install 'vllm>="):
        complete(1)
