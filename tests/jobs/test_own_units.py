"""A corpus of the speech model's own tokens: built, verified, read again, refused with the cure."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.recipes.recipe import pipeline_from
from pipelines.unit_nodes import unit_step
from schemas.shard import read_npy
from schemas.snapshot import sealed, snapshot_path
from tests.cosyvoice_checkout import checkout, forgotten, model, reference, tones
from tests.jobs.small import Done, manifest_of, rows, voxmill, write_rows
from tests.jobs.test_units import members, retokenized
from transforms.audio import decode_flac
from transforms.backends.tts_files import file_sha256

torch = pytest.importorskip("torch", reason="pip install -c constraints.txt '.[speech]'")

OWN = {"backend": "own", "name": "cosy50"}
ASKS = {
    "id": "en-asks", "speaker_id": "cmu-kal", "gender": "m", "lang": "en", "backend": "flite",
    "name": "kal16", "rate": 1.2, "license": "MIT-Festival", "roles": ["user"],
}  # fmt: skip
ANSWERS = {
    "id": "en-answers", "speaker_id": "sft", "gender": "f", "lang": "en", "backend": "cosy",
    "name": "英文女", "license": "Apache-2.0", "roles": ["assistant"],
}  # fmt: skip


@pytest.fixture(autouse=True)
def _clean_imports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with forgotten():
        yield


def job_in(
    folder: Path, units: dict[str, Any] | None = None, bank: Any = (ASKS, ANSWERS), **changes: Any
) -> Path:
    """A job of eight rows that CosyVoice 1 answers, in pieces of at most 30 letters."""
    if not (folder / "rows.jsonl").exists():
        write_rows(folder / "rows.jsonl", rows(8))
        checkout(folder / "code")
        model(folder / "model")
    (folder / "bank.yaml").write_text(yaml.safe_dump({"voices": list(bank)}, allow_unicode=True))
    cosy = {"kind": "cosyvoice", "checkout": "code", "path": "model", "device": "cpu"}
    told: dict[str, Any] = {
        "name": "tiny",
        "pipeline": "instruct_s2s",
        "seed": 3,
        "source": {"path": "rows.jsonl", "adapter": "alpaca", "name": "rows", "lang": "en"},
        "splits": {"eval_fraction": 0.0},
        "voices": {"bank": "bank.yaml"},
        "backends": {"cosy": {**cosy, "max_chars": 30}},
        "checks": {"align": False, "vad": False, "asr_fraction": 0},
        "synthesize": {"loudness_lufs": -23},
        "units": OWN if units is None else units,
    }
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(told | changes, allow_unicode=True))
    return path


def built(job: Path, output: Path, *more: str) -> Done:
    with forgotten():
        return voxmill("build", job, "--output", output, "--workers", "0", "--json", *more)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a job and its corpus."""
    folder = tmp_path_factory.mktemp("own")
    done = built(job_in(folder), folder / "corpus")
    assert done.code == 0, done.err
    assert done.last_json["accepted"] == 8
    return folder


def test_the_units_are_the_tokens_that_are_heard_in_the_audio(place: Path) -> None:
    """Through pieces, resampling and loudness: each unit lies on the sound that was made of it."""
    found = members(place / "corpus")
    names = [name for name in found if name.endswith(".cosy50.npy")]
    assert len(names) == 8
    assert all(".assistant." in name for name in names)
    for name in names:
        samples, rate = decode_flac(found[name.replace("cosy50.npy", "flac")])
        codes = read_npy(found[name])[0].tolist()
        assert rate == 16000
        assert 0 <= len(codes) - len(samples) / 320 < 1
        heard = tones(samples, rate, 50)
        same = [one == other % 16 for one, other in zip(heard, codes, strict=False)]
        assert sum(same) >= len(same) - 4, name  # a frame at a joint is faded


