"""The CosyVoice adapter against a checkout with upstream's signatures, not its models."""

import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.errors import BackendError, SynthesisError
from tests.sound import sine, wav
from transforms.backends.tts import Reference, Say, VoiceSpec, honored
from transforms.backends.tts_cosyvoice import Cosyvoice

torch = pytest.importorskip("torch", reason="pip install -c constraints.txt '.[speech]'")

# The signatures of cosyvoice/cli/cosyvoice.py, March 2026. What it says is torch's noise.
UPSTREAM = """
import logging, os
import torch
logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(levelname)s %(message)s")
tqdm = None
CALLS = []

class CosyVoice:
    sample_rate = 22050
    def __init__(self, model_dir, load_jit=False, load_trt=False, fp16=False, trt_concurrent=1):
        assert os.path.exists(model_dir)
    def list_available_spks(self):
        return ["英文女", "英文男"]
    def _say(self, mode, text, speed, **told):
        CALLS.append({"mode": mode, "text": text, "speed": speed, **told})
        for part in tqdm([text]):
            count = int((0.3 + 0.07 * sum(map(str.isalnum, part))) / speed * self.sample_rate)
            noise = torch.randn(1, count // 2)
            for half in (noise, torch.randn(1, count - count // 2)):
                yield {"tts_speech": (0.1 * half).clamp(-0.9, 0.9)}
    def inference_sft(self, tts_text, spk_id, {alone}):
        assert stream is False and text_frontend is False
        yield from self._say("sft", tts_text, speed, spk=spk_id)
    def inference_zero_shot(self, tts_text, prompt_text, {clip}, {common}):
        yield from self._say("zero_shot", tts_text, speed, prompt=prompt_text, clip={clip})
    def inference_cross_lingual(self, tts_text, {clip}, {common}):
        yield from self._say("cross_lingual", tts_text, speed, clip={clip})
    def inference_instruct(self, tts_text, spk_id, instruct_text, {alone}):
        assert self.__class__.__name__ == "CosyVoice"
        yield from self._say("instruct", tts_text, speed, spk=spk_id, instruct=instruct_text)

class CosyVoice2(CosyVoice):
    sample_rate = 24000
    def inference_instruct2(self, tts_text, instruct_text, {clip}, {common}):
        yield from self._say("instruct2", tts_text, speed, instruct=instruct_text, clip={clip})

class CosyVoice3(CosyVoice2):
    pass

def AutoModel(**kwargs):
    kinds = {"cosyvoice": CosyVoice, "cosyvoice2": CosyVoice2, "cosyvoice3": CosyVoice3}
    for yaml, kind in kinds.items():
        if os.path.exists("{}/{}.yaml".format(kwargs["model_dir"], yaml)):
            return kind(**kwargs)
    raise TypeError("No valid model type found!")
"""
TEXT = "The river is wide and calm."
VOICE = VoiceSpec(name="英文女", lang="en", seed=3)


