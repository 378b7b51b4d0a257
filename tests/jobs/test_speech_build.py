"""Builds whose voices are a tiny random VITS and a speech endpoint, from job file to replay."""

import json
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
import yaml

from schemas.snapshot import Manifest
from tests.chat_server import raw, serving
from tests.jobs.small import build_here, ended, files, manifest_of, row, rows, voxmill, write_job
from tests.speech_server import SpeechServer, audio

QUIET = {"align": False, "vad": False, "asr_fraction": 0.0}


def bank(folder: Path, *voices: dict[str, Any]) -> Path:
    plain = {"gender": "f", "lang": "en", "license": "CC0-1.0"}
    listed = [{"speaker_id": f"of-{voice['id']}", **plain, **voice} for voice in voices]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "bank.yaml"
    path.write_text(yaml.safe_dump({"voices": listed}), encoding="utf-8")
    return path


def endpoint_job(folder: Path, server: SpeechServer, lines: Any = None, **sections: Any) -> Path:
    voices = bank(
        folder,
        {"id": "asks", "backend": "tts", "name": "ash", "roles": ["user"], "emotion": "happy"},
        {"id": "says", "backend": "tts", "name": "alloy", "roles": ["assistant"]},
    )
    told = {
        "kind": "speech_endpoint",
        "model": "tiny-tts",
        "sample_rate_hz": 24000,
        "endpoint": {"urls": [server.url], "patience_s": 2, "max_attempts": 2},
        "price": {"per_million_characters": 15.0},
    }
    return write_job(
        folder,
        rows(6) if lines is None else lines,
        voices={"bank": str(voices)},
        backends={"tts": told},
        checks=QUIET,
        **sections,
    )


