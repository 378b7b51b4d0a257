"""Listening: what is taken, what is not, and what real speech, wrong texts and noise give."""

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from schemas.errors import BackendError
from schemas.utterance import NOT_SAMPLED, TAKEN, UNAVAILABLE, Measure, value_of
from tests.builders import hear
from tests.sound import pcm16, sine
from transforms.audio import encode_flac, resample, to_int16
from transforms.backends.flite import Flite
from transforms.backends.pocketsphinx import PocketsphinxAligner, PocketsphinxRecognizer
from transforms.backends.pronounce import NoLexicon, lexicon
from transforms.backends.silero import Silero
from transforms.backends.tts import Samples, VoiceSpec
from transforms.checks import Checks
from transforms.hearing import asr_measures

HUMAN = Path(__file__).parents[3] / "shared" / "data" / "speech"
SAID = "The quick brown fox jumps over the lazy dog, and then it rests under an old oak tree."
OTHER = "Please write a short poem about the sea and about everything that lives in it today."


EARS = Checks(
    asr_fraction=1.0,
    aligner=PocketsphinxAligner(),
    recognizer=PocketsphinxRecognizer(),
    detector=Silero(),
)


@cache
def speech(text: str = SAID, name: str = "kal16") -> Samples:
    voice = VoiceSpec(name=name, lang="en")
    try:
        Flite().check(voice)
    except BackendError as error:
        pytest.skip(str(error))
    with Flite().open() as speaker:
        return speaker.speak(text, voice).samples


def listened(samples: Any, text: str = SAID, **changes: Any) -> dict[str, Any]:
    row = {"flac": encode_flac(samples, 16000), "spoken_text": text, **changes}
    (found,) = hear(EARS, row, unrecognizable=frozenset({"robot"}))
    return found


def status(found: dict[str, Any], name: str) -> str:
    return next(item["status"] for item in found["heard"] if item["name"] == name)


def test_speech_aligns_with_its_own_text_word_by_word() -> None:
    found = listened(speech())
    assert value_of(found["heard"], "aligned") == 1.0
    assert (value_of(found["heard"], "align_score") or -9) > -2.0
    words = found["words"]
    assert [item["word"] for item in words][:4] == ["the", "quick", "brown", "fox"]
    assert len(words) == 18
    assert all(item["start_s"] < item["end_s"] for item in words)
    for one, following in pairwise(words):
        assert one["end_s"] <= following["start_s"] + 1e-9
    assert words[-1]["end_s"] <= len(speech()) / 16000
    assert (value_of(found["heard"], "asr_wer") or 0.0) < 0.5
    assert (value_of(found["heard"], "speech_fraction") or 0.0) > 0.7


def suspicious(found: dict[str, Any]) -> bool:
    fit = value_of(found["heard"], "align_score")
    return value_of(found["heard"], "aligned") == 0.0 or (fit is not None and fit < -2.6)


def test_another_text_and_a_truncated_clip_are_told() -> None:
    assert not suspicious(listened(speech()))
    wrong = listened(speech(), OTHER)
    assert suspicious(wrong)
    assert (value_of(wrong["heard"], "asr_wer") or 0.0) > 0.8
    assert suspicious(listened(speech()[: int(len(speech()) * 0.6)]))


def test_a_made_up_word_is_pronounced_as_flite_does() -> None:
    text = "The zorbification of the crepes took place in the garden."
    found = listened(speech(text), text)
    assert value_of(found["heard"], "aligned") == 1.0
    assert "zorbification" in [item["word"] for item in found["words"]]
    assert lexicon().phones("zorbification")[:4] == ["Z", "AO", "R", "B"]


def test_initials_that_no_one_can_say_as_a_word_are_spelled_as_flite_spells_them() -> None:
    text = "Name one reason why people use a virtual private network, VPN."
    found = listened(speech(text), text)
    assert value_of(found["heard"], "aligned") == 1.0
    assert found["words"][-1]["word"] == "vpn"
    assert lexicon().phones("vpn") == "V IY P IY EH N".split()
    assert lexicon().phones("vpn's") == "V IY P IY EH N Z".split()
    assert lexicon().phones("nato") == "N EY T OW".split()


@pytest.mark.parametrize("text", ["x" * 50, "привет", "Say 你好."])
def test_a_word_without_a_pronunciation_makes_alignment_unavailable(text: str) -> None:
    assert lexicon().phones(text) == []
    found = listened(speech(), text)
    assert status(found, "aligned") == UNAVAILABLE
    assert found["words"] == []


def test_without_flite_unknown_words_have_no_pronunciation() -> None:
    assert NoLexicon().phones("hello") == []
    assert NoLexicon().identity() != lexicon().identity()


