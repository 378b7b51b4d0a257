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
from tests.cosyvoice_checkout import checkout, model, reference, tones
from transforms.backends.tts import Say, Speech, TokenSet, VoiceSpec, honored, spoken
from transforms.backends.tts_cosyvoice import Cosyvoice

torch = pytest.importorskip("torch", reason="pip install -c constraints.txt '.[speech]'")

TEXT = "The river is wide and calm."
VOICE = VoiceSpec(name="英文女", lang="en", seed=3)


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


def with_tokens(backend: Cosyvoice, *texts: str, **changes: Any) -> list[Speech]:
    """What a newly opened model says in one batch, with its tokens."""
    items = [Say(text, replace(VOICE, seed=n, **changes), True) for n, text in enumerate(texts)]
    with backend.open() as speaker:
        return [spoken(said) for said in speaker.speak_batch(items)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("version", "rate", "hop", "size"), [(1, 50, 441, 4096), (2, 25, 960, 6561), (3, 25, 960, 6561)]
)
def test_the_tokens_are_those_from_which_the_sound_was_made(
    tmp_path: Path, version: int, rate: int, hop: int, size: int
) -> None:
    """Version 3 draws nine silent tokens in a row here, of which upstream keeps five."""
    backend = cosyvoice(tmp_path, version)
    voice = {} if version == 1 else {"reference": reference(tmp_path)}
    told = backend.token_set()
    assert told == TokenSet(
        model=f"speech_tokenizer_v{version}.onnx",
        model_sha256="",
        codebook_size=size,
        frame_rate_hz=rate,
    )
    for speech in with_tokens(backend, TEXT, "It leads over.", **voice):
        assert speech.tokens is not None
        codes = speech.tokens.codes
        assert (codes.dtype, codes.shape[0], speech.tokens.hop_samples) == (np.int32, 1, hop)
        assert abs(len(speech.samples) - codes.size * hop) < 256
        heard = tones(speech.samples, speech.sample_rate_hz, rate)
        assert heard == [code % 16 for code in codes[0, : len(heard)].tolist()]
        assert (codes[0] == 1).sum() >= (5 if version == 3 else 0)
        assert "111111" not in "".join("1" if code == 1 else "." for code in codes[0].tolist())


def test_long_texts_keep_every_token_above_its_sound(tmp_path: Path) -> None:
    """Twelve pieces, each of which upstream rounds down to whole spectrum frames."""
    text = " ".join(f"The river number {word} is wide." for word in "abcdefghijkl")
    backend = cosyvoice(tmp_path, max_chars=40)
    (speech,) = with_tokens(backend, text)
    assert len(calls()) == 12
    assert speech.tokens is not None
    assert abs(len(speech.samples) - speech.tokens.codes.size * 441) < 256
    heard = tones(speech.samples, speech.sample_rate_hz, 50)
    same = [a == b % 16 for a, b in zip(heard, speech.tokens.codes[0].tolist(), strict=False)]
    assert sum(same) > len(same) - 12  # a frame at a joint may be faded


def test_what_else_is_said_changes_no_token(tmp_path: Path) -> None:
    texts = [TEXT, "It is calm.", "The bridge is old. It leads over.", TEXT]
    backend = cosyvoice(tmp_path, 2, max_chars=25)
    items = [
        Say(text, replace(VOICE, seed=n, reference=reference(tmp_path)), True)
        for n, text in enumerate(texts)
    ]
    with backend.open() as speaker:
        whole = speaker.speak_batch(items)  # type: ignore[attr-defined]
        alone = [speaker.speak_batch([item])[0] for item in items[::-1]][::-1]  # type: ignore[attr-defined]
        silent = speaker.speak_batch([replace(item, tokens=False) for item in items])  # type: ignore[attr-defined]
    for one, other, plain in zip(whole, alone, silent, strict=True):
        assert one.speech.tokens is not None
        np.testing.assert_array_equal(one.speech.samples, other.speech.samples)
        np.testing.assert_array_equal(one.speech.tokens.codes, other.speech.tokens.codes)
        assert plain.speech.tokens is None
    np.testing.assert_array_equal(whole[1].speech.samples, silent[1].speech.samples)  # one piece


def test_the_model_is_left_as_it_was(tmp_path: Path) -> None:
    with cosyvoice(tmp_path).open() as speaker:
        inner = speaker._model.model  # type: ignore[attr-defined]
        speaker.speak_batch([Say(TEXT, VOICE, True)])  # type: ignore[attr-defined]
        assert "token2wav" not in vars(inner)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (("def token2wav(", "def vocode("), "no token2wav.token=...., where .* s3"),
        (("def token2wav(self, token,", "def token2wav(self, speech,"), "no token2wav"),
        (("(self, fp16=False):", "(self, fp16=False:"), "cannot be read as Python"),
    ],
)
def test_a_checkout_without_a_place_to_hear_tokens_is_refused(
    tmp_path: Path, harm: tuple[str, str], said: str
) -> None:
    backend = cosyvoice(tmp_path)
    path = tmp_path / "code/cosyvoice/cli/model.py"
    path.write_text(path.read_text().replace(*harm))
    with pytest.raises(BackendError, match=said):
        backend.token_set()


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("flow: {vocab_size: 7}", "does not say flow.vocab_size, flow.input_frame_rate"),
        ("flow: [", "does not say"),
        ("sample_rate: 22050\nflow: {vocab_size: 7, input_frame_rate: !ref <gone>}", "'gone'"),
        ("sample_rate: 22050\nflow: {vocab_size: 7, input_frame_rate: 16}", "no whole number of"),
    ],
)
def test_a_yaml_that_does_not_say_its_tokens_is_refused(
    tmp_path: Path, told: str, said: str
) -> None:
    backend = cosyvoice(tmp_path)
    (tmp_path / "model/cosyvoice.yaml").write_text(told)
    with pytest.raises(BackendError, match=said):
        backend.token_set()


def test_tokens_that_are_not_the_sounds_are_no_result(tmp_path: Path) -> None:
    with cosyvoice(tmp_path).open() as speaker:
        model: Any = sys.modules["cosyvoice.cli.model"].CosyVoiceModel  # type: ignore[attr-defined]
        say = Say(TEXT, VOICE, True)

        def error() -> Any:
            return speaker.speak_batch([say])[0].error  # type: ignore[attr-defined]

        with pytest.raises(BackendError, match=r"at the rate 1\.25 CosyVoice stretches"):
            speaker.speak_batch([replace(say, voice=replace(VOICE, rate=1.25))])  # type: ignore[attr-defined]
        sound = model.sound
        model.sound = lambda self, token, speed: sound(self, token[:, 5:], speed)
        assert "returned 88 tokens for 36352 samples; wanted 82.4 +- 2 at 50 Hz" in str(error())
        model.sound, model.size = sound, 9000
        assert "wanted ids of 0..4095" in str(error())
        model.size = 4096
        model.speech = lambda self, *told: self.sound(told[0], 1.0)
        with pytest.raises(BackendError, match="1 pieces of sound came from 0 lots of tokens"):
            error()
        model.speech = lambda self, token, key, emb, speed: self.token2wav(
            token, None, None, emb, key, finalize=False
        )
        with pytest.raises(BackendError, match="a part of the tokens only"):
            error()
