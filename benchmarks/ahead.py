"""Speech and transcription servers, asked ahead over many partitions and not; one JSON line.

``python -m benchmarks.ahead [--rows 240] [--rate 30] [--latency 3] [--workers 2]``

Builds of the same rows against a local server that answers ``rate`` requests a second, each after
``latency`` seconds, so that ``rate x latency`` have to be in flight. For each kind of server one
build as it is, and one whose workers ask partition by partition, in one run:

- ``*_settled``: requests answered per second over the rate, without the first and last tenth.
- ``*_whole``: the same from the first request to the last reply.
- ``*_wall_s``: the whole build. ``*_most_busy``: requests that the server had at a time.
- ``*_identity_equal``: whether two builds from the very same replies are one corpus.
- ``memory_*_mb``: growth of the asking process while 300 replies of a minute each (2.9 MB as they
  come, 860 MB in all) arrive at once and are committed, with the tray of docs/adr/0085 and without.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from tests.chat_server import ChatServer, serving
from tests.jobs.small import rows, voxmill, write_job
from tests.speech_server import SpeechServer, audio, encoded, tone
from tests.transcription_server import TranscriptionServer
from transforms.backends.chat.tray import MOST_BYTES

ROOT = Path(__file__).parents[1]
SERVERS = {"speech": SpeechServer, "transcription": TranscriptionServer}
POLL_S = 0.05
IN_FLIGHT = 256


@dataclass
class Seen:
    """What a server had answered at what time; ``done`` ends the watching."""

    url: str
    times: list[tuple[float, int]] = field(default_factory=list)
    most_busy: int = 0
    done: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Look at the server's count until told to stop."""
        while not self.done.wait(POLL_S):
            with urllib.request.urlopen(self.url.removesuffix("/v1") + "/control") as response:
                told = json.load(response)
            self.most_busy = max(self.most_busy, told.get("most_busy", 0))
            if told.get("requests", 0):
                self.times.append((time.perf_counter(), told.get("answered", 0)))

    def rate(self, cut: float) -> float:
        """Replies per second, without this share of them at both ends."""
        most = self.times[-1][1]
        first = next(item for item in self.times if item[1] >= cut * most)
        last = next(item for item in self.times if item[1] >= (1 - cut) * most)
        return (last[1] - first[1]) / (last[0] - first[0])


def _serve(kind: str, rate: float, latency_s: float, pipe: "Connection[Any, Any]") -> None:
    settings: dict[str, Any] = {"rate": rate, "latency_s": latency_s, "keep_bodies": False}
    if kind == "minute":
        clip = encoded(tone({"input": "a" * 853}, 1))
        server: ChatServer = SpeechServer(fault=lambda body, number: audio(clip), **settings)
    else:
        server = SERVERS[kind](**settings)
    with serving(server):
        pipe.send(server.url)
        pipe.recv()


@contextmanager
def watched(kind: str, rate: float, latency_s: float) -> Iterator[Seen]:
    """A server in a process of its own, and who counts what it answers."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(kind, rate, latency_s, theirs), daemon=True)
    process.start()
    seen = Seen(ours.recv())
    watcher = threading.Thread(target=seen.watch, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        seen.done.set()
        watcher.join()
        ours.send("over")
        process.join(10)


def job_of(kind: str, folder: Path, count: int, url: str) -> Path:
    """A job whose voices, or whose only check, are behind the server."""
    reached = {"urls": [url], "max_in_flight": IN_FLIGHT}
    checks: dict[str, Any] = {"align": False, "vad": False, "asr_fraction": 0.0}
    sections: dict[str, Any] = {}
    if kind == "speech":
        plain = {"backend": "tts", "gender": "f", "lang": "en", "license": "CC0-1.0"}
        voices = [
            {"id": name, "speaker_id": name, "name": name, "roles": [role], **plain}
            for name, role in (("ash", "user"), ("alloy", "assistant"))
        ]
        folder.mkdir(parents=True, exist_ok=True)
        bank = folder / "bank.yaml"
        bank.write_text(yaml.safe_dump({"voices": voices}), encoding="utf-8")
        told = {"kind": "speech_endpoint", "model": "tiny-tts", "endpoint": reached}
        sections = {"voices": {"bank": str(bank)}, "backends": {"tts": told}}
    else:
        checks["asr_fraction"] = 1.0
        checks["asr"] = {"kind": "transcriptions", "model": "tiny-ears", "endpoint": reached}
    return write_job(folder, rows(count), checks=checks, **sections)


def built(job: Path, output: Path, workers: int, *, ahead: bool) -> tuple[dict[str, Any], float]:
    """A build's last line and its wall time; without asking ahead where that is so wanted."""
    command = ("build", job, "--output", output, "--workers", str(workers), "--json", "--quiet")
    began = time.perf_counter()
    if ahead:
        done = voxmill(*command)
    else:
        with patch("pipelines.build._ask_ahead", lambda run, until: None):
            done = voxmill(*command)
    wall_s = time.perf_counter() - began
    if done.code:
        raise SystemExit(done.err)
    return done.last_json, wall_s