def checkout(folder: Path, clip: str = "prompt_wav") -> Path:
    for package in ("cosyvoice", "cosyvoice/cli", "third_party/Matcha-TTS/matcha"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    alone = "stream=False, speed=1.0, text_frontend=True"
    holes = {"{clip}": clip, "{alone}": alone, "{common}": f'zero_shot_spk_id="", {alone}'}
    source = UPSTREAM
    for hole, filling in holes.items():
        source = source.replace(hole, filling)
    (folder / "cosyvoice/cli/cosyvoice.py").write_text(source, encoding="utf-8")
    return folder


def model(folder: Path, version: int = 1) -> Path:
    folder.mkdir()
    yaml = "cosyvoice.yaml" if version == 1 else f"cosyvoice{version}.yaml"
    names = ("llm.pt", "flow.pt", "hift.pt", "campplus.onnx", f"speech_tokenizer_v{version}.onnx")
    for name in (yaml, *names):
        (folder / name).write_bytes(b"x")
    if version == 1:
        embedding = {"embedding": torch.zeros(1, 192)}
        torch.save({"英文女": embedding, "英文男": embedding}, folder / "spk2info.pt")
    return folder


@pytest.fixture(autouse=True)
def clean_imports() -> Iterator[None]:
    before, path = set(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - before:
        if name.split(".")[0] == "cosyvoice":
            del sys.modules[name]
    sys.path[:] = path


def cosyvoice(
    tmp_path: Path, version: int = 1, clip: str = "prompt_wav", **changes: Any
) -> Cosyvoice:
    code, weights = checkout(tmp_path / "code", clip), model(tmp_path / "model", version)
    return Cosyvoice(checkout=str(code), folder=str(weights), device="cpu", **changes)


def calls() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sys.modules["cosyvoice.cli.cosyvoice"].CALLS  # type: ignore[attr-defined]
    return found


def reference(tmp_path: Path, text: str = "Hello, I am Anna.") -> Reference:
    path = tmp_path / "anna.wav"
    path.write_bytes(wav(sine(200.0, 2.0, 24000), 24000))
    return Reference(str(path), "0" * 64, text)


def test_a_speaker_of_an_sft_model_speaks(tmp_path: Path) -> None:
    backend = cosyvoice(tmp_path)
    backend.check(VOICE)
    with backend.open() as speaker:
        speech = speaker.speak(TEXT, replace(VOICE, rate=1.25))
        assert calls() == [{"mode": "sft", "text": TEXT, "speed": 1.25, "spk": "英文女"}]
    assert speech.sample_rate_hz == 22050
    assert speech.samples.dtype == np.int16
    assert len(speech.samples) == int((0.3 + 0.07 * 21) / 1.25 * 22050)


@pytest.mark.parametrize(
    ("version", "voice", "told"),
    [
        (1, {"clip": "Hi."}, {"mode": "zero_shot", "prompt": "Hi."}),
        (1, {"clip": ""}, {"mode": "cross_lingual"}),
        (1, {"emotion": "sad"}, {"mode": "sft"}),  # an SFT model takes no instruction
        (2, {"clip": "Hi."}, {"mode": "zero_shot", "prompt": "Hi."}),
        (
            2,
            {"clip": "Hi.", "emotion": "sad"},
            {"mode": "instruct2", "instruct": "Speak in a sad tone.<|endofprompt|>"},
        ),
        (
            2,
            {"clip": "Hi.", "emotion": "开心", "lang": "zh"},
            {"mode": "instruct2", "instruct": "用开心的语气说这句话。<|endofprompt|>"},
        ),
        (
            3,
            {"clip": "Hi."},
            {"mode": "zero_shot", "prompt": "You are a helpful assistant.<|endofprompt|>Hi."},
        ),
        (
            3,
            {"clip": "Hi.", "instruction": "Whisper."},
            {
                "mode": "instruct2",
                "instruct": "You are a helpful assistant. Whisper.<|endofprompt|>",
            },
        ),
        (
            3,
            {"clip": ""},
            {"mode": "cross_lingual", "text": f"You are a helpful assistant.<|endofprompt|>{TEXT}"},
        ),
    ],
)
def test_what_a_voice_is_says_how_it_is_asked(
    tmp_path: Path, version: int, voice: dict[str, Any], told: dict[str, Any]
) -> None:
    backend = cosyvoice(tmp_path, version)
    clip = voice.pop("clip", None)
    spec = replace(VOICE, **voice)
    if clip is not None:
        spec = replace(spec, reference=reference(tmp_path, clip))
    backend.check(spec)
    with backend.open() as speaker:
        speaker.speak(TEXT, spec)
        (call,) = calls()
    assert told.items() <= call.items()
    if clip is not None:
        assert call["clip"] == str(tmp_path / "anna.wav")


def test_an_instruct_model_is_told_of_the_emotion(tmp_path: Path) -> None:
    backend = cosyvoice(tmp_path, instruct=True)
    with backend.open() as speaker:
        speaker.speak("It is fun [laughter].", replace(VOICE, emotion="happy"))
        (call,) = calls()
    assert (call["mode"], call["text"]) == ("instruct", "It is fun [laughter].")
    assert call["instruct"] == "Speak in a happy tone.<|endofprompt|>"
    assert "emotion" in honored(backend)
    assert not honored(replace(backend, instruct=False))


def test_an_older_checkout_is_given_samples(tmp_path: Path) -> None:
    backend = cosyvoice(tmp_path, 2, clip="prompt_speech_16k")
    with backend.open() as speaker:
        speaker.speak(TEXT, replace(VOICE, reference=reference(tmp_path)))
        (call,) = calls()
    assert call["clip"].shape == (1, 32000)


def test_a_seed_says_the_same_again_whatever_was_said_before(tmp_path: Path) -> None:
    items = [Say(TEXT, replace(VOICE, seed=seed)) for seed in (1, 2, 3)]
    with cosyvoice(tmp_path).open() as speaker:
        first = [speaker.speak(item.text, item.voice).samples for item in items]
        again = [speaker.speak(item.text, item.voice).samples for item in items[::-1]][::-1]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0], first[1])


