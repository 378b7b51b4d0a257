"""Builds whose model fails, refuses, babbles or cannot be reached: what becomes of it."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chat_server import Body, ChatServer, completion, raw, serving
from tests.jobs.chatting import KEY, asked, chat_job, identity
from tests.jobs.small import (
    build_here,
    ended,
    files,
    manifest_of,
    rows,
)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with serving(ChatServer()) as running:
        yield running


def test_garbage_of_a_random_model_ends_as_rejected_rows_and_never_as_a_corpus(
    tmp_path: Path,
) -> None:
    chance = random.Random(3)
    alphabet = [chr(code) for code in (*range(32, 127), *range(0x4E00, 0x4E40), 0x1F600, 10)]

    def speak(body: Body) -> str:
        text = "".join(chance.choices(alphabet, k=chance.randint(0, 200)))
        key = chance.choice(["question", "response", "answer"])
        return text if chance.random() < 0.5 else json.dumps({key: text})

    with serving(ChatServer(speak=speak)) as server:
        job = chat_job(tmp_path, server, rows(30))
        done = build_here(job, tmp_path / "corpus", "--set", "limits.min_accepted_fraction=0.5")
        assert done.code == 1
        places = ended(tmp_path / "corpus").values()
        assert {place.state for place in places} == {"rejected"}
        assert {place.why for place in places} <= {
            *("not_json", "wrong_json", "empty_reply", "wrong_language", "lost_number", "symbols"),
            *("no_question", "empty", "markup", "brackets", "script", "word_too_long"),
        }
        assert server.seen["requests"] == 3 * 30  # three asks a row, no answer to a bad question


def test_a_request_that_the_server_refuses_fails_its_row_with_the_servers_words(
    tmp_path: Path,
) -> None:
    def fault(body: Body, number: int) -> Any:
        if "castle" not in body["messages"][1]["content"]:
            return None
        return raw('{"error": {"message": "content policy violation"}}', 400)

    with serving(ChatServer(fault=fault)) as server:
        done = build_here(chat_job(tmp_path, server), tmp_path / "corpus")
        assert done.code == 0
        place = ended(tmp_path / "corpus")["castle"]
        assert (place.state, place.why) == ("failed", "RequestRefused")
        assert "content policy violation" in place.message


def test_a_failed_request_is_tried_again_by_retry_failed_alone(tmp_path: Path) -> None:
    broken = {"now": True}

    def fault(body: Body, number: int) -> Any:
        bad = broken["now"] and "castle" in str(body["messages"])
        return raw("boom", 500) if bad else None

    with serving(ChatServer(fault=fault, latency_s=0.05)) as server:
        job = chat_job(tmp_path, server, rows(30), endpoint={"max_attempts": 1, "max_in_flight": 2})
        build_here(job, tmp_path / "corpus")
        assert ended(tmp_path / "corpus")["castle"].why == "ChatError"
        asked(server)
        broken["now"] = False
        build_here(job, tmp_path / "corpus", "--set", "units.clusters=3")
        assert ended(tmp_path / "corpus")["castle"].state == "failed"
        assert asked(server) == 0
        broken["now"] = True
        build_here(job, tmp_path / "corpus", "--retry-failed")
        assert asked(server) == 2  # it and the probe, once, and not in every pass
        assert ended(tmp_path / "corpus")["castle"].state == "failed"
        broken["now"] = False
        build_here(job, tmp_path / "corpus", "--retry-failed")
        assert ended(tmp_path / "corpus")["castle"].state == "accepted"
        assert asked(server) == 2


def test_an_endpoint_that_dies_stops_the_build_and_it_goes_on_later(tmp_path: Path) -> None:
    down = {"from": 5}

    def fault(body: Body, number: int) -> Any:
        return raw("<html>maintenance</html>", 502, "text/html") if number > down["from"] else None

    with serving(ChatServer(fault=fault)) as server:
        job = chat_job(
            tmp_path, server, endpoint={"patience_s": 0.5, "max_in_flight": 2, "max_attempts": 99}
        )
        done = build_here(job, tmp_path / "corpus")
        assert done.code == 75
        assert "maintenance" in done.err
        assert "run the same command to go on" in done.err
        assert not (tmp_path / "corpus" / "latest.json").exists()
        down["from"] = 10**9
        asked(server)
        identity(build_here(job, tmp_path / "corpus"))
        assert asked(server) == 12 - 5


def test_the_api_key_is_sent_and_stands_in_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_CHAT_KEY", KEY)
    with serving(ChatServer(key=KEY)) as server:
        job = chat_job(tmp_path, server, endpoint={"api_key_env": "TEST_CHAT_KEY"})
        done = build_here(job, tmp_path / "corpus")
        assert identity(done)
        for name, data in files(tmp_path).items():
            assert KEY.encode() not in data, name
        settings = json.dumps(manifest_of(tmp_path / "corpus")["settings"])
        assert "TEST_CHAT_KEY" not in settings
        assert "127.0.0.1" not in settings
        assert KEY not in done.out + done.err


def test_a_key_that_is_missing_or_refused_stops_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(ChatServer(key=KEY)) as server:
        job = chat_job(tmp_path, server, endpoint={"api_key_env": "TEST_CHAT_KEY"})
        monkeypatch.delenv("TEST_CHAT_KEY", raising=False)
        done = build_here(job, tmp_path / "corpus")
        assert done.code == 2
        assert "TEST_CHAT_KEY" in done.err
        assert "export it" in done.err
        monkeypatch.setenv("TEST_CHAT_KEY", "sk-wrong-987654")
        done = build_here(job, tmp_path / "corpus")
        assert done.code == 2
        assert "refused" in done.err
        assert "sk-wrong" not in done.err
        assert asked(server) == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("rewrite.chat.prompts={en: nowhere.txt}", "nowhere.txt"),
        ('rewrite.chat.prompts={en: "=== system\\n$who\\n"}', "=== user"),
        ("rewrite.chat.model=big", "there is no model 'big'"),
        ("rewrite.chat=null", "there is no rewrite.chat"),
        ("models.tiny.endpoint.urls=['http://key:secret@host/v1']", "api_key_env"),
        ("models.tiny.endpoint.urls=[localhost:8000]", "an address such as"),
        ("models.tiny.temprature=1", "did you mean 'temperature'"),
    ],
)
def test_a_job_that_cannot_ask_is_an_error_before_anything_runs(
    server: ChatServer, tmp_path: Path, change: str, told: str
) -> None:
    done = build_here(chat_job(tmp_path, server), tmp_path / "corpus", "--set", change)
    assert done.code == 2
    assert told in done.err
    assert "secret@host" not in done.err
    assert asked(server) == 0


def test_a_reply_of_another_model_stops_the_build(tmp_path: Path) -> None:
    with serving(ChatServer(fault=lambda body, number: {"model": "gpt-0"})) as server:
        done = build_here(chat_job(tmp_path, server), tmp_path / "corpus")
        assert done.code == 2
        assert "gpt-0" in done.err
        assert re.search("also_named", done.err)


def test_replies_cut_off_at_max_tokens_are_repaired_or_rejected(tmp_path: Path) -> None:
    def fault(body: Body, number: int) -> Any:
        text = body["messages"][1]["content"]
        if "castle" in text or ("garden" in text and len(body["messages"]) == 2):
            return completion(body, '{"question": "Tell me', finish_reason="length")
        return None

    with serving(ChatServer(fault=fault)) as server:
        build_here(chat_job(tmp_path, server), tmp_path / "corpus")
        places = ended(tmp_path / "corpus")
        assert places["castle"].why == "truncated"
        assert places["garden"].state == "accepted"


def test_a_model_that_refuses_most_rows_stops_the_build_which_then_tries_them_again(
    server: ChatServer, tmp_path: Path
) -> None:
    def mostly_refused(body: Body, number: int) -> Any:
        return None if number % 3 == 0 else raw('{"error": {"message": "no such field"}}', 400)

    server.fault = mostly_refused
    job = chat_job(tmp_path, server, rows(60))
    done = build_here(job, tmp_path / "out")
    assert done.code == 3, done.err
    assert "rewrite: " in done.err
    assert "no such field" in done.err
    assert not (tmp_path / "out" / "snapshots").exists()
    server.fault = lambda body, number: None
    again = build_here(job, tmp_path / "out")
    assert again.last_json["failed"] == 0, again.err


def test_a_model_that_refuses_most_is_not_asked_for_all_rows(
    server: ChatServer, tmp_path: Path
) -> None:
    """They are asked ahead, in one task, and each call costs money."""

    def mostly_refused(body: Body, number: int) -> Any:
        return None if number % 4 == 0 else raw('{"error": {"message": "no such field"}}', 400)

    server.fault = mostly_refused
    job = chat_job(tmp_path, server, rows(300), endpoint={"max_in_flight": 2})
    done = build_here(job, tmp_path / "out")
    assert done.code == 3, done.err
    assert "no such field" in done.err
    assert 20 <= asked(server) < 150
