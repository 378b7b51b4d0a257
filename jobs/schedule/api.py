"""The API server as a pod of the cluster sees it, by the standard library alone."""

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 30.0


class Refused(Exception):
    """The API server understood the request and will not do it."""


@dataclass(frozen=True)
class Api:
    """The API server as a pod sees it: the token is read anew each time, because it is renewed."""

    base: str
    account: Path

    def ask(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Status and answer. Raises OSError where there is none, Refused for 400 and 403."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data=data)
        request.add_header("Authorization", f"Bearer {self._read('token')}")
        request.add_header("Content-Type", "application/json")
        context = None
        if self.base.startswith("https:"):
            context = ssl.create_default_context(cafile=str(self.account / "ca.crt"))
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=context) as answer:
                return int(answer.status), json.load(answer)
        except urllib.error.HTTPError as error:
            told = error.read(4096).decode("utf-8", "replace")
            if error.code in (400, 403, 422):
                raise Refused(f"the API server answered {error.code}: {told}") from error
            if error.code in (404, 409):
                return error.code, {}
            raise OSError(f"the API server answered {error.code}: {told}") from error

    @property
    def namespace(self) -> str:
        """The pod's own."""
        return self._read("namespace")

    def _read(self, name: str) -> str:
        return (self.account / name).read_text(encoding="utf-8").strip()