def test_the_manifest_and_the_card_say_whose_tokens_they_are(place: Path) -> None:
    manifest = manifest_of(place / "corpus")
    (told,) = manifest["unit_sets"]
    assert (
        told["provenance"] == "the speech model's own tokens, from which the shipped audio was made"
    )
    assert (told["name"], told["codebook_size"], told["roles"]) == ("cosy50", 4096, ["assistant"])
    assert (told["grid"], told["hop_samples"], told["slack_frames"]) == ("ceil", 320, 2)
    assert told["model"] == "speech_tokenizer_v1.onnx"
    assert told["model_sha256"] == file_sha256(place / "model/speech_tokenizer_v1.onnx")
    card = (place / "corpus/README.md").read_text()
    assert "the speech model's own tokens" in card
    assert "codes [1, T], each from 0 to 4095" in card
    assert str(place) not in json.dumps(manifest)


@pytest.mark.slow
def test_workers_make_the_same_corpus(place: Path, tmp_path: Path) -> None:
    done = built(job_in(place), tmp_path / "two", "--workers", "2")
    assert done.code == 0, done.err
    assert done.last_json["identity"] == manifest_of(place / "corpus")["identity"]


def test_verify_passes_and_catches_what_breaks_the_contract(place: Path, tmp_path: Path) -> None:
    assert voxmill("verify", place / "corpus").code == 0
    corpus = tmp_path / "corpus"
    shutil.copytree(place / "corpus", corpus)
    whole: Any = manifest_of(corpus)
    (told,) = whole["unit_sets"]
    for change, said in (
        ({"codebook_size": 300}, "unit ids span"),
        ({"hop_samples": 640}, "+- 2 for"),
        ({"slack_frames": 0, "hop_samples": 310}, "units, wanted"),
    ):
        (corpus / snapshot_path(1)).write_text(
            json.dumps(sealed({**whole, "unit_sets": [{**told, **change}]}))
        )
        done = voxmill("verify", corpus)
        assert done.code == 1
        assert said in done.out, change