def run_of(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((output / "run.json").read_text(encoding="utf-8"))
    return found


def members(output: Path, manifest: Manifest) -> dict[str, bytes]:
    return {name: data for name, data in files(output, "shards").items()}


def test_a_build_by_an_endpoint_is_pinned_by_its_first_replies(tmp_path: Path) -> None:
    output = tmp_path / "corpus"
    with serving(SpeechServer()) as server:
        job = endpoint_job(tmp_path / "job", server)
        done = build_here(job, output)
        assert done.code == 0, done.err
        assert done.last_json["accepted"] == 6
        asked = server.seen["requests"]
        assert asked == 12
        first = manifest_of(output)
        run = run_of(output)
        assert run["speech"]["calls"] == run["speech"]["asked_now"]["calls"] == 12
        assert run["speech"]["cost"] == pytest.approx(run["speech"]["characters"] * 15e-6)
        assert server.url not in json.dumps(first)
        (key,) = {place.key for name, place in ended(output).items() if name == "river"}
        # Without the work store: the published replies serve, and the same snapshot comes of it.
        shards = members(output, first)
        rmtree(output / "work")
        for path in [*(output / "shards").iterdir(), *(output / "commits").rglob("*.json")]:
            path.unlink()
        again = build_here(job, output)
        assert again.code == 0, again.err
        assert server.seen["requests"] == asked
        assert run_of(output)["speech"]["asked_now"]["calls"] == 0
        assert manifest_of(output)["identity"] == first["identity"]
        assert members(output, first) == shards
    # The server is gone: a replay makes the same bytes of the kept replies.
    replayed = voxmill("replay", output, key)
    assert replayed.code == 0, replayed.out + replayed.err
    assert "every byte is equal" in replayed.out
    assert voxmill("verify", output).code == 0


def test_another_gate_asks_for_nothing_and_another_model_for_all(tmp_path: Path) -> None:
    output = tmp_path / "corpus"
    with serving(SpeechServer()) as server:
        job = endpoint_job(tmp_path / "job", server)
        assert build_here(job, output).code == 0
        gate = "gates=[{measure: duration_s, max: 60}]"
        assert build_here(job, output, "--set", gate).code == 0
        assert server.seen["requests"] == 12
        assert build_here(job, output, "--set", "backends.tts.revision=two").code == 0
        assert server.seen["requests"] == 24


def test_emotion_is_told_to_a_backend_that_honors_it_and_said_of_each_turn(tmp_path: Path) -> None:
    output = tmp_path / "corpus"
    with serving(SpeechServer()) as server:
        assert build_here(endpoint_job(tmp_path / "job", server, rows(2)), output).code == 0
        told = {body["voice"]: body.get("instructions") for body in server.bodies}
    assert told == {"ash": "Emotion: happy.", "alloy": None}
    shown = voxmill("inspect", output, ended(output)["river"].key, "--json").last_json
    turns = json.dumps(shown)
    assert '"emotion": "happy"' in turns
    assert "manner_ignored" not in turns


def test_rows_that_the_server_refuses_or_never_answers_fail_and_can_be_tried_again(
    tmp_path: Path,
) -> None:
    output = tmp_path / "corpus"
    broken = True

    def fault(body: Any, number: int) -> Any:
        if "castle" in body["input"]:
            return raw('{"error": {"message": "not this word"}}', 400)
        if "garden" in body["input"] and broken:
            return audio(b"RIFF no")
        return None

    lines = [row("river"), row("castle"), row("garden")]
    with serving(SpeechServer(fault=fault)) as server:
        job = endpoint_job(tmp_path / "job", server, lines)
        build_here(job, output)
        ends = ended(output)
        assert ends["river"].state == "accepted"
        assert (ends["castle"].state, ends["garden"].state) == ("failed", "failed")
        assert "not this word" in ends["castle"].message
        before = server.seen["requests"]
        broken = False
        build_here(job, output, "--retry-failed")
        assert ended(output)["garden"].state == "accepted"
        assert server.seen["requests"] == before + 2


def test_a_build_that_cannot_be_asked_stops_before_it_spends(tmp_path: Path) -> None:
    with serving(SpeechServer()) as server:
        job = endpoint_job(tmp_path / "job", server)
    done = build_here(job, tmp_path / "corpus")
    assert done.code == 2
    assert "speech backend tts at" in done.err
    assert "no answer" in done.err
    assert "cure" in done.err
    planned = voxmill("plan", job, "--output", tmp_path / "corpus")
    assert planned.code == 0, planned.err


def test_a_voice_that_the_server_does_not_list_stops_the_build_before_it_spends(
    tmp_path: Path,
) -> None:
    with serving(SpeechServer(voices=("alloy", "vivian"))) as server:
        done = build_here(endpoint_job(tmp_path / "job", server), tmp_path / "corpus")
        assert server.seen["requests"] == 0
    assert done.code == 2
    assert "it has no voice ash" in done.err
    assert "take one of alloy, vivian" in done.err


def vits_job(folder: Path, model: Path, **changes: Any) -> Path:
    voices = bank(
        folder,
        *(
            {"id": f"asks-{n}", "backend": "small", "name": name, "roles": ["user"]}
            for n, name in enumerate(("anna", "1"))
        ),
        {"id": "says", "backend": "small", "name": "2", "roles": ["assistant"], "style": "calm"},
    )
    told = {"kind": "vits", "path": str(model), "speakers": {"anna": 0}, **changes}
    return write_job(
        folder, rows(4), voices={"bank": str(voices)}, backends={"small": told}, checks=QUIET
    )


@pytest.fixture(scope="module")
def vits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers", reason="pip install -c constraints.txt '.[speech]'")
    from tests.transforms.tiny_vits import save_vits

    return save_vits(tmp_path_factory.mktemp("vits"), speakers=3)


@pytest.mark.slow
def test_a_build_by_vits_from_end_to_end(
    tmp_path: Path, vits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, other = tmp_path / "corpus", tmp_path / "other"
    job = vits_job(tmp_path / "job", vits)
    done = build_here(job, output)
    assert done.code == 0, done.err
    assert done.last_json["accepted"] == 4
    manifest = manifest_of(output)
    assert str(vits) not in json.dumps(manifest)
    by_workers = voxmill("build", job, "--output", other, "--workers", "2", "--json")
    assert by_workers.code == 0, by_workers.err
    assert manifest_of(other)["identity"] == manifest["identity"]
    key = ended(output)["river"].key
    lost = voxmill("replay", output, key)
    assert lost.code == 2
    assert "VOXMILL_SPEECH_PATH_SMALL" in lost.err
    monkeypatch.setenv("VOXMILL_SPEECH_PATH_SMALL", str(vits))
    replayed = voxmill("replay", output, key)
    assert replayed.code == 0, replayed.out + replayed.err
    shown = json.dumps(voxmill("inspect", output, key, "--json").last_json)
    assert '"manner_ignored": ["style"]' in shown  # VITS takes none, and each turn says so


def test_a_model_that_is_not_here_stops_a_build_and_not_a_plan(tmp_path: Path) -> None:
    job = vits_job(tmp_path / "job", tmp_path / "nowhere")
    done = build_here(job, tmp_path / "corpus")
    assert done.code == 2
    assert "small: no folder" in done.err
    assert "backends.small.path" in done.err
    planned = voxmill("plan", job, "--output", tmp_path / "corpus")
    assert planned.code == 0
    assert "not here: small" in planned.out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("backends.small.pth=x", "did you mean 'path'?"),
        ("backends.small.kind=vit", "kind"),
        ("backends.small.device=tpu", "backends.small"),
        ("backends.small.files={config.json: abcd}", "wanted abcd"),
        ("backends.flite={kind: vits}", "built in"),
        ("backends={}", "wants the backend 'small'"),
        (
            "backends.tts={kind: speech_endpoint, model: m, send_seed: true, batch_items: 8}",
            "a request of /v1/audio/speech/batch has no seed",
        ),
    ],
)
def test_a_backend_that_cannot_be_meant_is_refused(
    tmp_path: Path, vits: Path, change: str, said: str
) -> None:
    job = vits_job(tmp_path / "job", vits)
    done = voxmill("plan", job, "--output", tmp_path / "corpus", "--set", change)
    assert done.code == 2
    assert said in done.err