def measure(kind: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Both builds against one kind of server, and whether the same replies give the same corpus."""
    figures: dict[str, Any] = {}
    for name, ahead in (("before", False), ("ahead", True)):
        with watched(kind, options.rate, options.latency) as seen:
            job = job_of(kind, folder / name, options.rows, seen.url)
            told, wall_s = built(job, folder / name / "out", options.workers, ahead=ahead)
        here = f"{kind}_{name}"
        figures[f"{here}_settled"] = round(seen.rate(0.1) / options.rate, 4)
        figures[f"{here}_whole"] = round(seen.rate(0.0) / options.rate, 4)
        figures[f"{here}_wall_s"] = round(wall_s, 1)
        figures[f"{here}_most_busy"] = seen.most_busy
        figures[f"{here}_accepted"] = told["accepted"]
    # Built again partition by partition from what was asked ahead: the memo goes, replies stay.
    output = folder / "ahead" / "out"
    shutil.rmtree(output / "work" / "memo")
    for path in [*(output / "shards").iterdir(), *(output / "commits").rglob("*.json")]:
        path.unlink()
    again, _ = built(folder / "ahead" / "job.yaml", output, options.workers, ahead=False)
    figures[f"{kind}_identity_equal"] = again["identity"] == told["identity"]
    return figures


MEMORY = """
import resource, sys, tempfile
from pathlib import Path
from pipelines.replies import StoreDesk
from schemas.store import FileStore
from transforms.backends.chat import office, tray
from transforms.backends.chat.protocol import Sampling
from transforms.backends.tts import Say, VoiceSpec
from transforms.backends.tts_endpoint import SpeechEndpoint, SpeechService
from transforms.backends.tts_wire import SpeechForm
url, count, most = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
office.Tray = lambda: tray.Tray(most)
form = SpeechForm(model="tiny-tts")
service = SpeechService(
    sampling=Sampling(model="tiny-tts"), form=form, urls=(url,), max_in_flight=600
)
voices = [VoiceSpec(name="ash", lang="en", seed=n) for n in range(count)]
asks = SpeechEndpoint(service=service, form=form).requests([Say("a" * 853, v) for v in voices])
asking = office.Office()
with tempfile.TemporaryDirectory() as folder:
    desk = StoreDesk(FileStore(Path(folder)), "p0")
    asking.send([(service, desk, asks)])
    assert len(list(Path(folder).rglob("*.json"))) == count
asking.close()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def memory() -> dict[str, Any]:
    """MB that the asking process grows by, over one that asks once; with the tray and without."""
    peaks = {}
    for name, count, most in (("one", 1, 10**9), ("tray", 300, MOST_BYTES), ("none", 300, 10**12)):
        with watched("minute", 0.0, 3.0) as seen:
            made = subprocess.run(
                [sys.executable, "-c", MEMORY, seen.url, str(count), str(most)],
                cwd=ROOT,
                check=True,
                capture_output=True,
                text=True,
            )
        peaks[name] = float(made.stdout)
    return {
        "memory_with_tray_mb": round(peaks["tray"] - peaks["one"]),
        "memory_without_mb": round(peaks["none"] - peaks["one"]),
    }


def main() -> None:
    """Run the builds and print one JSON line."""
    parser = argparse.ArgumentParser("benchmarks.ahead")
    parser.add_argument("--rows", type=int, default=240)
    parser.add_argument("--rate", type=float, default=30.0)
    parser.add_argument("--latency", type=float, default=3.0)
    parser.add_argument("--workers", type=int, default=2)
    parts = [*SERVERS, "memory"]
    parser.add_argument("--only", nargs="*", choices=parts, default=parts)
    options = parser.parse_args()
    figures: dict[str, Any] = {"cores": os.cpu_count(), "rows": options.rows}
    figures |= {"rate": options.rate, "latency_s": options.latency, "workers": options.workers}
    with tempfile.TemporaryDirectory(prefix="voxmill-ahead-") as folder:
        for kind in options.only:
            if kind != "memory":
                figures |= measure(kind, options, Path(folder) / kind)
    if "memory" in options.only:
        figures |= memory()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
