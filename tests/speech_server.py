"""A faithful ``/v1/audio/speech`` on loopback, after OpenAI's and vLLM-Omni's documentation.

As real servers, it never says the same twice: a tone that follows from the voice, with the noise of
the number of the request.
"""

import base64
import hashlib
import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
from aiohttp import web

from tests.chat_server import ChatServer, Endless, Fault

RATE_HZ = 24000
Body = dict[str, Any]


def tone(body: Body, number: int, rate: int = RATE_HZ) -> npt.NDArray[np.float32]:
    """About 0.07 s a letter at a pitch of the voice's own, and a little noise."""
    said, voice = body["input"], str(body.get("voice"))
    seconds = (0.3 + 0.07 * sum(map(str.isalnum, said))) / body.get("speed", 1.0)
    pitch = 100 + hashlib.sha256(voice.encode()).digest()[0]
    times = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(number).standard_normal(len(times))
    wave = 0.3 * np.sin(2 * np.pi * pitch * times) + 0.002 * noise
    return wave.astype(np.float32)


def encoded(wave: Any, kind: str = "wav", rate: int = RATE_HZ, subtype: str = "PCM_16") -> bytes:
    if kind == "pcm":
        return (np.asarray(wave) * 32767).astype("<i2").tobytes()
    sink = io.BytesIO()
    soundfile.write(sink, wave, rate, format=kind.upper(), subtype=subtype)
    return sink.getvalue()


def audio(data: bytes, kind: str = "audio/wav", **more: Any) -> web.Response:
    return web.Response(body=data, content_type=kind, **more)


@dataclass
class SpeechServer(ChatServer):
    """``fault`` may answer a request otherwise; ``batches`` and ``lists`` say what it has."""

    voices: tuple[str, ...] = ("alloy", "ash", "vivian")
    batches: bool = False
    endless_batches: bool = False
    lists: bool = True
    usage: bool = True
    fault: Fault = lambda body, number: None
    bodies: list[Body] = field(default_factory=list)

    def app(self) -> web.Application:
        app = super().app()
        app.router.add_post("/v1/audio/speech", self._speech)
        if self.lists:
            app.router.add_get("/v1/audio/voices", self._list)
        if self.batches:
            app.router.add_post("/v1/audio/speech/batch", self._batch)
        return app

    async def _list(self, request: web.Request) -> web.Response:
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.json_response({"error": {"message": "Incorrect API key"}}, status=401)
        return web.json_response({"voices": list(self.voices), "uploaded_voices": []})

    async def _speech(self, request: web.Request) -> web.StreamResponse:
        body: Body = await request.json()
        self.seen["requests"] += 1
        self.bodies.append(body)
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.json_response({"error": {"message": "Incorrect API key"}}, status=401)
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
        if body["voice"] not in self.voices:
            text = f"Invalid speaker '{body['voice']}'. Supported: {', '.join(self.voices)}"
            return web.json_response({"error": {"message": text, "code": 400}}, status=400)
        self.seen["answered"] += 1
        kind = body.get("response_format", "wav")
        data = encoded(tone(body, self.seen["requests"]), kind)
        headers = {}
        if self.usage:
            counted = {"input": len(body["input"]) // 4 + 1, "output": len(data) // 4000}
            headers = {f"x-vllm-omni-{name}-tokens": str(n) for name, n in counted.items()}
        return audio(data, f"audio/{kind}", headers=headers)

    async def _batch(self, request: web.Request) -> web.StreamResponse:
        body: Body = await request.json()
        self.seen["batches"] += 1
        if (refused := self._refused()) is not None:
            return refused
        self._busy += 1
        self.seen["most_busy"] = max(self.seen["most_busy"], self._busy)
        try:
            await self._pace()
            if self.endless_batches:
                endless = Endless()
                await endless.run(request)
                return endless
            return web.json_response({"id": "speech-batch-1", "results": self._results(body)})
        finally:
            self._busy -= 1

    def _results(self, body: Body) -> list[Body]:
        results: list[Body] = []
        for index, item in enumerate(body["items"]):
            changed = self.fault(item, self.seen["batches"])
            if isinstance(changed, web.Response) and changed.status != 200:
                results.append({"index": index, "status": "error", "error": "no luck"})
                continue
            data = encoded(tone(item, 1000 + self.seen["batches"]))
            if isinstance(changed, web.Response):
                assert isinstance(changed.body, bytes)
                data = changed.body
            results.append(
                {
                    "index": index,
                    "status": "success",
                    "audio_data": base64.b64encode(data).decode(),
                    "media_type": "audio/wav",
                    "usage": {"input_tokens": 3, "output_tokens": 9, "total_tokens": 12},
                }
            )
        return results