def test_long_texts_are_asked_in_pieces(tmp_path: Path) -> None:
    with cosyvoice(tmp_path, max_chars=60, wide_chars=10).open() as speaker:
        speaker.speak("The river is wide and calm. The bridge is old. It leads over.", VOICE)
        speaker.speak("这条河又宽又静。一座老桥通向对岸。", replace(VOICE, lang="zh"))
        texts = [call["text"] for call in calls()]
    assert [len(text) <= 60 for text in texts[:2]] == [True, True]
    assert sorted(texts[2:]) == ["一座老桥通向对岸。", "这条河又宽又静。"]


def test_the_root_logger_and_the_progress_bar_are_left_alone(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    with cosyvoice(tmp_path).open() as speaker:
        speaker.speak(TEXT, VOICE)
    assert (root.level, list(root.handlers)) == before


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda code, weights: (code / "cosyvoice/cli/cosyvoice.py").unlink(), "git clone --rec"),
        (
            lambda code, weights: (
                [p.unlink() for p in (code / "third_party").rglob("*.py")]
                + [(code / "third_party/Matcha-TTS/matcha").rmdir()]
            ),
            "git submodule update",
        ),
        (lambda code, weights: (weights / "cosyvoice.yaml").unlink(), "modelscope download"),
        (lambda code, weights: (weights / "flow.pt").unlink(), r"lacks flow\.pt"),
        (lambda code, weights: (weights / "spk2info.pt").unlink(), "it has none: take CosyVoice"),
        (lambda code, weights: (weights / "spk2info.pt").write_bytes(b"no"), "cannot be read as"),
    ],
)
def test_what_is_missing_is_named_with_its_cure(tmp_path: Path, harm: Any, said: str) -> None:
    backend = cosyvoice(tmp_path)
    harm(tmp_path / "code", tmp_path / "model")
    with pytest.raises(BackendError, match=said):
        backend.check(VOICE)


def test_voices_that_the_model_lacks_are_refused(tmp_path: Path) -> None:
    backend = cosyvoice(tmp_path)
    with pytest.raises(BackendError, match=r"no voice '中文女' in .*it has 英文女, 英文男"):
        backend.check(replace(VOICE, name="中文女"))
    (tmp_path / "two").mkdir()
    with pytest.raises(BackendError, match="no speakers of its own; give it one"):
        cosyvoice(tmp_path / "two", 2).check(VOICE)


def test_a_gpu_that_is_not_there_is_said(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with (
        pytest.raises(BackendError, match="this machine has no GPU"),
        replace(cosyvoice(tmp_path), device="cuda").open(),
    ):
        pass


def test_what_the_model_says_is_checked(tmp_path: Path) -> None:
    backend = cosyvoice(tmp_path)
    with backend.open() as speaker:
        module: Any = sys.modules["cosyvoice.cli.cosyvoice"]
        module.CosyVoice._say = lambda self, *a, **k: [{"tts_speech": torch.zeros(1, 60000)}]
        with pytest.raises(SynthesisError, match="silence"):
            speaker.speak(TEXT, VOICE)
        module.CosyVoice._say = lambda self, *a, **k: []
        with pytest.raises(SynthesisError, match="no samples"):
            speaker.speak(TEXT, VOICE)
