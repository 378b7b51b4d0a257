"""A faithful OpenAI-compatible chat server on loopback: its pace, limit and faults can be set.

As a program, ``python -m tests.chat_server --rate 400 --latency 1 --limit 600`` tells its address.
``POST /control`` with {"rate", "latency_s", "limit", "retry_after"} changes it while it runs, and
``GET /control`` tells what it saw.
"""

import argparse
import asyncio
import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

MODEL = "tiny-chat"
Body = dict[str, Any]
Speak = Callable[[Body], str]
Fault = Callable[[Body, int], web.StreamResponse | Body | None]


def obedient(body: Body) -> str:
    """Does what the shipped prompts ask for, without wit: it says the instruction, or answers."""
    said = next(item["content"] for item in body["messages"] if item["role"] == "user")
    if found := re.search(
        r"^(?:Instruction: |Anweisung: |\u6307\u4ee4\uff1a)(.*)", said, re.MULTILINE | re.DOTALL
    ):
        return json.dumps({"question": found[1].strip()}, ensure_ascii=False)
    if "\u7528\u6237\u8bf4" in said:
        return json.dumps(
            {"response": "\u8fd9\u662f\u4e00\u4e2a\u7b80\u77ed\u7684\u56de\u7b54\u3002"}
        )
    if "Die Person sagt: " in said:
        return json.dumps({"response": "Das ist schnell gesagt, und so lautet die kurze Antwort."})
    return json.dumps({"response": "That is easy to say, and this is the short answer to it."})


@dataclass
class ChatServer:
    """What the server does, and what it saw. ``fault`` may answer a request in another way."""

    rate: float = 0.0  # replies per second; 0: as fast as it can
    latency_s: float = 0.0
    limit: int = 0  # in flight; more are refused with 429. 0: none
    retry_after: str = ""
    key: str = ""
    models: tuple[str, ...] = (MODEL,)
    speak: Speak = obedient
    fault: Fault = lambda body, number: None
    bodies: list[Body] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    keep_bodies: bool = True
    url: str = ""
    _next: float = 0.0
    _busy: int = 0

    def app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_post("/control", self._control)
        app.router.add_get("/control", self._told)
        return app

    async def _models(self, request: web.Request) -> web.Response:
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.json_response({"error": {"message": "Incorrect API key"}}, status=401)
        listed = [{"id": name, "object": "model", "max_model_len": 8192} for name in self.models]
        return web.json_response({"object": "list", "data": listed})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body: Body = await request.json()
        self.seen["requests"] += 1
        if self.keep_bodies:
            self.bodies.append(body)
        sent = request.headers.get("Authorization", "")
        if self.key and sent != f"Bearer {self.key}":
            text = f"Incorrect API key provided: {sent.removeprefix('Bearer ')}"
            return web.json_response({"error": {"message": text}}, status=401)
        if body["model"] not in self.models:
            text = f"The model `{body['model']}` does not exist."
            return web.json_response({"error": {"message": text}}, status=404)
        if (refused := self._refused()) is not None:
            return refused
        self._busy += 1
        self.seen["most_busy"] = max(self.seen["most_busy"], self._busy)
        try:
            await self._pace()
            changed = self.fault(body, self.seen["requests"])
            if isinstance(changed, web.StreamResponse):
                if isinstance(changed, Endless):
                    await changed.run(request)
                return changed
            self.seen["answered"] += 1
            return web.json_response(completion(body, self.speak(body)) | (changed or {}))
        finally:
            self._busy -= 1

    def _refused(self) -> web.Response | None:
        """What a request gets while as many are in flight as the server takes."""
        if not self.limit or self._busy < self.limit:
            return None
        self.seen["refused"] += 1
        headers = {"Retry-After": self.retry_after} if self.retry_after else {}
        return web.json_response({"error": {"message": "busy"}}, status=429, headers=headers)

    async def _pace(self) -> None:
        now = asyncio.get_running_loop().time()
        ready = now + self.latency_s
        if self.rate:
            self._next = max(self._next, now) + 1.0 / self.rate
            ready = self._next + self.latency_s
        if ready > now:
            await asyncio.sleep(ready - now)

    async def _control(self, request: web.Request) -> web.Response:
        for name, value in (await request.json()).items():
            setattr(self, name, value)
        return await self._told(request)

    async def _told(self, request: web.Request) -> web.Response:
        return web.json_response({**self.seen, "busy": self._busy})


class Endless(web.StreamResponse):
    """A body that never ends."""

    async def run(self, request: web.Request) -> None:
        self.content_type = "application/json"
        await self.prepare(request)
        try:
            while True:
                await self.write(b" " * 65536)
        except (ConnectionError, asyncio.CancelledError):
            pass


def completion(body: Body, text: str, **changes: Any) -> Body:
    """A chat completion as OpenAI documents it."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
        "logprobs": None,
    }
    told = sum(len(message["content"]) for message in body["messages"]) // 4
    usage = {"prompt_tokens": told, "completion_tokens": len(text) // 4}
    usage["total_tokens"] = sum(usage.values())
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body["model"],
        "choices": [choice | changes],
        "usage": usage,
    }


def raw(text: str, status: int = 200, kind: str = "application/json") -> web.Response:
    """Any bytes as an answer."""
    return web.Response(text=text, status=status, content_type=kind)


@contextmanager
def serving(server: ChatServer) -> Iterator[ChatServer]:
    """The server in a thread of this process, at ``server.url``, until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> web.AppRunner:
        runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _program(options: argparse.Namespace) -> None:
    server = ChatServer(rate=options.rate, latency_s=options.latency, limit=options.limit)
    server.keep_bodies = False
    runner = web.AppRunner(server.app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", options.port, backlog=4096).start()
    sys.stdout.write(f"http://127.0.0.1:{runner.addresses[0][1]}/v1\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser("tests.chat_server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--limit", type=int, default=0)
    asyncio.run(_program(parser.parse_args()))