def test_a_damaged_code_is_caught(place: Path, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(place / "corpus", corpus)
    data = next(item for name, item in members(corpus).items() if name.endswith("cosy50.npy"))
    (shard,) = (corpus / "shards").iterdir()
    whole = bytearray(shard.read_bytes())
    at = whole.find(data) + len(data) - 1
    whole[at] ^= 0x10
    shard.write_bytes(bytes(whole))
    done = voxmill("verify", corpus)
    assert done.code == 1
    assert "its sha256 is not the manifest's" in done.out


def test_a_second_set_stands_beside_the_tokens(place: Path, tmp_path: Path) -> None:
    done = retokenized(place, place / "corpus", {"clusters": 4}, tmp_path / "both")
    assert done.code == 0, done.err
    assert voxmill("verify", tmp_path / "both").code == 0
    sets = manifest_of(tmp_path / "both")["unit_sets"]
    assert sets[0] == manifest_of(place / "corpus")["unit_sets"][0]
    assert sets[1]["provenance"].startswith("extracted from")
    before, after = members(place / "corpus"), members(tmp_path / "both")
    kept = [name for name in before if not name.endswith(".json")]
    assert all(after[name] == before[name] for name in kept)
    done = retokenized(place, place / "corpus", OWN, tmp_path / "no")
    assert done.code == 2
    assert "this pipeline speaks nothing" in done.err


def test_a_manifest_tells_the_contract_where_no_model_is(place: Path) -> None:
    manifest: Any = manifest_of(place / "corpus")
    step = unit_step(pipeline_from(manifest["settings"]).nodes)
    assert step.unit_set("").to_json() == manifest["unit_sets"][0]


def test_replay_makes_the_same_tokens_where_the_model_is_told(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = next(iter(members(place / "corpus"))).partition(".")[0]
    done = voxmill("replay", place / "corpus", key)
    assert done.code == 2
    assert "no CosyVoice checkout" in done.err
    monkeypatch.setenv("VOXMILL_SPEECH_PATH_COSY", str(place / "model"))
    monkeypatch.setenv("VOXMILL_SPEECH_PATH_COSY_CHECKOUT", str(place / "code"))
    done = voxmill("replay", place / "corpus", key)
    assert done.code == 0, done.out + done.err


def test_finished_speech_is_taken_again_with_its_tokens(place: Path, tmp_path: Path) -> None:
    """A gate that rejects nothing is another corpus, for which nothing is spoken."""
    shutil.copytree(place / "corpus", tmp_path / "corpus")
    gates = [{"measure": "duration_s", "min": 0.01}]
    done = built(job_in(place, gates=gates), tmp_path / "corpus", "--set", "name=other")
    assert done.code == 0, done.err
    assert members(tmp_path / "corpus").keys() == members(place / "corpus").keys()
    assert json.loads((tmp_path / "corpus/run.json").read_text())["reused_rows"]["synthesize"] == 16


def test_doctor_says_how_many_tokens_a_voice_gave(place: Path) -> None:
    done = voxmill("doctor", job_in(place), "--output", place / "corpus")
    assert "voice en-answers: gave " in done.out
    assert "cosy50, 50 frames per second" in done.out


def _changed(voice: dict[str, Any], **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    return ASKS, {**voice, **changes}


FLITE = {"backend": "flite", "name": "kal16"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"bank": _changed(ANSWERS, **FLITE)},
            "en-answers (flite): the backend gives no tokens of its own; give the voices",
        ),
        ({"units": {**OWN, "roles": ["user", "assistant"]}}, "en-asks (flite): the backend gives"),
        ({"bank": _changed(ANSWERS, rate=1.1)}, "en-answers (rate 1.1): another rate stretches"),
        ({"synthesize": {"pad_s": 0.1}}, "remove synthesize.pad_s"),
        ({"augment": {"roles": ["assistant"], "speed": 0.5}}, "augment.speed stretches turns"),
        ({"units": {**OWN, "codebook_size": 6561}}, "wants 6561, the voices' model gives 4096"),
        ({"units": {**OWN, "frame_rate_hz": 25}}, "wants 25.0, the voices' model gives 50.0"),
        ({"units": {**OWN, "audio_rate_hz": 16000}}, "does not know audio_rate_hz"),
        ({"units": {"backend": "own"}}, "needs name too"),
    ],
)
def test_what_cannot_be_is_refused_before_the_build(
    place: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    done = built(job_in(place, **changes), tmp_path / "out")
    assert done.code == 2, done.err
    assert said in done.err
    assert not (tmp_path / "out" / "shards").exists()


def test_voices_of_an_endpoint_give_no_tokens(place: Path, tmp_path: Path) -> None:
    server = {
        "kind": "speech_endpoint",
        "model": "tts",
        "endpoint": {"urls": ["http://[::1]:9/v1"]},
    }
    bank = _changed(ANSWERS, backend="server", name="alloy")
    done = built(job_in(place, bank=bank, backends={"server": server}), tmp_path / "out")
    assert done.code == 2
    assert "en-answers (server): the backend gives no tokens" in done.err


def test_voices_of_two_vocabularies_are_not_one_set(tmp_path: Path) -> None:
    job = job_in(tmp_path)
    model(tmp_path / "two", 2)
    clip = reference(tmp_path)
    german = {
        **ANSWERS, "id": "de-all", "lang": "de", "backend": "cosy2", "name": "anna",
        "reference": clip.path, "reference_text": clip.text, "consent": "a sine",
        "roles": ["user", "assistant"],
    }  # fmt: skip
    cosy = {"kind": "cosyvoice", "checkout": "code", "device": "cpu"}
    backends = {"cosy": {**cosy, "path": "model"}, "cosy2": {**cosy, "path": "two"}}
    job = job_in(tmp_path, bank=(ASKS, ANSWERS, german), backends=backends)
    done = built(job, tmp_path / "out")
    assert done.code == 2
    assert "de-all: 6561 codes at 25 Hz of speech_tokenizer_v2.onnx" in done.err
    assert "en-answers: 4096 codes at 50 Hz of speech_tokenizer_v1.onnx" in done.err


def test_a_plan_can_be_made_where_no_model_is(tmp_path: Path) -> None:
    job = job_in(tmp_path)
    shutil.rmtree(tmp_path / "model")
    done = voxmill("plan", job, "--output", tmp_path / "out")
    assert done.code == 0, done.err
    assert "fingerprint of units is not that of a build" in done.out
    done = built(job, tmp_path / "out")
    assert done.code == 2
    assert "modelscope download" in done.err
