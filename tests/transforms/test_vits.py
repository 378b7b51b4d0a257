"""VITS with tiny random weights: its own model's samples, whatever else is in the batch."""

import json
import random
import shutil
import sys
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.errors import BackendError, SynthesisError
from tests.transforms.tiny_vits import save_vits
from transforms.backends import tts_vits
from transforms.backends.phonemes import phonemizer_versions
from transforms.backends.tts import Say, Speech, VoiceSpec
from transforms.backends.tts_files import digest_files
from transforms.backends.tts_sound import SoundLimits
from transforms.backends.tts_vits import FILES, Vits, VitsSpeaker

pytest.importorskip("transformers", reason="pip install -c constraints.txt '.[speech]'")
torch = pytest.importorskip("torch")

TEXTS = (
    "the river is long and wide, and people like to see it.",
    "hello there my friend",
    "a",
    "tell me about the number seven please",
    "ok then",
    "it is calm and the old bridge leads over it to the other side of the town",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_vits(tmp_path_factory.mktemp("vits"), speakers=3)


def vits(folder: Path, **changes: Any) -> Vits:
    return Vits(folder=str(folder), files=digest_files(folder, FILES), **changes)


@pytest.fixture(scope="module")
def speaker(folder: Path) -> Iterator[VitsSpeaker]:
    with vits(folder).open() as found:
        assert isinstance(found, VitsSpeaker)
        yield found


def items() -> list[Say]:
    return [
        Say(text, VoiceSpec(name=str(n % 3), lang="en", seed=n, rate=1.0 + 0.1 * (n % 2)))
        for n, text in enumerate(TEXTS)
    ]


def said(found: Any, batch: list[Say]) -> list[np.ndarray[Any, np.dtype[np.int16]]]:
    speeches = []
    for one in found.speak_batch(batch):
        assert one.error is None, one.error
        speeches.append(one.speech.samples)
    return speeches


@pytest.mark.parametrize("stochastic", [True, False])
def test_the_samples_are_those_of_the_models_own_forward(tmp_path: Path, stochastic: bool) -> None:
    """transformers' VitsModel after torch.manual_seed, to the last bit of int16 but one."""
    made = save_vits(tmp_path, speakers=3, use_stochastic_duration_prediction=stochastic)
    with vits(made).open() as found:
        assert isinstance(found, VitsSpeaker)
        ours = found.speak(TEXTS[0], VoiceSpec(name="2", lang="en", seed=11, rate=1.3))
        tokens = found._tokenizer(TEXTS[0], return_tensors="pt")
        rate = found._model.config.speaking_rate * 1.3
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(11)
            wave = found._model(**tokens, speaker_id=2, speaking_rate=rate).waveform[0]
    theirs = np.clip(np.rint(wave.numpy().astype(np.float64) * 32768), -32768, 32767)
    assert len(ours.samples) == len(theirs) > 16000
    assert np.abs(ours.samples - theirs).max() <= 1


def test_one_by_one_no_cut_and_no_order_changes_a_bit(speaker: VitsSpeaker) -> None:
    whole = said(speaker, items())
    backwards = said(speaker, items()[::-1])[::-1]
    alone = [said(speaker, [item])[0] for item in items()]
    for one, other, third in zip(whole, backwards, alone, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, third)


@pytest.mark.parametrize("size", [2, 3, 6])
def test_in_batches_lengths_are_equal_and_samples_within_two_steps_of_16_bits(
    folder: Path, speaker: VitsSpeaker, size: int
) -> None:
    """The tolerance that docs/backends.md states; a pad that leaked would be hundreds."""
    alone = said(speaker, items())
    with vits(folder, batch_items=size).open() as found:
        together = said(found, items())
    assert len({len(samples) for samples in together}) > 3
    for one, other in zip(alone, together, strict=True):
        assert len(one) == len(other)
        assert np.abs(one.astype(int) - other).max() <= 2


def test_seeds_and_speakers_are_heard_and_nobody_elses_dice_are_thrown(
    speaker: VitsSpeaker,
) -> None:
    voice = VoiceSpec(name="0", lang="en", seed=1)
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    first = speaker.speak(TEXTS[1], voice).samples
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(100), random.random()
    np.testing.assert_array_equal(speaker.speak(TEXTS[1], voice).samples, first)
    for other in (replace(voice, seed=2), replace(voice, name="1"), replace(voice, rate=1.4)):
        assert not np.array_equal(speaker.speak(TEXTS[1], other).samples, first)


def test_a_faster_voice_is_shorter(speaker: VitsSpeaker) -> None:
    lengths = [
        len(speaker.speak(TEXTS[0], VoiceSpec(name="0", lang="en", rate=rate)).samples)
        for rate in (0.8, 1.0, 1.5)
    ]
    assert lengths == sorted(lengths, reverse=True)


def test_out_of_memory_halves_the_batch_and_goes_on(
    folder: Path, speaker: VitsSpeaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = tts_vits.to_samples

    def narrow(model: Any, batch: Any) -> Any:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return real(model, batch)

    monkeypatch.setattr(tts_vits, "to_samples", narrow)
    with vits(folder, batch_items=6).open() as found:
        together = said(found, items())
    assert sizes == [6, 3, 2, 1, 3, 2, 1]
    for one, other in zip(said(speaker, items()), together, strict=True):
        assert np.abs(one.astype(int) - other).max() <= 2


def test_an_utterance_that_does_not_fit_alone_fails_alone(
    speaker: VitsSpeaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tts_vits.to_samples

    def narrow(model: Any, batch: Any) -> Any:
        if any(item.frames > 700 for item in batch):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(model, batch)

    monkeypatch.setattr(tts_vits, "to_samples", narrow)
    found = speaker.speak_batch(items())
    errors = [one.error for one in found if one.error is not None]
    assert 0 < len(errors) < len(found)
    assert "smaller max_chars" in str(errors[0])


def test_a_text_over_the_limit_is_said_in_pieces(folder: Path, speaker: VitsSpeaker) -> None:
    text = "the river is long. the bridge is old. the town is calm."
    with vits(folder, max_chars=20).open() as found:
        pieces = found.speak(text, VoiceSpec(name="0", lang="en"))
    assert isinstance(pieces, Speech)
    parts = [
        len(speaker.speak(part, VoiceSpec(name="0", lang="en")).samples)
        for part in ("the river is long.", "the bridge is old.", "the town is calm.")
    ]
    assert len(pieces.samples) == pytest.approx(sum(parts) + 2 * 0.25 * 16000, rel=0.3)


def test_babble_is_refused(folder: Path) -> None:
    limits = SoundLimits(max_s_per_letter=0.01, spare_s=0.0)
    with vits(folder, limits=limits).open() as found:
        with pytest.raises(SynthesisError, match="babble, a repeat") as caught:
            found.speak(TEXTS[0], VoiceSpec(name="0", lang="en"))
        assert caught.value.retryable


def test_a_duration_without_end_is_refused_before_it_is_computed(folder: Path) -> None:
    with (
        vits(folder, limits=SoundLimits(max_s=0.5)).open() as found,
        pytest.raises(SynthesisError, match=r"wanted 0\.5 s at most"),
    ):
        found.speak(TEXTS[0], VoiceSpec(name="0", lang="en"))


@pytest.mark.parametrize(
    ("text", "said"),
    [("Grüße", "no 'ßü'"), ("你好", "has no"), ("?!", "nothing to say"), ("", "nothing to say")],
)
def test_letters_that_the_model_would_skip_are_an_error(
    speaker: VitsSpeaker, text: str, said: str
) -> None:
    with pytest.raises(SynthesisError, match=said):
        speaker.speak(text, VoiceSpec(name="0", lang="en"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "3"}, "no voice '3' in .*it has 0 to 2"),
        ({"name": "anna"}, "no voice 'anna'"),
        ({"name": "-1"}, "no voice"),
        ({"pitch": 1.2}, "another pitch"),
    ],
)
def test_a_voice_that_the_model_lacks_is_refused_before_the_build(
    folder: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(BackendError, match=said):
        vits(folder).check(VoiceSpec(**{"name": "0", "lang": "en", **changes}))


def test_a_model_of_one_speaker_has_a_default_voice(tmp_path: Path) -> None:
    made = vits(save_vits(tmp_path))
    for name in ("default", "0"):
        made.check(VoiceSpec(name=name, lang="en"))
    with pytest.raises(BackendError, match="it has default"):
        made.check(VoiceSpec(name="1", lang="en"))


def torn(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def partial(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith("flow.")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def of_another(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "ffn_dim": 48}))


def of_another_kind(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "hubert"}')


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def without_vocab(folder: Path) -> None:
    (folder / "vocab.json").unlink()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (torn, "cannot be loaded on cpu"),
        (partial, "partial or of another model"),
        (of_another, "cannot be loaded|partial or of another model"),
        (of_another_kind, "of a 'hubert' model"),
        (pickled, "is a pickle and is not read: convert it once"),
        (without_vocab, r"lacks vocab\.json"),
        (shutil.rmtree, "no folder"),
    ],
)
def test_wrong_or_partial_weights_are_named_with_their_cure(
    folder: Path, tmp_path: Path, harm: Any, said: str
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    harm(broken)
    with pytest.raises(BackendError, match=said), vits(broken).open():
        pass


def test_the_identity_follows_from_the_files_and_not_from_their_place(
    folder: Path, tmp_path: Path
) -> None:
    voice = VoiceSpec(name="0", lang="en")
    shutil.copytree(folder, tmp_path / "copy")
    here = vits(folder).identity(voice)
    assert vits(tmp_path / "copy").identity(voice) == here
    (tmp_path / "copy" / "vocab.json").write_text('{"a": 0}')
    changed = [
        vits(tmp_path / "copy"),
        vits(folder, batch_items=2),
        vits(folder, noise_scale=0.1),
        vits(folder, max_chars=7),
    ]
    assert here not in [item.identity(voice) for item in changed]
    assert vits(folder, batch_items=2).identity(voice) == vits(folder, batch_items=9).identity(
        voice
    )


def test_a_model_of_phonemes_is_another_with_another_phonemizer(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its samples follow from what espeak-ng makes of a text: another release, other samples."""
    shutil.copytree(folder, tmp_path / "phonemes")
    path = tmp_path / "phonemes" / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "phonemize": True}))
    found = []
    for number in ((1, 51, 0), (1, 52, 0)):
        backend = types.SimpleNamespace(version=lambda number=number: number)
        package, below = types.ModuleType("phonemizer"), types.ModuleType("phonemizer.backend")
        package.__spec__ = types.SimpleNamespace(name="phonemizer")  # type: ignore[assignment]
        below.EspeakBackend = backend  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "phonemizer", package)
        monkeypatch.setitem(sys.modules, "phonemizer.backend", below)
        phonemizer_versions.cache_clear()
        voice = VoiceSpec(name="0", lang="en")
        found.append(vits(tmp_path / "phonemes").identity(voice))
        assert not [key for key in vits(folder).identity(voice) if "phonemizer" in key]
    phonemizer_versions.cache_clear()
    assert found[0] != found[1]
    assert "1.52.0" in found[1].values()


def test_a_model_that_changed_since_the_plan_is_not_opened(folder: Path, tmp_path: Path) -> None:
    """Its voice would be another's under this one's digest."""
    shutil.copytree(folder, tmp_path / "m")
    backend = vits(tmp_path / "m")
    save_vits(tmp_path / "m", seed=6)
    with pytest.raises(BackendError, match=r"/m/\S+ has the sha256 "), backend.open():
        pass
