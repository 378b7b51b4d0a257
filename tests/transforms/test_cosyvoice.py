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
from tests.cosyvoice_checkout import calls, cosyvoice, forgotten, reference
from transforms.backends.tts import Say, VoiceSpec, honored
from transforms.backends.tts_files import digest_files

torch = pytest.importorskip("torch", reason="pip install -c constraints.txt '.[speech]'")

TEXT = "The river is wide and calm."
VOICE = VoiceSpec(name="英文女", lang="en", seed=3)


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    with forgotten():
        yield


def test_a_speaker_of_an_sft_model_speaks(tmp_path: Path) -> None:
    backend = cosyvoice(tmp_path)
    backend.check(VOICE)
    with backend.open() as speaker:
        speech = speaker.speak(TEXT, replace(VOICE, rate=1.25))
        assert calls() == [{"mode": "sft", "text": TEXT, "speed": 1.25, "spk": "英文女"}]
    assert speech.sample_rate_hz == 22050
    assert speech.samples.dtype == np.int16
    assert len(speech.samples) == 120 * 256  # 88 tokens, 151 spectrum frames, stretched


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


def test_a_model_that_changed_since_the_plan_is_not_opened(tmp_path: Path) -> None:
    backend = cosyvoice(tmp_path)
    folder = Path(backend.folder)
    names = [path.name for path in folder.iterdir() if path.is_file()]
    planned = replace(backend, files=digest_files(folder, names))
    with planned.open():
        pass
    with open(folder / names[0], "ab") as file:
        file.write(b"\n")
    with pytest.raises(BackendError, match=r"has the sha256 "), planned.open():
        pass


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
