"""Small jobs whose text steps ask a model behind the tests' own server."""

from pathlib import Path
from typing import Any

from tests.chat_server import MODEL, ChatServer
from tests.jobs.small import Done, ended, write_job

KEY = "sk-test-0123456789"


def chat_job(
    folder: Path,
    server: ChatServer,
    lines: Any = None,
    *,
    model: dict[str, Any] | None = None,
    chat: dict[str, Any] | None = None,
    endpoint: dict[str, Any] | None = None,
) -> Path:
    """A small job of which both text steps ask ``server``."""
    reached = {"urls": [server.url], "patience_s": 2.0, **(endpoint or {})}

    def asks() -> dict[str, Any]:
        return {"backend": "chat", "chat": {"model": "tiny", **(chat or {})}}

    return write_job(
        folder,
        lines,
        models={"tiny": {"model": MODEL, "endpoint": reached, **(model or {})}},
        rewrite=asks(),
        respond=asks(),
    )


def asked(server: ChatServer) -> int:
    """Requests since the last time."""
    count = server.seen["requests"]
    server.seen["requests"] = 0
    return count


def identity(done: Done) -> str:
    assert done.code == 0, done.err
    return str(done.last_json["identity"])


def accepted(output: Path) -> str:
    return next(place.key for place in ended(output).values() if place.state == "accepted")