def test_the_doctor_hears_every_voice_and_names_what_is_missing(tmp_path: Path, vits: Path) -> None:
    job = vits_job(tmp_path / "job", vits)
    well = voxmill("doctor", job, "--output", tmp_path / "corpus", "--json")
    assert well.code == 0, well.out
    found = {item["what"]: item for item in well.last_json["findings"]}
    assert "3 of 3 speak here, at median pitches" in found["voices"]["told"]
    assert "16000 Hz" in found["speech backend small"]["told"]
    assert "does not follow style" in found["voice says"]["told"]
    (vits / "aside.bin").write_bytes(b"")
    ill = voxmill(
        *("doctor", job, "--output", tmp_path / "corpus", "--json"),
        *("--set", "backends.small.speakers={anna: 7}"),
    )
    assert ill.code == 2
    bad = [item for item in ill.last_json["findings"] if item["state"] == "failed"]
    assert "no voice 'anna'" in bad[0]["told"]


def test_the_doctor_asks_a_speech_server_and_names_its_voices(tmp_path: Path) -> None:
    with serving(SpeechServer()) as server:
        job = endpoint_job(tmp_path / "job", server)
        done = voxmill("doctor", job, "--output", tmp_path / "corpus", "--json")
        assert done.code == 0, done.out
        found = {item["what"]: item["told"] for item in done.last_json["findings"]}
        assert "alloy, ash, vivian" in found[f"speech backend tts at {server.url}"]
        assert "2 of 2 speak here" in found["voices"]
    gone = voxmill("doctor", job, "--output", tmp_path / "corpus", "--json")
    assert gone.code == 2
    bad = [item for item in gone.last_json["findings"] if item["state"] == "failed"]
    assert any("no answer" in item["told"] for item in bad)
    assert all(item["cure"] for item in bad)
