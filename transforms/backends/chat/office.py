"""One event loop per worker, in a thread of its own, in which its models are open.

Steps that name the same model share it: its connections, its limit, its weights.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext, suppress
from typing import Any, TypeVar

from schemas.errors import RowError
from transforms.backends.chat.desk import Desk
from transforms.backends.chat.protocol import Ask, Chat, ChatBackend, ChatError, Reply
from transforms.backends.chat.tray import Tray

T = TypeVar("T")
AskFor = Callable[[Ask], Awaitable[tuple[str, Reply]]]
DESK_THREADS = 16  # a commit waits for the disk


def _nobody(what: str) -> AbstractContextManager[None]:
    return nullcontext()


class Office:
    """Opens models when first asked. Safe to call from several threads."""

    def __init__(self, opening: Callable[[str], AbstractContextManager[None]] = _nobody) -> None:
        """``opening`` is entered with a model's name while that model opens."""
        self._opening = opening
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._desk_pool = ThreadPoolExecutor(DESK_THREADS, thread_name_prefix="replies")
        self._chats: dict[ChatBackend, asyncio.Task[Chat]] = {}
        self._stack = AsyncExitStack()
        self._tray = Tray()

    def gather(self, work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
        """Run coroutines side by side; their results in order. The first error ends them all."""

        async def together() -> list[T]:
            tasks = [asyncio.ensure_future(item) for item in work]
            try:
                return list(await asyncio.gather(*tasks))
            finally:
                for task in tasks:
                    task.cancel()

        return asyncio.run_coroutine_threadsafe(together(), self._running()).result()

    def asker(self, backend: ChatBackend, desk: Desk) -> AskFor:
        """A function that gives the committed reply to a request with its key, asking if needed."""

        identity = backend.identity()

        async def ask(request: Ask) -> tuple[str, Reply]:
            loop = asyncio.get_running_loop()
            key = request.key(identity)
            there = await loop.run_in_executor(self._desk_pool, _standing, desk, key)
            if isinstance(there, ChatError):
                raise there
            if there is not None:
                return key, there
            chat = await self._chat(backend)
            async with self._tray.holding(request.held_bytes):
                try:
                    made = await chat.complete(request)
                except ChatError as error:
                    await loop.run_in_executor(self._desk_pool, desk.fail, key, error)
                    raise
                return key, await loop.run_in_executor(self._desk_pool, desk.keep, key, made)

        return ask

    def send(self, work: Iterable[tuple[ChatBackend, Desk, Iterable[Ask]]]) -> None:
        """Ask all of it side by side, and keep what comes nowhere but at the desks."""

        async def one(ask: AskFor, request: Ask) -> None:
            with suppress(RowError):  # the desk has it, for whoever asks next
                await ask(request)

        self.gather(
            one(self.asker(backend, desk), request)
            for backend, desk, requests in work
            for request in requests
        )

    def close(self) -> None:
        """Close the models and end the loop; what is in flight is given up."""
        loop, thread = self._loop, self._thread
        if loop is not None and thread is not None:
            asyncio.run_coroutine_threadsafe(self._close(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
        self._desk_pool.shutdown()

    async def _chat(self, backend: ChatBackend) -> Chat:
        """The opened model. All that ask at once wait for one opening."""
        if backend not in self._chats:
            self._chats[backend] = asyncio.ensure_future(self._opened(backend))
        return await asyncio.shield(self._chats[backend])

    async def _opened(self, backend: ChatBackend) -> Chat:
        with self._opening(f"the model {backend.sampling.model}"):
            return await self._stack.enter_async_context(backend.open())

    async def _close(self) -> None:
        here = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not here]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._stack.aclose()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="office", daemon=True
                )
                self._thread.start()
            return self._loop


def _standing(desk: Desk, key: str) -> Reply | ChatError | None:
    """What came of a request before: in one go, since each look waits for a thread."""
    return desk.look(key) or desk.failure(key)
