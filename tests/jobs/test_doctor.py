"""`voxmill doctor`: what it finds, and that each finding names its cure."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.chat_server import Body, ChatServer, raw, serving
from tests.jobs.chatting import KEY, chat_job
from tests.jobs.small import voxmill


def doctor(job: Path, output: Path, *more: str) -> tuple[int, dict[str, dict[str, Any]], str]:
    """The exit code, the findings by what they are of, and all that was shown."""
    done = voxmill("doctor", job, "--output", output, "--json", *more)
    found = done.last_json
    assert found["ok"] == (done.code == 0)
    for item in found["findings"]:
        assert item["cure"] or item["state"] != "failed", item
    return done.code, {item["what"]: item for item in found["findings"]}, done.out + done.err


def test_all_is_well_where_all_is_well(tmp_path: Path) -> None:
    with serving(ChatServer()) as server:
        code, found, _ = doctor(chat_job(tmp_path, server), tmp_path / "corpus")
        assert code == 0
        assert {item["state"] for item in found.values()} == {"ok"}
        assert "context of 8192 tokens" in found[f"model tiny at {server.url}"]["told"]
        assert "answers in JSON" in found["rewrite by tiny"]["told"]
        assert server.seen["requests"] == 2  # one real round trip a step
        assert {"voices", "source", "store", "job file"} <= set(found)


def test_a_job_of_rules_needs_no_model(tmp_path: Path) -> None:
    job = Path(__file__).parents[2] / "examples" / "instruct_s2s.yaml"
    code, found, _ = doctor(job, tmp_path / "corpus")
    assert code == 0
    assert not any(what.startswith("model") for what in found)


@pytest.mark.parametrize(
    ("settings", "change", "told", "cure"),
    [
        ({}, "models.tiny.endpoint.urls=['http://127.0.0.1:9/v1']", "no answer", "vllm serve"),
        ({}, "models.tiny.model=other", "does not serve other", "tiny-chat"),
        ({"key": KEY}, "models.tiny.endpoint.api_key_env=TEST_KEY", "is refused", "api_key_env"),
        ({}, "models.tiny.endpoint.api_key_env=NO_KEY", "no API key in NO_KEY", "export it"),
        ({}, "models.tiny.endpoint=null", "no endpoint is named", "endpoint.urls"),
        ({}, "models.tiny.backend=vllm", "vllm is not installed", "pip install"),
    ],
)
def test_each_fault_of_an_endpoint_is_named_with_its_cure(
    settings: dict[str, Any],
    change: str,
    told: str,
    cure: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-refused-1234")
    monkeypatch.delenv("NO_KEY", raising=False)
    with serving(ChatServer(**settings)) as server:
        job = chat_job(tmp_path, server)
        code, found, shown = doctor(job, tmp_path / "corpus", "--set", change)
        (bad,) = [item for item in found.values() if item["state"] == "failed"]
        assert code == 2
        assert told in bad["told"]
        assert cure in bad["cure"]
        assert "sk-refused" not in shown


def test_an_address_of_web_pages_is_told_from_an_api(tmp_path: Path) -> None:
    with serving(ChatServer()) as server:
        url = f"models.tiny.endpoint.urls=['{server.url}/elsewhere']"
        _, found, _ = doctor(chat_job(tmp_path, server), tmp_path / "corpus", "--set", url)
        (item,) = [item for what, item in found.items() if what.startswith("model tiny")]
        assert item["state"] == "warning"
        assert "404" in item["told"]


def test_a_json_mode_that_the_server_does_not_take_is_found_and_one_that_it_does(
    tmp_path: Path,
) -> None:
    def fault(body: Body, number: int) -> Any:
        kind = body.get("response_format", {}).get("type")
        return raw('{"error": "unknown response_format"}', 400) if kind == "json_schema" else None

    with serving(ChatServer(fault=fault)) as server:
        code, found, _ = doctor(chat_job(tmp_path, server), tmp_path / "corpus")
        assert code == 2
        assert "json_mode: object" in found["rewrite by tiny"]["cure"]


def test_a_model_that_answers_without_json_is_a_warning(tmp_path: Path) -> None:
    with serving(ChatServer(speak=lambda body: "Blue light scatters.")) as server:
        code, found, _ = doctor(chat_job(tmp_path, server), tmp_path / "corpus")
        assert code == 0
        assert found["rewrite by tiny"]["state"] == "warning"
        assert "not_json" in found["rewrite by tiny"]["told"]


def test_a_short_context_is_a_warning(tmp_path: Path) -> None:
    with serving(ChatServer()) as server:
        job = chat_job(tmp_path, server, model={"context_tokens": 1024})
        _, found, _ = doctor(job, tmp_path / "corpus")
        assert found[f"model tiny at {server.url}"]["state"] == "warning"


def test_voices_source_and_store_are_looked_at_too(tmp_path: Path) -> None:
    with serving(ChatServer()) as server:
        job = chat_job(tmp_path, server)
        (tmp_path / "rows.jsonl").unlink()
        (tmp_path / "file").write_text("a file where a folder is wanted")
        (tmp_path / "bank.yaml").write_text(
            "voices:\n- {id: a, speaker_id: a, gender: f, lang: en, backend: flite, name: nobody, "
            "license: CC0-1.0}\n"
        )
        bank = f"voices.bank={tmp_path / 'bank.yaml'}"
        code, found, _ = doctor(job, tmp_path / "file" / "corpus", "--set", bank)
        failed = {what for what, item in found.items() if item["state"] == "failed"}
        assert code == 2
        assert {"source", "store", "voice a"} <= failed


@pytest.mark.parametrize("name", ["instructs2s_200k", "s2s_2026"])
def test_the_full_size_recipes_plan_and_estimate_without_an_endpoint(
    name: str, tmp_path: Path
) -> None:
    job = Path(__file__).parents[2] / "examples" / f"{name}.yaml"
    done = voxmill("plan", job, "--output", tmp_path / "corpus", "--json", "--limit", "20")
    assert done.code == 0
    guess = json.loads(done.out.splitlines()[-1])["asks_guess"]
    for step in ("rewrite", "respond"):
        assert guess[step]["calls"] >= 20
        assert guess[step]["prompt_tokens"] > 20 * 150
        assert guess[step]["completion_tokens"] > 20 * 10
        assert guess[step]["cost"] > 0
    assert not (tmp_path / "corpus").exists()
