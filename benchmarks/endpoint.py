"""The endpoint client against a local server of known capacity, beside its peers; one JSON line.

``python -m benchmarks.endpoint [--seconds 20] [--only saturation memory limit peers]``

- saturation: requests answered per second over the server's capacity, with 64 and 512 in flight.
  The server answers at a fixed rate after an injected latency. ``settled`` leaves out the first
  and the last tenth of the replies: the ramp and the tail.
- memory: growth of the client's resident memory with 1,000 requests in flight.
- limit: the share of requests that the server refuses, after settling, when its limit halves and
  then doubles under way.
- peers: the ``openai`` client under a semaphore and ``bespokelabs-curator``, each in an environment
  of its own under ``build/``, with the same prompts on the same server.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transforms.backends.chat.endpoint import Endpoint
from transforms.backends.chat.protocol import Ask, Sampling

ROOT = Path(__file__).parents[1]
SAMPLING = Sampling(model="tiny-chat", json_mode="none", max_tokens=64)
PEERS = {"openai": ["openai"], "curator": ["bespokelabs-curator"]}
SETTLE_S = 6.0  # after the limit changes


@contextmanager
def server(rate: float, latency_s: float, limit: int = 0) -> Iterator[str]:
    """The tests' server as a process of its own; its address."""
    told = ["--rate", str(rate), "--latency", str(latency_s), "--limit", str(limit)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chat_server", *told],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def control(url: str, **changes: object) -> dict[str, Any]:
    """Change the server, or only look at what it saw."""
    request = urllib.request.Request(
        url.removesuffix("/v1") + "/control",
        data=json.dumps(changes).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        found: dict[str, Any] = json.load(response)
    return found


def ask(number: int) -> Ask:
    """A request of a few hundred characters."""
    text = f"Instruction: Tell me about the number {number}. " + "It matters to me. " * 15
    return Ask(messages=(("system", "Be brief."), ("user", text)), answer_key="question", seed=1)


async def send(url: str, in_flight: int, count: int) -> list[float]:
    """Send ``count`` requests by the client; the times at which replies came, from the start."""
    endpoint = Endpoint(sampling=SAMPLING, urls=(url,), max_in_flight=in_flight)
    began = time.perf_counter()
    done: list[float] = []
    numbers = iter(range(count))

    async with endpoint.open() as chat:

        async def row() -> None:
            for number in numbers:
                await chat.complete(ask(number))
                done.append(time.perf_counter() - began)

        await asyncio.gather(*(row() for _ in range(2 * in_flight)))
    return done


def settled_rate(done: list[float]) -> float:
    """Replies per second between the first and the last tenth."""
    tenth = len(done) // 10
    return (len(done) - 2 * tenth - 1) / (done[-tenth - 1] - done[tenth])


def saturation(seconds: float) -> dict[str, Any]:
    """Replies per second over the capacity, settled and from start to end."""
    figures: dict[str, Any] = {}
    for in_flight, rate, latency_s in ((64, 100.0, 0.5), (512, 400.0, 1.0)):
        with server(rate, latency_s) as url:
            done = asyncio.run(send(url, in_flight, round(rate * seconds)))
        figures[f"saturation_{in_flight}"] = round(settled_rate(done) / rate, 4)
        figures[f"whole_run_{in_flight}"] = round(len(done) / done[-1] / rate, 4)
    return figures


def memory() -> dict[str, Any]:
    """MB of resident memory per 1,000 requests in flight: the peak of a process of its own."""
    peaks = []
    for in_flight in (1, 1000):
        with server(0.0, 4.0) as url:
            code = (
                "import asyncio, resource, sys\n"
                "from dataclasses import replace\n"
                "from benchmarks.endpoint import SAMPLING, ask\n"
                "from transforms.backends.chat.endpoint import Endpoint\n"
                "from transforms.backends.chat import aimd\n"
                "url, count = sys.argv[1], int(sys.argv[2])\n"
                "aimd.START = count\n"
                "async def run():\n"
                "    async with Endpoint(sampling=SAMPLING, urls=(url,), max_in_flight=count)"
                ".open() as chat:\n"
                "        await asyncio.gather(*(chat.complete(ask(n)) for n in range(count)))\n"
                "asyncio.run(run())\n"
                "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
            )
            made = subprocess.run(
                [sys.executable, "-c", code, url, str(in_flight)],
                cwd=ROOT,
                check=True,
                capture_output=True,
                text=True,
            )
            peaks.append(float(made.stdout))
            assert in_flight == 1 or control(url)["most_busy"] >= 990
    return {"mb_per_1000_in_flight": round(peaks[1] - peaks[0], 1)}


def limit(seconds: float) -> dict[str, Any]:
    """The refused share after settling, for each limit in turn, and the replies over capacity."""
    figures: dict[str, Any] = {}

    async def run(url: str) -> None:
        sending = asyncio.ensure_future(send(url, 512, round(seconds * 3 * 400)))
        for phase, most in (("first", 128), ("halved", 64), ("doubled", 128)):
            await asyncio.to_thread(control, url, limit=most)
            await asyncio.sleep(SETTLE_S)
            before = await asyncio.to_thread(control, url)
            await asyncio.sleep(seconds - SETTLE_S)
            after = await asyncio.to_thread(control, url)
            sent = after["requests"] - before["requests"]
            refused = after.get("refused", 0) - before.get("refused", 0)
            rate = (after["answered"] - before["answered"]) / (seconds - SETTLE_S)
            figures[f"refused_share_{phase}"] = round(refused / max(sent, 1), 4)
            figures[f"used_share_{phase}"] = round(rate * 0.4 / most, 4)
        sending.cancel()

    with server(0.0, 0.4, 128) as url:
        asyncio.run(run(url))
    return figures


def peers(seconds: float) -> dict[str, Any]:
    """The same requests by others: replies per second over the capacity, in one go."""
    figures: dict[str, Any] = {}
    for name, needs in PEERS.items():
        home = ROOT / "build" / f"peer-{name}"
        if not (home / ".done").exists():
            venv.create(home, with_pip=True)
            subprocess.run([home / "bin" / "pip", "install", "--quiet", *needs], check=True)
            (home / ".done").touch()
        for in_flight, rate, latency_s in ((64, 100.0, 0.5), (512, 400.0, 1.0)):
            with server(rate, latency_s) as url:
                count = round(rate * seconds)
                told = [url, str(in_flight), str(count)]
                done = subprocess.run(
                    [
                        home / "bin" / "python",
                        "-P",
                        ROOT / "benchmarks" / f"endpoint_{name}.py",
                        *told,
                    ],
                    capture_output=True,
                    text=True,
                    env={**os.environ, "HOME": str(home)},
                    timeout=20 * seconds + 120,
                )
                key = f"{name}_whole_run_{in_flight}"
                if done.returncode:
                    figures[key] = done.stderr.strip()[-200:]
                    continue
                told_by_peer = json.loads(done.stdout.splitlines()[-1])
                figures[key] = round(count / told_by_peer["seconds"] / rate, 4)
                if "settled_rate" in told_by_peer:
                    settled = told_by_peer["settled_rate"] / rate
                    figures[f"{name}_saturation_{in_flight}"] = round(settled, 4)
                figures[f"{name}_peak_mb_{in_flight}"] = round(told_by_peer["peak_mb"])
    return figures


def main() -> None:
    """Run the parts and print one JSON line."""
    parser = argparse.ArgumentParser("benchmarks.endpoint")
    parser.add_argument("--seconds", type=float, default=20.0)
    parts = ["saturation", "memory", "limit", "peers"]
    parser.add_argument("--only", nargs="*", choices=parts, default=parts)
    options = parser.parse_args()
    figures: dict[str, Any] = {"cores": os.cpu_count(), "seconds": options.seconds}
    if "saturation" in options.only:
        figures |= saturation(options.seconds)
    if "memory" in options.only:
        figures |= memory()
    if "limit" in options.only:
        figures |= limit(options.seconds)
    if "peers" in options.only:
        figures |= peers(options.seconds)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
