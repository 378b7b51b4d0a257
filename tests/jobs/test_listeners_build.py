"""Builds that are heard by Whisper, by a server, and rated: garbage accepts nothing."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chat_server import raw, serving
from tests.jobs.small import build_here, ended, files, manifest_of, row, rows, voxmill, write_job
from tests.transcription_server import TranscriptionServer
from tests.transforms.test_mos import save_torchscript
from tests.transforms.tiny_whisper import save_whisper

KEY = "sk-ears-0123456789"
GATE = {"measure": "asr_wer_judged", "max": 0.5}


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_whisper(tmp_path_factory.mktemp("listeners") / "whisper")


@pytest.fixture
def server() -> Iterator[TranscriptionServer]:
    with serving(TranscriptionServer()) as running:
        yield running


def heard_job(folder: Path, checks: dict[str, Any], lines: Any = None, **sections: Any) -> Path:
    checks = {"align": False, "vad": False, "asr_fraction": 1.0, **checks}
    return write_job(folder, rows(3) if lines is None else lines, checks=checks, **sections)


def asked(server: TranscriptionServer, **more: Any) -> dict[str, Any]:
    reached = {"urls": [server.url], "patience_s": 1.0, "max_attempts": 1, **more}
    return {"kind": "transcriptions", "model": "tiny-ears", "endpoint": reached}


def read_turns(output: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return [
        turn
        for path in sorted(output.glob("index/*.parquet"))
        for line in pq.read_table(path).to_pylist()
        for turn in line["turns"]
    ]


@pytest.mark.slow
def test_garbage_of_a_random_whisper_ends_as_rejected_rows_with_reasons(
    whisper: Path, tmp_path: Path
) -> None:
    told = {"kind": "whisper", "path": str(whisper), "max_new_tokens": 12}
    rated = {"path": str(save_torchscript(tmp_path / "mos"))}
    checks = {"asr": told, "mos": rated}
    job = heard_job(tmp_path, checks, gates=[GATE, {"measure": "mos", "min": 1.0}])
    output = tmp_path / "corpus"
    done = build_here(job, output, "--set", "limits.min_accepted_fraction=0.5")
    assert done.code == 1, done.err
    assert {place.state for place in ended(output).values()} == {"rejected"}
    assert {place.why for place in ended(output).values()} == {"asr_wer_judged"}
    loose = build_here(job, output, "--set", "gates=[{measure: mos, min: 1.0}]")
    assert loose.last_json["accepted"] == 3, loose.err
    assert loose.last_json["computed_rows"]["transcribe"] == 0
    assert loose.last_json["computed_rows"]["rate"] == 0
    settings = json.dumps(manifest_of(output)["settings"]["checks"])
    assert str(tmp_path) not in settings
    assert "model.safetensors" in settings
    assert voxmill("verify", output).code == 0


@pytest.mark.slow
def test_what_a_server_heard_first_is_kept_with_the_corpus(
    server: TranscriptionServer, tmp_path: Path
) -> None:
    job, output = heard_job(tmp_path, {"asr": asked(server)}), tmp_path / "corpus"
    one = build_here(job, output)
    assert one.code == 0, one.err
    assert server.seen["requests"] == 6
    hearing = json.loads((output / "run.json").read_text())["hearing"]
    assert hearing["calls"] == hearing["asked_now"]["calls"] == 6
    shards = {name: data for name, data in files(output).items() if name.endswith(".tar")}
    shutil.rmtree(output / "work")
    for name in shards:
        (output / name).unlink()
    again = build_here(job, output)
    assert again.last_json["identity"] == one.last_json["identity"]
    assert server.seen["requests"] == 6  # it would have said something else
    assert {name: data for name, data in files(output).items() if name in shards} == shards
    key = next(place.key for place in ended(output).values())
    assert voxmill("replay", output, key).code == 0
    assert server.seen["requests"] == 6
    listing = [name for name in files(output) if "-replies-" in name]
    assert listing
    other = build_here(job, tmp_path / "other")
    assert other.last_json["identity"] != one.last_json["identity"]


@pytest.mark.slow
def test_a_request_that_fails_fails_its_row_and_is_tried_again_when_asked(
    server: TranscriptionServer, tmp_path: Path
) -> None:
    lines = [row("one"), row("two", "Tell me a very much longer story about the two of them.")]
    broken = {"now": True, "longest": 0}

    def fault(body: dict[str, Any], number: int) -> Any:
        broken["longest"] = max(broken["longest"], len(body["audio"]))
        bad = broken["now"] and len(body["audio"]) == broken["longest"] and number > 4
        return raw("<html>busy</html>", 200, "text/html") if bad else None

    job, output = heard_job(tmp_path, {"asr": asked(server)}, lines), tmp_path / "corpus"
    build_here(job, tmp_path / "first")  # finds the longest clip
    server.fault = fault
    done = build_here(job, tmp_path / "second")
    server.seen["requests"] = 10
    done = build_here(job, output)
    assert done.code == 0, done.err
    failed = [place for place in ended(output).values() if place.state == "failed"]
    assert [place.why for place in failed] == ["ChatError"]
    assert "text/html" in failed[0].message
    broken["now"] = False
    done = build_here(job, output, "--retry-failed")
    assert {place.state for place in ended(output).values()} == {"accepted"}, done.err


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        ({"asr": {"kind": "whisper", "path": "none"}}, "huggingface-cli download"),
        ({"asr": {"kind": "whisper", "langs": ["fr"]}}, "no text rules for fr"),
        ({"second": {"kind": "faster_whisper"}}, "ct2-transformers-converter"),
        ({"mos": {"path": "none.yaml"}}, "does not describe a predictor"),
        ({"mos": {}}, "checks.mos.path: no predictor is named"),
        ({"asr": {"kind": "wisper"}}, "whisper"),
        ({"asr": {"kind": "transcriptions", "model": "m"}}, "no endpoint"),
    ],
)
def test_a_listener_that_is_not_there_is_told_before_anything_is_made(
    tmp_path: Path, checks: dict[str, Any], told: str
) -> None:
    done = build_here(heard_job(tmp_path, checks), tmp_path / "corpus")
    assert done.code == 2
    assert told in " ".join(done.err.split())
    assert not list((tmp_path / "corpus").glob("snapshots/*"))


@pytest.mark.parametrize(
    ("gates", "told"),
    [
        ([{"measure": "mos", "min": 3}], "checks.mos"),
        ([{"measure": "asr_wer_second", "max": 1}], "checks.second"),
    ],
)
def test_a_gate_on_what_nobody_measures_is_an_error(
    tmp_path: Path, gates: list[dict[str, Any]], told: str
) -> None:
    done = build_here(heard_job(tmp_path, {}, gates=gates), tmp_path / "corpus")
    assert (done.code, told in done.err) == (2, True), done.err


def findings(job: Path, output: Path, *more: str) -> dict[str, dict[str, Any]]:
    done = voxmill("doctor", job, "--output", output, "--json", *more)
    for item in done.last_json["findings"]:
        assert item["cure"] or item["state"] == "ok", item
    assert KEY not in done.out + done.err
    return {item["what"]: item for item in done.last_json["findings"]}


@pytest.mark.slow
def test_the_doctor_hears_and_rates_one_clip(
    whisper: Path, server: TranscriptionServer, tmp_path: Path
) -> None:
    sentence = "The river is wide and calm, and the old bridge leads over it."
    server.hear = lambda body, number: sentence
    checks = {
        "asr": {"kind": "whisper", "path": str(whisper), "langs": ["en"], "max_new_tokens": 9},
        "second": asked(server),
        "mos": {"path": str(save_torchscript(tmp_path / "mos"))},
    }
    found = findings(heard_job(tmp_path, checks), tmp_path / "corpus")
    assert found["checks.second"]["state"] == "ok"
    assert "WER 0.00" in found["checks.second"]["told"]
    assert found["checks.asr"]["state"] == "warning"  # it is random, and knows no Chinese
    assert "rates a clear sentence" in found["checks.mos"]["told"]


def test_the_doctor_names_the_cure_of_a_server_that_is_wrong(
    server: TranscriptionServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARS_KEY", KEY)
    monkeypatch.delenv("NO_KEY", raising=False)
    job = heard_job(tmp_path, {"asr": asked(server, api_key_env="EARS_KEY")})
    server.key = "another"
    assert "401" in findings(job, tmp_path / "corpus")["checks.asr"]["told"]
    server.key = ""
    server.fault = lambda body, number: raw("<html>hello</html>", 200, "text/html")
    assert "text/html" in findings(job, tmp_path / "corpus")["checks.asr"]["told"]
    gone = "checks.asr.endpoint.urls=['http://127.0.0.1:9/v1']"
    found = findings(job, tmp_path / "corpus", "--set", gone)
    assert "no answer" in found["checks.asr at http://127.0.0.1:9/v1"]["told"]
    found = findings(job, tmp_path / "corpus", "--set", "checks.asr.endpoint.api_key_env=NO_KEY")
    assert any("NO_KEY" in item["told"] for item in found.values())
