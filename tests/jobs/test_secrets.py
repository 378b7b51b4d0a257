"""A secret in a job is refused, with the cure and without being repeated."""

import json
from pathlib import Path

import pytest

from jobs.settings.jobfile import load_job
from schemas.errors import SettingsError
from tests.jobs.small import rows, voxmill, write_job

SHAPED = "sk-" + "proj-0a1b2c3d4e5f6a7b8c9d"
SERVER = {"urls": ["http://127.0.0.1:9/v1"]}
SPEECH = {"kind": "speech_endpoint", "model": "m", "endpoint": SERVER}
HEARD = {"kind": "transcriptions", "model": "m", "endpoint": SERVER}


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("models", {"m": {"model": "m", "extra": {"api_key": "hunter2"}}}),
        ("models", {"m": {"model": "m", "extra": {"headers": {"Authorization": "hunter2"}}}}),
        ("models", {"m": {"model": "m", "extra": {"user": SHAPED}}}),
        ("backends", {"b": {**SPEECH, "extra": {"x-api-key": "hunter2"}}}),
        ("checks", {"asr": {**HEARD, "extra": {"apikey": "hunter2"}}}),
        ("models", {"m": {"model": "m", "endpoint": {**SERVER, "api_key_env": SHAPED}}}),
        ("models", {"m": {"model": "m", "endpoint": {**SERVER, "api_key_env": "hunter-2"}}}),
        ("models", {"m": {"model": "m", "endpoint": {"urls": ["http://u:hunter2@h/v1"]}}}),
    ],
)
@pytest.mark.parametrize("by_option", [False, True])
def test_a_key_in_a_job_is_refused_with_the_cure_and_not_repeated(
    tmp_path: Path, section: str, told: dict[str, object], by_option: bool
) -> None:
    job = write_job(tmp_path, rows(1), **({} if by_option else {section: told}))
    changes = [f"{section}={json.dumps(told)}"] if by_option else []
    with pytest.raises(SettingsError, match=f"setting '{section}") as refused:
        load_job(job, changes)
    words = str(refused.value)
    assert "api_key_env" in words
    assert not any(secret in words for secret in ("hunter", SHAPED))


def test_an_option_that_is_no_yaml_does_not_repeat_its_key(tmp_path: Path) -> None:
    job = write_job(tmp_path, rows(1))
    with pytest.raises(SettingsError, match="not a YAML value") as refused:
        load_job(job, ["models.m.extra={api_key: hunter2"])
    assert "hunter2" not in str(refused.value)


def test_further_fields_that_are_no_secret_are_taken(tmp_path: Path) -> None:
    extra = {"max_tokens": 9, "stop_token_ids": [1], "prompt_cache_key": "voxmill", "top_k": 20}
    models = {"m": {"model": "m", "extra": extra, "endpoint": {**SERVER, "api_key_env": "K"}}}
    assert (
        load_job(write_job(tmp_path, rows(1), models=models)).model_dump()["models"]["m"]["extra"]
        == extra
    )


def test_fields_that_json_cannot_hold_are_refused_for_speech_too(tmp_path: Path) -> None:
    job = write_job(tmp_path, rows(1))
    with pytest.raises(SettingsError, match="what json can hold"):
        load_job(job, [f"backends.b={json.dumps(SPEECH)}", "backends.b.extra={x: .inf}"])


def test_a_source_that_cannot_be_read_is_told_without_its_password(tmp_path: Path) -> None:
    address = "http://me:hunter2@127.0.0.1:9/rows.jsonl"
    done = voxmill(
        "build", write_job(tmp_path, rows(1)), "--output", tmp_path / "out", "--input", address
    )
    assert done.code == 2
    assert "127.0.0.1:9" in done.err
    assert "hunter2" not in done.err
