"""Speech and transcription servers are asked ahead, over many partitions: what that must keep."""

import signal
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chat_server import Body, ChatServer, raw, serving
from tests.jobs.small import (
    build_here,
    ended,
    files,
    finish,
    manifest_of,
    row,
    rows,
    start,
    voxmill,
    write_job,
)
from tests.speech_server import SpeechServer, audio, encoded, tone
from tests.transcription_server import TranscriptionServer

SERVERS = {"speech": SpeechServer, "transcription": TranscriptionServer}
ANSWERED = {"speech": 2, "transcription": 2}  # requests of a row
kinds = pytest.mark.parametrize("kind", SERVERS)


def always(kind: str, **settings: Any) -> ChatServer:
    """A server that says the same to the same request, so that bytes can be compared."""
    if kind == "speech":
        return SpeechServer(fault=lambda body, number: audio(encoded(tone(body, 7))), **settings)
    return TranscriptionServer(hear=lambda body, number: f"{len(body['audio'])}", **settings)


def ahead_job(
    kind: str,
    folder: Path,
    server: ChatServer,
    lines: Iterable[Mapping[str, Any]],
    endpoint: Mapping[str, Any] | None = None,
    **told: Any,
) -> Path:
    """A job whose voices, or whose recognizer, are behind a server."""
    reached = {"urls": [server.url], "patience_s": 2, "max_attempts": 2, **(endpoint or {})}
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
        backend = {"kind": "speech_endpoint", "model": "tiny-tts", "endpoint": reached, **told}
        sections = {"voices": {"bank": str(bank)}, "backends": {"tts": backend}}
    else:
        checks["asr_fraction"] = 1.0
        checks["asr"] = {"kind": "transcriptions", "model": "tiny-ears", "endpoint": reached}
    return write_job(folder, lines, checks=checks, **sections)


def of(body: Body) -> str:
    """What a request is about: the same for the same request."""
    return str(body.get("input") or body["audio"].tobytes())


def asked(server: ChatServer) -> Counter[str]:
    return Counter(of(body) for body in server.bodies)


def committed(output: Path) -> set[str]:
    return {path.stem for path in (output / "work" / "replies").rglob("*.json")}


def lines_of(count: int) -> list[dict[str, Any]]:
    """Rows of which no two say the same, and no two answers either."""
    return [
        row(f"n{n}", f"What is the number {n}?", f"It is number {n} of all.") for n in range(count)
    ]


@kinds
def test_more_is_in_flight_than_a_partition_has(tmp_path: Path, kind: str) -> None:
    with serving(SERVERS[kind](latency_s=1.0)) as server:
        job = ahead_job(kind, tmp_path, server, rows(60), {"max_in_flight": 90})
        assert build_here(job, tmp_path / "corpus").code == 0
        assert 64 <= server.seen["most_busy"] <= 90  # a partition has 32 utterances
        assert server.seen["requests"] == 60 * ANSWERED[kind]


