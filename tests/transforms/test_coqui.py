"""The Coqui adapter against a module with the names and signatures of coqui-tts 0.27 and 0.28."""

import json
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.errors import BackendError, SynthesisError
from transforms.backends.phonemes import coqui_phonemizers
from transforms.backends.tts import VoiceSpec
from transforms.backends.tts_coqui import TAIL, Coqui

torch = pytest.importorskip("torch", reason="pip install -c constraints.txt '.[speech]'")

TEXT = "The river is wide and calm."
VOICE = VoiceSpec(name="default", lang="en", seed=5)


class Synthesizer:
    """As TTS.utils.synthesizer.Synthesizer is called; a noise of torch's for a voice.

    As there, speakers are those of the list that the configuration names, in 0.28 no argument names
    languages, and the speaker file among the arguments is kept and never read.
    """

    calls: list[dict[str, Any]] = []  # noqa: RUF012 - of the class, as the fake is

    def __init__(
        self,
        *,
        tts_checkpoint: str | None = None,
        tts_config_path: str | None = None,
        tts_speakers_file: str | None = None,
        voice_dir: str | None = None,
        use_cuda: bool = False,
    ) -> None:
        config = json.loads(Path(str(tts_config_path)).read_text())
        args = config.get("model_args", {})
        listed = config.get("speakers_file") or args.get("speakers_file")
        speakers = json.loads(Path(listed).read_text()) if listed else {}
        self.languages = args.get("language_ids_file")
        if Path(str(tts_checkpoint)).read_bytes() != b"weights":
            raise RuntimeError("Error(s) in loading state_dict for Vits")
        self.output_sample_rate = 22050
        manager = types.SimpleNamespace(speaker_names=list(speakers))
        self.tts_model = types.SimpleNamespace(length_scale=1.0, speaker_manager=manager)

    def tts(
        self,
        text: str = "",
        speaker_name: str | None = "",
        language_name: str | None = None,
        *,
        split_sentences: bool = True,
        **kwargs: object,
    ) -> list[float]:
        assert language_name != ""  # no language of 0.28, where None is the only one
        scale = self.tts_model.length_scale
        self.calls.append({"text": text, "speaker": speaker_name, "split": split_sentences})
        count = int((0.3 + 0.07 * sum(map(str.isalnum, text))) * scale * 22050)
        return [*(0.1 * torch.randn(count)).clamp(-0.9, 0.9).numpy(), *[0] * TAIL]


@pytest.fixture
def coqui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Coqui:
    for name in ("TTS", "TTS.utils", "TTS.utils.synthesizer"):
        module = types.ModuleType(name)
        module.__spec__ = types.SimpleNamespace(name=name)  # type: ignore[assignment]
        module.__path__ = []
        module.Synthesizer = Synthesizer  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(Synthesizer, "calls", [])
    (tmp_path / "model_file.pth").write_bytes(b"weights")
    (tmp_path / "config.json").write_text("{}")
    return Coqui(folder=str(tmp_path))


def test_the_one_voice_of_ljspeech_speaks_without_the_padding(coqui: Coqui) -> None:
    coqui.check(VOICE)
    with coqui.open() as speaker:
        speech = speaker.speak(TEXT, VOICE)
        slow = speaker.speak(TEXT, replace(VOICE, rate=0.5))
    assert speech.sample_rate_hz == 22050
    assert len(speech.samples) == int((0.3 + 0.07 * 21) * 22050)
    assert len(slow.samples) == pytest.approx(2 * len(speech.samples), abs=2)
    assert Synthesizer.calls[0] == {"text": TEXT, "speaker": "", "split": False}


def of_many(coqui: Coqui, **config: Any) -> Coqui:
    """The model with two speakers, of which config.json names the list where it once was."""
    folder = Path(coqui.folder)
    (folder / "speaker_ids.json").write_text(json.dumps({"p225": 0, "p226": 1}))
    gone = {"speakers_file": "/root/.local/share/tts/vctk/speaker_ids.json"}
    (folder / "config.json").write_text(json.dumps({**gone, "model_args": gone, **config}))
    return replace(coqui, speakers_file="speaker_ids.json")


def test_a_speaker_of_many_is_named(coqui: Coqui) -> None:
    coqui = of_many(coqui)
    with coqui.open() as speaker:
        speaker.speak(TEXT, replace(VOICE, name="p226"))
        with pytest.raises(BackendError, match=r"no voice 'p300' in .*it has p225, p226"):
            speaker.speak(TEXT, replace(VOICE, name="p300"))
    assert Synthesizer.calls[0]["speaker"] == "p226"


