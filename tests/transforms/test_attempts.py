"""Synthesize, check, try again: what varies, what is kept, what is recorded."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from schemas.errors import RowError, SynthesisError
from schemas.utterance import taken
from tests.builders import BANK, run_step, utterances
from tests.fakes import Tone
from tests.sound import RATE_HZ, pcm16, sine
from transforms.attempts import RATES, respell, score, variation
from transforms.audio import decode_flac
from transforms.backends.listening import AlignedWord, Alignment
from transforms.backends.tts import Samples, Speech, VoiceSpec
from transforms.synthesize import Synthesize


@dataclass(frozen=True)
class Fickle(Tone):
    """A voice whose result depends on its seed: fails, is silent for long, or speaks."""

    results: Mapping[float, str] = field(default_factory=dict)  # by rate

    def speak(self, text: str, voice: VoiceSpec) -> Speech:
        kind = self.results.get(round(voice.rate, 3), "good")
        if kind == "fails":
            raise SynthesisError(f"fickle: no luck at {voice.rate}", retryable=True)
        pause = np.zeros(int(RATE_HZ * {"good": 0, "pause": 2.4, "long pause": 5}[kind]))
        wave = sine(300, 1.0 + voice.rate)
        return Speech(pcm16(np.concatenate([wave, pause, wave])), RATE_HZ)


@dataclass(frozen=True)
class ByLength:
    """An aligner that finds only clips longer than ``seconds``."""

    seconds: float
    langs: tuple[str, ...] = ("en",)

    def identity(self) -> Mapping[str, object]:
        return {"seconds": self.seconds}

    @contextmanager
    def open(self) -> Iterator["ByLength"]:
        yield self

    def align(self, samples: Samples, words: list[str]) -> Alignment | None:
        if len(samples) <= self.seconds * RATE_HZ:
            return Alignment(())
        return Alignment(tuple(AlignedWord(word, 0.0, 0.5, -1.0) for word in words))


def spoken(backend: Tone, **changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"attempts": 3, "retry_below": 0.5, "seed": 4}
    row = {name: changes.pop(name) for name in ("spoken_text", "lang") if name in changes}
    step = Synthesize(
        bank=BANK, backends=(backend,), sample_rate_hz=RATE_HZ, **(settings | changes)
    )
    text = "a text of no small length " * 2
    (found,) = run_step(step, utterances(step.reads, {"spoken_text": text, **row}))
    return found


def at(number: int) -> float:
    return round(RATES[number], 3)


def test_a_good_first_attempt_is_the_only_one() -> None:
    found = spoken(Fickle())
    assert [item["number"] for item in found["attempts"]] == [0]
    assert found["attempts"][0]["kept"]
    assert found["attempts"][0]["score"] >= 0.5


def test_the_best_of_all_attempts_is_kept_with_the_measures_of_each() -> None:
    found = spoken(Fickle(results={at(0): "long pause", at(1): "pause", at(2): "long pause"}))
    assert [item["kept"] for item in found["attempts"]] == [False, True, False]
    assert [item["rate"] for item in found["attempts"]] == list(RATES[:3])
    scores = [item["score"] for item in found["attempts"]]
    assert scores[0] == scores[2] < scores[1]
    for item in found["attempts"]:
        assert {"duration_s", "longest_silence_s"} <= {one["name"] for one in item["measures"]}
    kept_s = next(m["value"] for m in found["attempts"][1]["measures"] if m["name"] == "duration_s")
    assert len(decode_flac(found["flac"])[0]) == round(kept_s * RATE_HZ)


def test_of_equal_attempts_the_first_is_kept() -> None:
    found = spoken(Fickle(results={at(number): "long pause" for number in range(3)}))
    assert [item["kept"] for item in found["attempts"]] == [True, False, False]


def test_an_attempt_that_gives_no_speech_is_recorded_and_followed_by_another() -> None:
    found = spoken(Fickle(results={at(0): "fails"}))
    assert [item["error"] for item in found["attempts"]] == ["fickle: no luck at 1.0", ""]
    assert [item["kept"] for item in found["attempts"]] == [False, True]


def test_a_row_that_no_attempt_can_say_fails_with_the_first_error() -> None:
    with pytest.raises(RowError, match=r"no luck at 1\.0"):
        spoken(Fickle(results={at(number): "fails" for number in range(3)}))


def test_one_attempt_means_one() -> None:
    found = spoken(Fickle(results={at(0): "long pause"}), attempts=1)
    assert len(found["attempts"]) == 1


def test_a_text_that_is_not_found_in_the_audio_is_said_again_slower() -> None:
    found = spoken(Fickle(), aligner=ByLength(seconds=4.0))
    assert [item["score"] for item in found["attempts"]] == [0.0, 0.0, 0.0]
    assert found["words"] == []
    heard = spoken(Fickle(), aligner=ByLength(seconds=1.0))
    assert len(heard["attempts"]) == 1
    assert [item["word"] for item in heard["words"]][:3] == ["a", "text", "of"]


def test_a_language_without_an_aligner_is_judged_by_its_sound() -> None:
    found = spoken(Fickle(), aligner=ByLength(seconds=99.0, langs=("fr",)))
    assert len(found["attempts"]) == 1


def test_an_attempt_follows_from_seed_id_turn_and_number() -> None:
    base = variation(1, "Hi.", "en", 4, "k", 0)
    assert variation(1, "Hi.", "en", 4, "k", 0) == base
    others = [
        variation(2, "Hi.", "en", 4, "k", 0),
        variation(1, "Hi.", "en", 5, "k", 0),
        variation(1, "Hi.", "en", 4, "l", 0),
        variation(1, "Hi.", "en", 4, "k", 1),
    ]
    assert len({item.seed for item in [base, *others]}) == 5


def test_odd_words_are_spelled_out_from_the_third_attempt_on() -> None:
    assert respell("An MRI of JavaScript, the NHL-style.") == (
        "An MRI of Java Script, the N H L style."
    )
    text = "The NHL plays."
    assert [variation(n, text, "en", 0, "k", 0).text for n in (0, 1, 2)] == [
        text,
        text,
        "The N H L plays.",
    ]
    assert variation(2, text, "zh", 0, "k", 0).text == text


def test_the_score_is_the_least_of_its_marks() -> None:
    fine = [taken("aligned", 1.0), taken("align_score", -1.0), taken("align_low_words", 0.0)]
    assert score(fine, "en") == 1.0
    assert score([], "en") == 1.0
    assert score([*fine, taken("clipped_fraction", 0.01)], "en") == 0.5
    assert score([*fine, taken("longest_silence_s", 9.0)], "en") == 0.0
    assert score([*fine, taken("chars_per_s", 60.0)], "en") == 0.0
    assert score([*fine, taken("chars_per_s", 60.0)], "fr") == 1.0
    assert score([taken("aligned", 0.0)], "en") == 0.0
    assert score([taken("aligned", 1.0), taken("align_score", -2.25)], "en") == 0.5
    assert score([*fine[:2], taken("align_low_words", 0.4)], "en") == pytest.approx(0.6)