@kinds
def test_asking_ahead_changes_no_byte_and_no_request(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = " ".join(f"Say the number {n} to me." for n in range(12))
    lines = [*rows(20), row("long", said, " ".join(f"It is so, by {n}." for n in range(12)))]
    told = {"max_chars": 60} if kind == "speech" else {}
    made: dict[str, bytes] = {}
    counts = []
    for name in ("ahead", "apart"):
        with serving(always(kind)) as server:
            job = ahead_job(kind, tmp_path / name, server, lines, **told)
            if name == "apart":
                monkeypatch.setattr("pipelines.build._ask_ahead", lambda run, until: None)
            assert build_here(job, tmp_path / name / "out").code == 0
            counts.append(asked(server))
        shards = files(tmp_path / name / "out", "shards")
        assert made in ({}, shards)
        made = shards
    assert counts[0] == counts[1]
    assert set(counts[0].values()) == {1}


@kinds
def test_a_request_that_fails_is_not_sent_again_by_the_pass_that_follows(
    tmp_path: Path, kind: str
) -> None:
    bad: list[str] = []

    def fault(body: Body, number: int) -> Any:
        if number <= 2:
            bad.append(of(body))
        return raw('{"error": {"message": "not this one"}}', 400) if of(body) in bad else None

    with serving(SERVERS[kind](fault=fault)) as server:
        job = ahead_job(kind, tmp_path, server, lines_of(30))
        done = build_here(job, tmp_path / "corpus")
        assert done.code == 0, done.err
        failed = [place for place in ended(tmp_path / "corpus").values() if place.state == "failed"]
        assert {place.why for place in failed} == {"RequestRefused"}
        assert all("not this one" in place.message for place in failed)
        assert len(bad) == 2
        assert set(asked(server).values()) == {1}
        before = server.seen["requests"]
        server.fault = lambda body, number: None
        again = build_here(job, tmp_path / "corpus", "--retry-failed")
        assert again.code == 0, again.err
        assert server.seen["requests"] == before  # a refusal is not retryable


@kinds
def test_refusals_are_flow_control_and_no_row_fails_of_them(tmp_path: Path, kind: str) -> None:
    with serving(SERVERS[kind](latency_s=0.05, limit=6, retry_after="0.1")) as server:
        job = ahead_job(kind, tmp_path, server, rows(40), {"max_in_flight": 64, "max_attempts": 1})
        done = build_here(job, tmp_path / "corpus")
        assert done.code == 0, done.err
        assert (done.last_json["accepted"], done.last_json["failed"]) == (40, 0)
        assert server.seen["refused"] > 0
        assert server.seen["most_busy"] <= 6
        assert server.seen["answered"] == 40 * ANSWERED[kind]


@kinds
def test_a_server_that_dies_stops_the_build_and_the_same_command_goes_on(
    tmp_path: Path, kind: str
) -> None:
    lived: list[str] = []

    def dead(body: Body, number: int) -> Any:
        if len(lived) == 30:
            return raw("", 500, "text/plain")
        lived.append(of(body))
        return None

    output = tmp_path / "corpus"
    with serving(SERVERS[kind](latency_s=0.02, fault=dead)) as server:
        job = ahead_job(kind, tmp_path, server, lines_of(40), {"patience_s": 0.5})
        done = build_here(job, output)
        assert done.code == 75, done.err
        assert "nothing was answered for" in done.err
        assert "run the same command to go on" in done.err
        assert not (output / "snapshots").exists()
        first = committed(output)
        assert len(first) == 30
        time.sleep(0.5)  # what was in flight when the build stopped
        server.bodies.clear()
        server.fault = lambda body, number: None
        again = build_here(job, output)
        assert again.code == 0, again.err
        assert again.last_json["accepted"] == 40
        assert len(server.bodies) == len(asked(server)) == 40 * ANSWERED[kind] - 30
        assert not asked(server).keys() & set(lived)
        assert first < committed(output)


@pytest.mark.slow
@kinds
def test_kill_9_then_the_same_command_sends_no_committed_request_again(
    tmp_path: Path, kind: str
) -> None:
    output, whole = tmp_path / "corpus", 40 * ANSWERED[kind]
    with serving(SERVERS[kind](rate=25.0)) as server:
        job = ahead_job(kind, tmp_path, server, lines_of(40))
        command = ("build", job, "--output", output, "--workers", "1", "--json", "--quiet")
        process = start(*command)
        deadline = time.monotonic() + 120
        while server.seen["answered"] < 0.4 * whole and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        time.sleep(1.0)  # its worker ends with it
        before = committed(output)
        assert 0.2 * whole <= len(before) < whole
        server.bodies.clear()
        done = finish(start(*command), 240.0)
        assert done.code == 0, done.err
        assert len(server.bodies) == whole - len(before)
        assert set(asked(server).values()) == {1}
        assert before < committed(output)
        assert len(committed(output)) == whole
    assert voxmill("verify", output).code == 0


def test_another_gate_asks_nothing_and_more_rows_ask_for_themselves(tmp_path: Path) -> None:
    output = tmp_path / "corpus"
    with serving(TranscriptionServer()) as server:
        job = ahead_job("transcription", tmp_path, server, lines_of(20))
        assert build_here(job, output).code == 0
        gate = "gates=[{measure: duration_s, max: 60}]"
        assert build_here(job, output, "--set", gate).code == 0
        assert server.seen["requests"] == 40
        ahead_job("transcription", tmp_path, server, lines_of(50))
        grown = build_here(job, output, "--set", gate)
        assert grown.code == 0, grown.err
        assert server.seen["requests"] == 100
        assert manifest_of(output)["counts"]["accepted"] == 50
