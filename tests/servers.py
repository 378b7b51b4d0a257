"""S3 servers of the tests' own, on loopback and a free port, ended with the test session.

`ministack` is the one that tests use, `moto` a second opinion. Give a test the fixture `s3` (a
bucket of its own on ministack) from tests/conftest.py, or start a server with `ministack()`.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from schemas.store import StoreAddress, StoreOptions

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test-secret"}
START_S = 60.0


@dataclass(frozen=True)
class Server:
    """A running server; ``endpoint`` is http://127.0.0.1:PORT."""

    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """What the command line needs to be told to reach it."""
        return {
            **KEYS,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
        }

    def bucket(self, name: str) -> str:
        """A new, empty bucket; its address."""
        request = urllib.request.Request(f"{self.endpoint}/{name}", method="PUT")
        with urllib.request.urlopen(request, timeout=10):
            return f"s3://{name}"

    def address(self, uri: str, **options: object) -> StoreAddress:
        """An address on this server, with short patience unless ``options`` say otherwise."""
        given = {"region": "us-east-1", "timeout_s": 10.0, "retry_s": 10.0, **options}
        return StoreAddress(uri, StoreOptions(endpoint=self.endpoint, **given))  # type: ignore[arg-type]


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def ministack(folder: Path) -> Iterator[Server]:
    """ministack with nothing but S3, in memory; its log in ``folder``."""
    port = free_port()
    more = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "SERVICES": "s3"}
    # its own state files stay inside the test's folder
    more |= {"LOG_LEVEL": "WARNING", "TMPDIR": str(folder), "S3_DATA_DIR": str(folder / "s3")}
    with _running([sys.executable, "-m", "ministack"], more, folder / "ministack.log", port) as it:
        yield it


@contextmanager
def moto(folder: Path) -> Iterator[Server]:
    """moto's server."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, {}, folder / "moto.log", port) as server:
        yield server


@contextmanager
def _running(command: list[str], more: dict[str, str], log: Path, port: int) -> Iterator[Server]:
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **more}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait(process, port, log)
        yield Server(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{log.name}: the server did not start:\n{log.read_text()[-2000:]}")
