"""A faithful ``/v1/audio/transcriptions`` on loopback, after OpenAI's documentation."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import soundfile
from aiohttp import web

from tests.chat_server import Body, ChatServer, Fault

Hear = Callable[[Body, int], str]  # the fields of the form, and the number of the request


def by_length(body: Body, number: int) -> str:
    """A text that says how long the clip is, and never the same twice, as real servers may be."""
    return f"I hear {len(body['audio'])} samples, request {number}."


@dataclass
class TranscriptionServer(ChatServer):
    """``fault`` may answer a request otherwise; ``bodies`` are the fields of the forms."""

    hear: Hear = by_length
    fault: Fault = lambda body, number: None
    bodies: list[Body] = field(default_factory=list)

    def app(self) -> web.Application:
        app = super().app()
        app.router.add_post("/v1/audio/transcriptions", self._transcribe)
        return app

    async def _transcribe(self, request: web.Request) -> web.StreamResponse:
        self.seen["requests"] += 1
        sent = request.headers.get("Authorization", "")
        if self.key and sent != f"Bearer {self.key}":
            text = f"Incorrect API key provided: {sent.removeprefix('Bearer ')}"
            return web.json_response({"error": {"message": text}}, status=401)
        form = await request.post()
        body: dict[str, Any] = {name: form[name] for name in form if name != "file"}
        file = form["file"]
        assert isinstance(file, web.FileField)
        body["audio"], body["rate"] = soundfile.read(io.BytesIO(file.file.read()), dtype="int16")
        body["filename"] = file.filename
        self.bodies.append(body)
        if (refused := self._refused()) is not None:
            return refused
        self._busy += 1
        self.seen["most_busy"] = max(self.seen["most_busy"], self._busy)
        try:
            await self._pace()
            changed = self.fault(body, self.seen["requests"])
        finally:
            self._busy -= 1
        if isinstance(changed, web.StreamResponse):
            return changed
        self.seen["answered"] += 1
        usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 9, "total_tokens": 23}
        return web.json_response({"text": self.hear(body, self.seen["requests"]), "usage": usage})
