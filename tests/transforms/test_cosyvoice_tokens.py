"""CosyVoice's own tokens, heard in a checkout of upstream's flow and found again in its sound."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.errors import BackendError
from tests.cosyvoice_checkout import calls, cosyvoice, forgotten, reference, tones
from transforms.backends.tts import Say, Speech, TokenSet, VoiceSpec, spoken
from transforms.backends.tts_cosyvoice import Cosyvoice

torch = pytest.importorskip("torch", reason="pip install -c constraints.txt '.[speech]'")

TEXT = "The river is wide and calm."
VOICE = VoiceSpec(name="英文女", lang="en", seed=3)


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    with forgotten():
        yield


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