@pytest.mark.parametrize("samples", [1, 100, 1599, 1600, 3000])
def test_clips_of_a_few_samples_are_told_and_crash_nothing(samples: int) -> None:
    found = listened(pcm16(sine(300, samples / 16000)), "Hello there.")
    assert value_of(found["heard"], "aligned") == 0.0
    assert value_of(found["heard"], "asr_wer") == 1.0


@pytest.mark.parametrize("kind", ["silence", "white noise", "tone", "full scale"])
def test_what_is_no_speech_is_told(kind: str) -> None:
    chance = np.random.default_rng(1)
    samples = {
        "silence": np.zeros(48000, np.int16),
        "white noise": pcm16(0.2 * chance.standard_normal(48000)),
        "tone": pcm16(sine(440, 3.0)),
        "full scale": np.where(np.arange(48000) // 40 % 2, 32767, -32768).astype(np.int16),
    }[kind]
    found = listened(samples)
    assert (value_of(found["heard"], "speech_fraction") or 0.0) < 0.4
    assert suspicious(found)


def test_voice_activity_is_where_speech_was_put() -> None:
    quiet = np.zeros(16000, np.int16)
    found = listened(np.concatenate([quiet, speech(), quiet, quiet]))
    bare = listened(speech())
    for name, seconds in (("vad_leading_s", 1.0), ("vad_trailing_s", 2.0)):
        moved = (value_of(found["heard"], name) or 0) - (value_of(bare["heard"], name) or 0)
        assert moved == pytest.approx(seconds, abs=0.1)


def test_the_fraction_is_drawn_from_seed_id_and_turn() -> None:
    rows = [
        {"id": f"{number:024d}-0", "turn": turn, "flac": encode_flac(pcm16(sine(300, 0.1)), 16000)}
        for number in range(100)
        for turn in (0, 1)
    ]
    fifth = Checks(asr_fraction=0.2, recognizer=PocketsphinxRecognizer())

    def sampled(seed: int) -> list[bool]:
        return [status(row, "asr_wer") == TAKEN for row in hear(fifth, *rows, seed=seed)]

    drawn = sampled(3)
    assert 20 <= sum(drawn) <= 60
    assert sampled(3) == drawn
    assert sampled(4) != drawn
    assert status(hear(fifth, rows[0])[0], "asr_cer") in (TAKEN, NOT_SAMPLED)


@pytest.mark.parametrize("changes", [{"lang": "zh"}, {"voice": "robot"}])
def test_what_cannot_be_recognized_is_unavailable_and_still_has_voice_activity(
    changes: dict[str, str],
) -> None:
    found = listened(speech(), **changes)
    assert status(found, "aligned") == status(found, "asr_wer") == UNAVAILABLE
    assert status(found, "speech_fraction") == TAKEN


def test_what_synthesis_measured_is_taken_over() -> None:
    measures: list[Measure] = [{"name": "aligned", "value": 0.5, "status": TAKEN}]
    attempt = {"number": 0, "rate": 1.0, "seed": 1, "said": "", "score": 1.0, "kept": True}
    words = [{"word": "told", "start_s": 0.0, "end_s": 1.0}]
    found = listened(
        speech(), attempts=[{**attempt, "error": "", "measures": measures}], words=words
    )
    assert value_of(found["heard"], "aligned") == 0.5
    assert found["words"] == words


def test_word_and_letter_errors_count_edits_over_what_was_said() -> None:
    found = asr_measures(["one", "two", "three", "four"], ["one", "too", "three", "four", "five"])
    assert value_of(found, "asr_wer") == 2 / 4
    assert value_of(found, "asr_cer") == pytest.approx(5 / 15)
    assert value_of(asr_measures(["a"], []), "asr_wer") == 1.0
    assert {item["status"] for item in asr_measures([], ["a"])} == {UNAVAILABLE}


@pytest.mark.slow
def test_human_speech_is_heard_as_speech_and_told_from_another_text() -> None:
    clips = sorted([*HUMAN.glob("*.wav"), *HUMAN.glob("*.flac")])
    if not clips:
        pytest.skip(f"no human speech in {HUMAN}")
    for path in clips:
        samples, rate = soundfile.read(path, dtype="float32")
        found = listened(to_int16(resample(samples, rate, 16000)), OTHER)
        assert (value_of(found["heard"], "speech_fraction") or 0.0) > 0.6, path.name
        assert suspicious(found), path.name
        text = found["heard_text"]  # what was heard aligns with what is there
        again = listened(to_int16(resample(samples, rate, 16000)), text)
        assert not suspicious(again), (path.name, text)
