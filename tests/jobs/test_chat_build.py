"""Builds whose rows ask a model behind a real HTTP server: what is asked, kept, asked once only."""

import json
import random
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chat_server import MODEL, Body, ChatServer, completion, obedient, raw, serving
from tests.jobs.small import (
    Done,
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

KEY = "sk-test-0123456789"


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with serving(ChatServer()) as running:
        yield running


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


def test_rows_are_rewritten_and_answered_by_the_model(server: ChatServer, tmp_path: Path) -> None:
    lines = [row("one", "Name 3 colors."), {**row("two", "Is it so?"), "output": ""}]
    done = build_here(chat_job(tmp_path, server, lines), tmp_path / "corpus")
    assert identity(done)
    assert {place.state for place in ended(tmp_path / "corpus").values()} == {"accepted"}
    assert asked(server) == 4
    shown = voxmill("inspect", tmp_path / "corpus", accepted(tmp_path / "corpus")).out
    assert "That is easy to say" in shown


def test_tokens_and_money_are_counted_in_run_json(server: ChatServer, tmp_path: Path) -> None:
    price = {"input_per_million": 1000.0, "output_per_million": 2000.0}
    job = chat_job(tmp_path, server, model={"price": price})
    build_here(job, tmp_path / "corpus")
    run = json.loads((tmp_path / "corpus" / "run.json").read_text())
    spent = run["models"]["by_step"]
    assert spent["rewrite"]["calls"] == spent["respond"]["calls"] == 6
    assert run["models"]["asked_now"]["calls"] == 12
    told = sum(item["prompt_tokens"] for item in spent.values())
    said = sum(item["completion_tokens"] for item in spent.values())
    cost = sum(item["cost"] for item in spent.values())
    assert cost == pytest.approx(told / 1000 + said / 500)
    assert "model cost" in (tmp_path / "corpus" / "report" / "index.html").read_text()


def test_a_changed_setting_behind_the_models_asks_nothing(
    server: ChatServer, tmp_path: Path
) -> None:
    job = chat_job(tmp_path, server)
    build_here(job, tmp_path / "corpus")
    asked(server)
    build_here(job, tmp_path / "corpus", "--set", "units.clusters=3")
    assert asked(server) == 0


def test_another_way_to_judge_replies_asks_nothing_where_the_reply_stands(
    server: ChatServer, tmp_path: Path
) -> None:
    """What is kept is the raw reply: judging it anew costs no token."""
    job = chat_job(tmp_path, server)
    build_here(job, tmp_path / "corpus")
    asked(server)
    done = build_here(job, tmp_path / "corpus", "--set", "rewrite.chat.keep=[question]")
    assert done.last_json["computed_rows"]["rewrite"] == 6
    assert asked(server) == 0


@pytest.mark.parametrize(
    "change",
    [
        "models.tiny.temperature=0.1",
        "models.tiny.revision=b",
        "models.tiny.max_tokens=99",
        "seed=9",
    ],
)
def test_what_determines_a_reply_asks_again(
    server: ChatServer, tmp_path: Path, change: str
) -> None:
    job = chat_job(tmp_path, server)
    build_here(job, tmp_path / "corpus")
    asked(server)
    build_here(job, tmp_path / "corpus", "--set", change)
    assert asked(server) == 12


def test_how_a_model_is_reached_changes_no_byte(server: ChatServer, tmp_path: Path) -> None:
    job = chat_job(tmp_path, server)
    one = build_here(job, tmp_path / "corpus")
    asked(server)
    with serving(ChatServer()) as other:
        change = f"models.tiny.endpoint={{urls: ['{other.url}'], max_in_flight: 3}}"
        two = build_here(job, tmp_path / "corpus", "--set", change)
        assert identity(one) == identity(two)
        assert two.last_json["snapshot"] == "snapshots/v000001.json"
        assert asked(other) == asked(server) == 0


def test_a_lost_work_folder_asks_nothing_again(server: ChatServer, tmp_path: Path) -> None:
    job, output = chat_job(tmp_path, server), tmp_path / "corpus"
    build_here(job, output)
    before = {name: data for name, data in files(output).items() if name.endswith(".tar")}
    shutil.rmtree(output / "work")
    for shard in before:
        (output / shard).unlink()
    asked(server)
    identity(build_here(job, output))
    assert asked(server) == 0
    assert {name: data for name, data in files(output).items() if name.endswith(".tar")} == before


def test_a_stored_corpus_needs_no_endpoint(server: ChatServer, tmp_path: Path) -> None:
    job, output = chat_job(tmp_path, server), tmp_path / "corpus"
    build_here(job, output)
    shutil.rmtree(output / "work")
    gone = "models.tiny.endpoint.urls=['http://127.0.0.1:9/v1']"
    done = build_here(job, output, "--set", gone, "--set", "units.clusters=3")
    assert identity(done)
    assert "going on with the replies that are stored" in " ".join(done.err.split())
    assert voxmill("replay", output, accepted(output)).code == 0


def test_a_damaged_reply_file_is_seen_and_mended(server: ChatServer, tmp_path: Path) -> None:
    job, output = chat_job(tmp_path, server), tmp_path / "corpus"
    build_here(job, output)
    path = next(output.glob("inputs/*-replies-*.parquet"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"?")
    told = voxmill("verify", output)
    assert told.code == 1
    assert path.name in told.out
    asked(server)
    identity(build_here(job, output))
    assert path.read_bytes() == whole
    assert asked(server) == 0
    assert voxmill("verify", output).code == 0


def test_a_torn_reply_in_the_work_store_is_asked_for_again(
    server: ChatServer, tmp_path: Path
) -> None:
    job, output = chat_job(tmp_path, server), tmp_path / "corpus"
    build_here(job, output)
    before = manifest_of(output)["identity"]
    shutil.rmtree(output / "work" / "memo")
    shutil.rmtree(output / "snapshots")
    (output / "latest.json").unlink()
    victim = sorted((output / "work" / "replies").rglob("*.json"))[0]
    victim.write_bytes(victim.read_bytes()[:40])
    asked(server)
    assert identity(build_here(job, output)) == before
    assert asked(server) == 1


def moody(text: str = "thing") -> ChatServer:
    """A server that never answers the same twice, whatever the seed."""
    count = iter(range(10**9))
    words = "red blue green warm cold small large old new bright dark plain".split()

    def speak(body: Body) -> str:
        if "Instruction:" in body["messages"][1]["content"]:
            return obedient(body)
        number = next(count)
        said = " ".join(words[(number // 12**place) % 12] for place in range(3))
        return json.dumps({"response": f"It is a {said} {text}, and that is all there is to it."})

    return ChatServer(speak=speak)


def test_the_first_committed_reply_stands_whatever_the_server_says_later(tmp_path: Path) -> None:
    with serving(moody()) as server:
        job, output = chat_job(tmp_path, server), tmp_path / "corpus"
        one = identity(build_here(job, output))
        shutil.rmtree(output / "work")
        assert identity(build_here(job, output, "--set", "min_pairs=1")) == one
        assert voxmill("replay", output, accepted(output)).code == 0
        other = identity(build_here(job, tmp_path / "other"))
        assert other != one  # the server is really not deterministic


@pytest.mark.slow
def test_two_drivers_that_ask_at_once_publish_one_corpus(tmp_path: Path) -> None:
    server = moody()
    server.latency_s = 0.02
    with serving(server):
        job, output = chat_job(tmp_path, server, rows(24)), tmp_path / "corpus"
        command = ("build", job, "--output", output, "--workers", "1", "--json", "--quiet")
        both = [start(*command), start(*command)]
        done = [finish(process) for process in both]
        assert {item.code for item in done} == {0}, [item.err for item in done]
        assert identity(done[0]) == identity(done[1])
        assert voxmill("verify", output).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.4])
def test_kill_9_then_the_same_command_sends_no_committed_request_again(
    tmp_path: Path, share: float
) -> None:
    server = moody()
    server.rate = 60.0
    with serving(server):
        job, output = chat_job(tmp_path, server, rows(40)), tmp_path / "corpus"
        command = ("build", job, "--output", output, "--workers", "1", "--json", "--quiet")
        process = start(*command)
        deadline = time.monotonic() + 60
        while server.seen["answered"] < share * 80 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        time.sleep(0.7)  # its worker ends with it
        committed = {path.stem for path in (output / "work" / "replies").rglob("*.json")}
        assert len(committed) >= 0.5 * share * 80
        seeds = {body["seed"] for body in server.bodies}
        first = len(server.bodies)
        identity(finish(start(*command)))
        again = [body["seed"] for body in server.bodies[first:]]
        assert len(again) == len(set(again)) == 80 - len(committed)
        stored = {path.stem for path in (output / "work" / "replies").rglob("*.json")}
        assert committed < stored
        assert len(stored) == 80
        assert len(seeds | set(again)) == 80


def test_workers_and_requests_in_flight_change_no_byte(server: ChatServer, tmp_path: Path) -> None:
    job = chat_job(tmp_path, server, rows(20))
    one = identity(build_here(job, tmp_path / "one"))
    few = ("--set", "models.tiny.endpoint.max_in_flight=1")
    assert identity(build_here(job, tmp_path / "two", *few)) == one
    command = ("build", job, "--output", tmp_path / "three", "--workers", "2", "--json")
    spread = ("--set", "models.tiny.endpoint.processes=2")
    assert identity(finish(start(*command, *spread))) == one


def test_hundreds_of_requests_are_in_flight_though_a_partition_has_few_rows(
    tmp_path: Path,
) -> None:
    with serving(ChatServer(latency_s=0.4)) as server:
        job = chat_job(tmp_path, server, rows(100), endpoint={"max_in_flight": 120})
        identity(build_here(job, tmp_path / "corpus"))
        assert 50 <= server.seen["most_busy"] <= 120


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
        assert done.code == 2
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


def test_prompts_of_a_source_are_used_for_it_and_kept_for_replay(
    server: ChatServer, tmp_path: Path
) -> None:
    own = (
        "=== system\nMINE, at most $max_chars.\n=== user\nInstruction: $text\n"
        "=== again\nNo: $problems\n"
    )
    (tmp_path / "mine.txt").write_text(own)
    chat = {"source_prompts": {"small": {"en": "mine.txt"}, "other": {"en": own}}}
    document = chat_job(tmp_path, server)
    told = f"rewrite={json.dumps({'backend': 'chat', 'chat': {'model': 'tiny', **chat}})}"
    identity(build_here(document, tmp_path / "corpus", "--set", told))
    systems = [body["messages"][0]["content"] for body in server.bodies]
    assert systems.count("MINE, at most 400.") == 6
    (tmp_path / "mine.txt").unlink()
    assert voxmill("replay", tmp_path / "corpus", accepted(tmp_path / "corpus")).code == 0


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


def test_the_dataset_card_names_the_model(server: ChatServer, tmp_path: Path) -> None:
    build_here(chat_job(tmp_path, server), tmp_path / "corpus")
    card = (tmp_path / "corpus" / "README.md").read_text()
    assert f"by `{MODEL}` (temperature 0.7)" in card
    assert "rules, not by people or a language model" not in card


def test_a_grown_source_asks_for_its_new_rows_and_keeps_the_replies_of_the_old(
    server: ChatServer, tmp_path: Path
) -> None:
    job, output = chat_job(tmp_path, server, rows(6)), tmp_path / "corpus"
    identity(build_here(job, output))
    asked(server)
    chat_job(tmp_path, server, rows(9))
    shutil.rmtree(output / "work")
    identity(build_here(job, output))
    assert asked(server) == 6
    listing = json.loads((output / manifest_of(output)["replies"]["name"]).read_text())
    assert len(listing) == 2
    assert voxmill("verify", output).code == 0
    keys = [place.key for place in ended(output).values()]
    assert all(voxmill("replay", output, key).code == 0 for key in keys)
    assert asked(server) == 0
    dry = voxmill("clean", output, "--dry-run", "--grace", "0s").out
    assert "replies" not in dry


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