def test_the_lists_of_the_folder_are_read_and_no_others(coqui: Coqui) -> None:
    coqui = of_many(coqui)
    with pytest.raises(
        BackendError, match=r"reads /root/\S*ids\.json.*backends\.coqui\.speakers_f"
    ):
        replace(coqui, speakers_file="").check(VOICE)
    (Path(coqui.folder) / "languages.json").write_text('{"en": 0, "de": 1}')
    coqui = replace(coqui, languages_file="languages.json", language="de")
    coqui.check(VOICE)
    with coqui.open() as speaker:
        speaker.speak(TEXT, replace(VOICE, name="p225"))
        model: Any = speaker
        assert model._model.languages == str(Path(coqui.folder) / "languages.json")


@pytest.mark.parametrize("text", ["{", "[]", '{"model_args": 3}'])
def test_a_configuration_that_is_none_is_named(coqui: Coqui, text: str) -> None:
    (Path(coqui.folder) / "config.json").write_text(text)
    with pytest.raises(BackendError, match=r"config\.json is no configuration of a model"):
        coqui.check(VOICE)


def test_a_seed_says_the_same_again_and_leaves_the_dice_alone(coqui: Coqui) -> None:
    with coqui.open() as speaker:
        first = speaker.speak(TEXT, VOICE).samples
        torch.manual_seed(9)
        state = torch.random.get_rng_state()
        again = speaker.speak(TEXT, VOICE).samples
        assert torch.equal(torch.random.get_rng_state(), state)
        other = speaker.speak(TEXT, replace(VOICE, seed=6)).samples
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_it_says_is_checked(coqui: Coqui, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Synthesizer, "tts", lambda self, **told: np.full(40000, np.nan))
    with coqui.open() as speaker, pytest.raises(SynthesisError, match="not finite"):
        speaker.speak(TEXT, VOICE)


def test_what_is_missing_is_named_with_its_cure(
    coqui: Coqui, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BackendError, match=r"lacks other\.pth.*tts --model_name"):
        replace(coqui, checkpoint="other.pth").check(VOICE)
    with pytest.raises(BackendError, match="another pitch"):
        coqui.check(replace(VOICE, pitch=1.1))
    (Path(coqui.folder) / "model_file.pth").write_bytes(b"torn")
    with pytest.raises(BackendError, match="cannot be loaded on cpu: Error"), coqui.open():
        pass
    for name in ("TTS", "TTS.utils", "TTS.utils.synthesizer"):
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(BackendError, match="pip install coqui-tts"):
        coqui.check(VOICE)


def test_a_model_that_changed_since_the_plan_is_not_opened(coqui: Coqui) -> None:
    changed = replace(coqui, files=(("model_file.pth", "0" * 64),))
    with pytest.raises(BackendError, match=r"model_file\.pth has the sha256 "), changed.open():
        pass


def test_a_model_of_phonemes_is_another_with_another_espeak(
    coqui: Coqui, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its samples follow from what espeak-ng makes of a text: another release, other samples."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    (tmp_path / "config.json").write_text(json.dumps({"use_phonemes": True}))
    found = []
    for name, number in (("espeak", "1.48.15"), ("espeak-ng", "1.51"), ("espeak-ng", "1.52.0")):
        program = programs / name
        program.write_text(f"#!/bin/sh\necho 'eSpeak text-to-speech: {number}  Data at: /usr'\n")
        program.chmod(0o755)
        coqui_phonemizers.cache_clear()
        found.append(coqui.identity(VOICE)["version:coqui's espeak"])
    (tmp_path / "config.json").write_text(json.dumps({"use_phonemes": False}))
    assert "version:coqui's espeak" not in coqui.identity(VOICE)
    coqui_phonemizers.cache_clear()
    assert found == ["espeak 1.48.15", "espeak-ng 1.51", "espeak-ng 1.52.0"]


def test_a_model_of_phonemes_without_any_espeak_has_an_identity_too(
    coqui: Coqui, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"use_phonemes": True}))
    coqui_phonemizers.cache_clear()
    assert coqui.identity(VOICE)["version:coqui's espeak"] == "absent"
    coqui_phonemizers.cache_clear()
