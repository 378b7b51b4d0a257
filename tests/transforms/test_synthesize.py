"""Synthesis: what a backend returns is checked, source audio is kept, voices are in the key."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from pipelines.memo import row_keys
from schemas.errors import RowError, SynthesisError
from tests.builders import BANK, corpus, inputs_of, pipeline, planned_table, run_step, utterances
from tests.fakes import Tone
from tests.sound import RATE_HZ, pcm16, sine, wav
from transforms.audio import decode_flac
from transforms.backends.tts import Speech, SpeechBackend, VoiceSpec
from transforms.cast import Cast
from transforms.quotas import Quota
from transforms.synthesize import Synthesize
from transforms.voices import VoiceBank


@dataclass(frozen=True)
class Says(Tone):
    """A backend that returns what it was given."""

    samples: Any = None
    rate_hz: int = RATE_HZ

    @contextmanager
    def open(self) -> Iterator["Says"]:
        yield self

    def speak(self, text: str, voice: VoiceSpec) -> Speech:
        return Speech(self.samples, self.rate_hz)


def speak(backend: SpeechBackend, **row: Any) -> dict[str, Any]:
    step = Synthesize(bank=BANK, backends=(backend,), sample_rate_hz=RATE_HZ)
    (found,) = run_step(step, utterances(step.reads, row))
    speech: dict[str, Any] = found
    return speech


def loudest_hertz(samples: npt.NDArray[np.int16]) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax()) * RATE_HZ / len(samples)


def test_what_ships_is_what_the_backend_said() -> None:
    said = pcm16(sine(440.0, 0.3))
    found = speak(Says(samples=said))
    samples, rate = decode_flac(found["flac"])
    np.testing.assert_array_equal(samples, said)
    assert (rate, found["sample_rate_hz"], found["num_samples"]) == (16000, 16000, len(said))
    assert found["audio_provenance"] == "synthesized"


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_a_backends_rate_is_brought_to_the_shipped_rate(rate: int) -> None:
    found = speak(Says(samples=pcm16(sine(440.0, 0.5, rate)), rate_hz=rate))
    samples, shipped = decode_flac(found["flac"])
    assert (shipped, len(samples)) == (RATE_HZ, found["num_samples"])
    assert len(samples) == pytest.approx(8000, abs=2)
    assert loudest_hertz(samples) == pytest.approx(440.0, abs=4)


NAN = np.full(4000, np.nan, np.float32)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (sine(440.0, 0.3), "float64 samples"),
        (sine(440.0, 0.3).astype(np.float32), "float32 samples"),
        (NAN, "float32 samples"),
        (pcm16(sine(440.0, 0.3)).astype(np.int32), "int32 samples"),
        (np.zeros((2, 4000), np.int16) + 900, r"shape \(2, 4000\); wanted int16 \[N\]"),
        (np.zeros((4000, 1), np.int16) + 900, r"shape \(4000, 1\)"),
        (np.int16(5), r"shape \(\)"),
        (np.zeros(0, np.int16), "no samples"),
        (np.zeros(4000, np.int16), "silence: 4000 samples, peak 0"),
        (np.full(4000, -63, np.int16), "silence: 4000 samples, peak 63"),
    ],
    ids=["float64", "float32", "NaN", "int32", "2-D", "column", "0-D", "empty", "zeros", "faint"],
)
def test_what_is_not_speech_is_an_error_that_may_be_retried(samples: Any, said: str) -> None:
    with pytest.raises(SynthesisError, match=f"voice 'en-asks-low' returned .*{said}") as caught:
        speak(Says(samples=samples))
    assert caught.value.retryable


def test_the_loudest_negative_sample_is_not_silence() -> None:
    assert speak(Says(samples=np.full(10, -32768, np.int16)))["num_samples"] == 10


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("provenance", ["human", "imported", "synthesized"])
def test_source_audio_is_resampled_and_keeps_its_provenance(rate: int, provenance: str) -> None:
    audio = wav(sine(440.0, 0.5, rate), rate)
    found = speak(Says(samples=None), audio=audio, provenance=provenance, voice="")
    samples, shipped = decode_flac(found["flac"])
    assert (shipped, found["audio_provenance"]) == (RATE_HZ, provenance)
    assert len(samples) == pytest.approx(8000, abs=2)
    assert loudest_hertz(samples) == pytest.approx(440.0, abs=4)


def test_source_audio_at_the_shipped_rate_is_kept_sample_for_sample() -> None:
    samples = pcm16(sine(440.0, 0.3, peak=1.0))
    found = speak(Tone(), audio=wav(samples), provenance="human")
    np.testing.assert_array_equal(decode_flac(found["flac"])[0], samples)


def test_the_channels_of_source_audio_are_averaged() -> None:
    stereo = np.stack([sine(440.0, 0.5), np.zeros(8000)], axis=1)
    found = speak(Tone(), audio=wav(stereo, subtype="FLOAT"), provenance="human")
    expected = pcm16(sine(440.0, 0.5) / 2)
    assert np.abs(decode_flac(found["flac"])[0] - expected.astype(np.int32)).max() <= 1


def test_source_audio_over_full_scale_is_clipped_and_does_not_wrap() -> None:
    found = speak(Tone(), audio=wav(sine(100.0, 0.3, peak=2.0), subtype="FLOAT"), provenance="x")
    samples = decode_flac(found["flac"])[0]
    assert (samples.max(), samples.min()) == (32767, -32768)
    assert np.abs(np.diff(samples.astype(np.int32))).max() < 3000


@pytest.mark.parametrize(
    ("audio", "said"),
    [
        (b"", "cannot be read"),
        (b"RIFF not really a file", "cannot be read"),
        (wav(sine(440.0, 0.5))[:30], "cannot be read"),
        (wav(np.zeros(0)), "no samples"),
        (wav(np.zeros(4000)), "silence"),
    ],
    ids=["no bytes", "no audio", "torn", "no samples", "silence"],
)
def test_source_audio_that_cannot_ship_fails_its_row(audio: bytes, said: str) -> None:
    with pytest.raises(RowError, match=said):
        speak(Tone(), audio=audio, provenance="human")


@pytest.mark.filterwarnings("ignore:invalid value encountered")  # as it is outside of tests
def test_a_nan_in_source_audio_does_not_become_a_plausible_sample() -> None:
    torn = np.where(np.arange(4000) == 7, np.nan, sine(440.0, 0.25))
    with pytest.raises(RowError):
        speak(Tone(), audio=wav(torn, subtype="FLOAT"), provenance="human")


def test_only_the_backends_that_are_needed_are_opened() -> None:
    class Never(Tone):
        name = "other"  # type: ignore[assignment]

        def open(self) -> Any:
            raise AssertionError("opened")

    step = Synthesize(bank=BANK, backends=(Never(), Tone()), sample_rate_hz=RATE_HZ)
    assert len(run_step(step, utterances(step.reads, {}, {"spoken_text": "More."}))) == 2


def keys(bank: VoiceBank, backend: Tone) -> dict[tuple[str, str], str]:
    """The key of each utterance, by its voice and text."""
    nodes = pipeline(bank=bank, backends=(backend,))
    batch = inputs_of(nodes, planned_table(corpus()), "synthesize")[0]["synthesize"]
    names = zip(batch["voice"].to_pylist(), batch["spoken_text"].to_pylist(), strict=True)
    return dict(zip(names, row_keys(batch), strict=True))


def test_a_changed_backend_changes_the_key_of_every_spoken_utterance_and_no_other() -> None:
    before, after = keys(BANK, Tone()), keys(BANK, Tone(salt="new library"))
    assert before.keys() == after.keys()
    kept = {name for name in before if before[name] == after[name]}
    assert kept == {name for name in before if name[0] == ""}
    assert 0 < len(kept) < len(before)


@pytest.mark.parametrize("changes", [{"rate": 1.3}, {"pitch": 0.9}, {"name": "low"}])
def test_a_changed_voice_changes_the_keys_of_its_utterances_and_no_other(changes: Any) -> None:
    answers = replace(BANK.voices[0], **changes)
    assert answers.id == "en-answers"
    before = keys(BANK, Tone())
    after = keys(VoiceBank((answers, *BANK.voices[1:])), Tone())
    assert before.keys() == after.keys()
    changed = {name[0] for name in before if before[name] != after[name]}
    kept = {name[0] for name in before if before[name] == after[name]}
    assert changed == {"en-answers"}
    assert kept >= {"", "en-asks-low", "zh-all"}


def test_a_quota_changes_the_keys_of_the_rows_whose_voice_it_changes_and_no_other() -> None:
    """Low is 2 of 3 draws by weight; a quota makes it 1 of 2, so some rows go from low to high."""
    shares = (("tone-high", 0.5), ("tone-low", 0.5))
    quota = Quota(by="speaker_id", shares=shares, langs=("en",), splits=("train",))
    before, after = keys(BANK, Tone()), keys(replace(BANK, quotas=(quota,)), Tone())
    gone, come = before.keys() - after.keys(), after.keys() - before.keys()
    assert {text for _, text in gone} == {text for _, text in come} != set()
    assert {voice for voice, _ in gone} == {"en-asks-low"}
    assert {voice for voice, _ in come} == {"en-asks-high"}
    kept = before.keys() & after.keys()
    assert {voice for voice, _ in kept} >= {"", "en-answers", "en-asks-low", "zh-all"}
    assert all(before[name] == after[name] for name in kept)


def test_a_cast_voice_is_the_one_that_speaks() -> None:
    step = Cast(seed=0, bank=BANK, backends=(Tone(),))
    batch = utterances(step.reads, *({"role": role} for role in ("user", "assistant", "user")))
    first, answer, again = run_step(step, batch)
    assert answer["voice"] == "en-answers"
    assert first == again
    assert first["voice_digest"] == step.digests()[first["voice"]]
    said = {
        name: speak(Tone(), voice=name)["flac_sha256"] for name in ("en-asks-low", "en-answers")
    }
    assert len(set(said.values())) == 2


def test_an_utterance_with_audio_is_given_no_voice() -> None:
    step = Cast(seed=0, bank=BANK, backends=(Tone(),))
    batch = utterances(step.reads, {"audio": b"x", "lang": "fr"})
    assert isinstance(batch, pa.RecordBatch)
    (found,) = run_step(step, batch)
    assert not any(found.values())


def test_identity_is_what_the_bytes_depend_on() -> None:
    identity: Mapping[str, object] = Synthesize(
        bank=BANK, backends=(Tone(),), sample_rate_hz=RATE_HZ
    ).identity()
    assert {"sample_rate_hz", "version:soundfile", "version:soxr"} <= set(identity)
