"""vLLM in process: batches for ``LLM.chat``, and an engine that is started again when it dies.

Written against the documented interface of vLLM 0.12 to 0.15 (``LLM``, ``LLM.chat`` over a list
of conversations, ``SamplingParams`` with ``StructuredOutputsParams``, ``RequestOutput``). Requests
that wait are taken as one batch; prefix caching is on, and the rules stand first in every prompt.
"""

import asyncio
import gc
import json
import logging
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from schemas.errors import BackendError
from transforms.backends.chat.protocol import (
    Ask,
    ChatError,
    ContextExceeded,
    Reply,
    Sampling,
    answer_schema,
)

logger = logging.getLogger(__name__)
GATHER_S = 0.02  # what a first request waits for others to come
DEATHS = 4  # of the engine, with nothing answered between
OWN_KEYS = frozenset(("chat_template_kwargs",))  # of ``extra``: for chat(), not SamplingParams


@dataclass(frozen=True, kw_only=True)
class Vllm:
    """A model on this machine's GPUs. ``quantization`` and ``dtype`` are vLLM's own words.

    ``tensor_parallel``, memory and batch sizes are how the work is done; they change no key.
    """

    sampling: Sampling
    quantization: str = ""
    dtype: str = "auto"
    max_model_len: int = 0  # 0: the model's own
    tensor_parallel: int = 1
    gpu_memory_utilization: float = 0.9
    max_in_flight: int = 1024
    processes: int = 1

    def identity(self) -> Mapping[str, object]:
        told = {"quantization": self.quantization, "dtype": self.dtype.replace("auto", "")}
        return {**asdict(self.sampling), **{name: value for name, value in told.items() if value}}

    def engine_settings(self) -> dict[str, Any]:
        """What ``vllm.LLM`` is called with."""
        optional = {"quantization": self.quantization, "max_model_len": self.max_model_len}
        return {
            "model": self.sampling.model,
            "dtype": self.dtype,
            "tensor_parallel_size": self.tensor_parallel,
            "gpu_memory_utilization": self.gpu_memory_utilization,
            "enable_prefix_caching": True,
            **{name: value for name, value in optional.items() if value},
        }

    @asynccontextmanager
    async def open(self) -> AsyncIterator["VllmChat"]:
        chat = VllmChat(self)
        with ThreadPoolExecutor(1, thread_name_prefix="vllm") as pool:
            await asyncio.get_running_loop().run_in_executor(pool, chat.load)
            serving = asyncio.ensure_future(chat.serve(pool))
            try:
                yield chat
            finally:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)


class VllmChat:
    """One engine and the requests that wait for it."""

    def __init__(self, settings: Vllm) -> None:
        self._settings = settings
        self._llm: Any = None
        self._waiting: asyncio.Queue[tuple[Ask, asyncio.Future[Reply]]] = asyncio.Queue()
        self._deaths = 0

    async def complete(self, ask: Ask) -> Reply:
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        await self._waiting.put((ask, answer))
        return await answer

    def load(self) -> None:
        """Start the engine. Raises BackendError, with the cure, where it cannot."""
        try:
            import vllm
        except ImportError as error:
            raise BackendError(
                "backend vllm: vllm is not installed; pip install 'vllm>=0.12' on the GPU machine, "
                "or serve the model elsewhere and use backend: endpoint"
            ) from error
        self._llm = None
        gc.collect()
        try:
            self._llm = vllm.LLM(**self._settings.engine_settings())
        except (RuntimeError, ValueError, OSError) as error:
            raise BackendError(
                f"backend vllm: {self._settings.sampling.model} does not load: {error}; check the "
                "model's path, GPU memory (gpu_memory_utilization, max_model_len, quantization) "
                "and tensor_parallel"
            ) from error

    async def serve(self, pool: ThreadPoolExecutor) -> None:
        """Take what waits as one batch, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._waiting.get()]
            await asyncio.sleep(GATHER_S)
            while not self._waiting.empty() and len(batch) < self._settings.max_in_flight:
                batch.append(self._waiting.get_nowait())
            asks = [ask for ask, _ in batch]
            try:
                results = await loop.run_in_executor(pool, self._answer, asks)
            except BackendError as error:
                results = [error] * len(batch)
            for (_, answer), result in zip(batch, results, strict=True):
                if answer.done():
                    continue
                if isinstance(result, Exception):
                    answer.set_exception(result)
                else:
                    answer.set_result(result)

    def _answer(self, asks: list[Ask]) -> list[Reply | Exception]:
        """Each request's reply or error. What kills the engine is found by halving."""
        try:
            replies = self._chat(asks)
        except ValueError as error:  # vLLM refuses a whole batch for one prompt
            if len(asks) > 1:
                return [item for ask in asks for item in self._answer([ask])]
            return [ContextExceeded(f"vllm refuses the prompt: {error}")]
        except Exception as error:
            self._deaths += 1
            logger.warning("vllm: the engine died (%r); it is started again", error)
            if self._deaths > DEATHS:
                raise BackendError(
                    f"backend vllm: the engine died {self._deaths} times with nothing answered "
                    f"between; last: {error!r}; see vLLM's own log above"
                ) from error
            self.load()
            if len(asks) == 1:
                return [ChatError(f"the engine died at this request: {error!r}", retryable=True)]
            half = len(asks) // 2
            return self._answer(asks[:half]) + self._answer(asks[half:])
        self._deaths = 0
        return list(replies)

    def _chat(self, asks: list[Ask]) -> list[Reply]:
        from vllm import SamplingParams
        from vllm.sampling_params import StructuredOutputsParams

        sampling = self._settings.sampling
        extra = json.loads(sampling.extra)
        params = []
        for ask in asks:
            more = {key: value for key, value in extra.items() if key not in OWN_KEYS}
            if sampling.json_mode == "schema":
                schema = answer_schema(ask.answer_key)
                more["structured_outputs"] = StructuredOutputsParams(json=schema)
            elif sampling.json_mode == "object":
                more["structured_outputs"] = StructuredOutputsParams(json_object=True)
            params.append(
                SamplingParams(
                    temperature=sampling.temperature,
                    top_p=sampling.top_p,
                    max_tokens=sampling.max_tokens,
                    seed=ask.seed if sampling.send_seed else None,
                    **more,
                )
            )
        conversations = [
            [{"role": role, "content": content} for role, content in ask.messages] for ask in asks
        ]
        own = {key: value for key, value in extra.items() if key in OWN_KEYS}
        outputs = self._llm.chat(conversations, sampling_params=params, use_tqdm=False, **own)
        return [self._reply(output) for output in outputs]

    def _reply(self, output: Any) -> Reply:  # noqa: ANN401 - vllm.RequestOutput
        best = output.outputs[0]
        return Reply(
            text=best.text,
            finish_reason=best.finish_reason or "",
            refusal="",
            model=self._settings.sampling.model,
            prompt_tokens=len(output.prompt_token_ids or ()),
            completion_tokens=len(best.token_ids),
            attempts=1,
        )
