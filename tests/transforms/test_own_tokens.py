"""Tokens that come with speech: through attempts, joints and mixed voices into the units."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from pipelines.fingerprint import fingerprint
from pipelines.instruct_s2s import own_voices
from pipelines.unit_nodes import UnitPlan
from schemas.errors import RowError, SynthesisError
from tests.builders import (
    BANK,
    corpus,
    inputs_of,
    pipeline,
    planned_table,
    run_step,
    utterances,
)
from tests.fakes import TokenTone, tone_endpoint
from tests.sound import RATE_HZ, pcm16, sine
from tests.unit_models import own_step
from transforms.ask_synthesize import AskSynthesize
from transforms.backends.tts import Said, Samples, Say, Speech, Tokens, TokenSet
from transforms.backends.tts_long import join
from transforms.backends.tts_tokens import with_tokens
from transforms.finish import Finish
from transforms.synthesize import Synthesize
from transforms.voices import VoiceBank

KNOWN = TokenSet(model="m", model_sha256="", codebook_size=5, frame_rate_hz=25.0)


@dataclass(frozen=True)
class Takes(TokenTone):
    """Each attempt has other tokens, the number of the attempt; only the second is any good."""

    rates: list[float] = field(default_factory=list, compare=False)
    forgets: bool = False
    rate_hz: int = RATE_HZ

    @contextmanager
    def open(self) -> Iterator["Takes"]:
        yield self

    def _said(self, item: Say) -> Said:
        number = len(self.rates)
        self.rates.append(item.voice.rate)
        quiet = np.zeros(0 if number == 1 else 2 * self.rate_hz, np.int16)
        wave = pcm16(sine(220.0, 1.0, self.rate_hz))
        speech = Speech(np.concatenate([quiet, wave]), self.rate_hz)
        if self.forgets or not item.tokens:
            return Said(speech)
        count = -(-len(speech.samples) * 25 // self.rate_hz)
        return Said(with_tokens(speech, [np.full(count, number)], KNOWN, "takes"))


def spoken(backend: TokenTone, voice: str, **changes: Any) -> dict[str, Any]:
    step = Synthesize(
        bank=BANK,
        backends=(backend,),
        sample_rate_hz=RATE_HZ,
        attempts=3,
        retry_below=0.9,
        own_voices=("en-answers",),
        **changes,
    )
    text = "The river is wide."
    (row,) = run_step(step, utterances(step.reads, {"voice": voice, "spoken_text": text}))
    found: dict[str, Any] = row
    return found


def test_the_tokens_that_ship_are_those_of_the_attempt_that_ships() -> None:
    takes = Takes()
    row = spoken(takes, "en-answers")
    assert [item["kept"] for item in row["attempts"]] == [False, True]
    assert row["own_codes"] == [1] * 25
    assert row["num_samples"] == RATE_HZ


def test_attempts_with_tokens_keep_the_rate_that_the_tokens_have() -> None:
    own, other = Takes(), Takes()
    row = spoken(own, "en-answers")
    assert own.rates == [1.0, 1.0]
    assert [item["rate"] for item in row["attempts"]] == own.rates
    plain = spoken(other, "en-asks-low")
    assert other.rates == [1.0, 0.9]
    assert plain["own_codes"] is None


def test_another_rate_of_the_audio_leaves_the_tokens_on_their_sound() -> None:
    """Speech at 24 kHz ships at 16, a gain louder: as many frames, of 640 samples."""
    step = own_step()
    row = spoken(Takes(rate_hz=24000), "en-answers", finish=Finish(loudness_lufs=-23.0))
    assert row["own_codes"] == [1] * 25
    assert step.unit_set("").violations(row["own_codes"], None, row["num_samples"]) == []


def test_speech_without_its_tokens_fails_and_is_never_a_hole() -> None:
    row = spoken(Takes(forgets=True), "en-answers")
    assert row["own_codes"] is None
    step = own_step()
    batch = utterances(step.reads, {**row, "role": "assistant"})
    with pytest.raises(RowError, match="came without tokens of its own"):
        run_step(step, batch)


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        ([0, 1, 5] * 9, r"span 0\.\.5, wanted 0\.\.4"),
        ([0, -1, 2] * 9, r"span -1\.\.2, wanted"),
        ([1] * 22, r"22 units, wanted 25 \+- 2 for 16000 samples"),
        ([1] * 28, r"28 units, wanted 25"),
    ],
)
def test_tokens_that_break_the_contract_fail(codes: list[int], said: str) -> None:
    row = spoken(Takes(), "en-answers") | {"own_codes": codes, "role": "assistant"}
    with pytest.raises(RowError, match=said):
        run_step(own_step(), utterances(own_step().reads, row))


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        ([np.zeros(0)], "no tokens"),
        ([[3] * 20, [5] * 5], r"tokens 3\.\.5; wanted ids of 0\.\.4"),
        ([[-1] * 25], r"tokens -1\.\.-1"),
        ([[1] * 28], r"28 tokens for 16000 samples; wanted 25\.0 \+- 2"),
        ([[1] * 22], "22 tokens for 16000"),
    ],
)
def test_a_model_whose_tokens_are_not_its_sounds_has_said_nothing(
    codes: list[Any], said: str
) -> None:
    speech = Speech(pcm16(sine(220.0, 1.0)), RATE_HZ)
    with pytest.raises(SynthesisError, match=said):
        with_tokens(speech, codes, KNOWN, "voice")


def test_pieces_are_joined_with_every_frame_in_its_place() -> None:
    """Pieces some samples short or long of their tokens; none is cut at its quiet or paused."""

    def piece(level: int, samples: int, frames: int) -> Speech:
        sound: Samples = np.full(samples, level, np.int16)
        return Speech(sound, 16000, Tokens(np.full((2, frames), level, np.int32), 640))

    parts = [piece(1000, 3 * 640 - 100, 3), piece(2000, 5 * 640 + 90, 5), piece(3000, 700, 1)]
    whole = join(parts)
    assert whole.tokens is not None
    assert whole.tokens.codes.tolist() == [[1000] * 3 + [2000] * 5 + [3000]] * 2
    assert len(whole.samples) == 8 * 640 + 700
    for frame, level in enumerate([1000] * 3 + [2000] * 5):
        assert whole.samples[frame * 640 + 320] == level
    assert whole.samples[3 * 640 - 100 :][:100].tolist() == [0] * 100
    assert abs(int(whole.samples[3 * 640])) < 20  # no click where a piece starts


def test_voices_of_a_server_may_ask_beside_those_that_give_tokens() -> None:
    bank = VoiceBank(
        tuple(
            replace(item, backend="own") if "assistant" in item.roles else item
            for item in BANK.voices
        )
    )
    nodes = pipeline(
        bank=bank,
        backends=(tone_endpoint(faulty=0.2), TokenTone(word="own")),
        units=UnitPlan(step=own_step()),
    )
    step = nodes.node("synthesize")
    assert isinstance(step, AskSynthesize)
    assert step.own_voices == ("en-answers", "zh-all")
    batch = inputs_of(nodes, planned_table(corpus()), "synthesize")[0]["synthesize"]
    rows, made = batch.to_pylist(), run_step(step, batch)
    failed = [one for one in made if one["synthesize_error"]]
    assert {bool(one["own_codes"]) for one in failed} == {False}
    voices = {
        row["voice"]
        for row, one in zip(rows, made, strict=True)
        if one["own_codes"] and one["num_samples"]
    }
    assert voices == {"en-answers", "zh-all"}


def test_voices_of_which_tokens_are_wanted_are_those_of_the_roles() -> None:
    assert [item.id for item in own_voices(BANK, ("assistant",))] == ["en-answers", "zh-all"]
    assert [item.id for item in own_voices(BANK, ("user",))] == [
        item.id for item in BANK.voices if item.id != "en-answers"
    ]
    assert own_voices(BANK, ()) == ()


def test_whose_tokens_are_kept_is_in_the_fingerprint() -> None:
    """Attempts of these voices differ otherwise; their order does not matter."""
    sets = [(), ("a",), ("b",), ("a", "b"), ("b", "a")]
    made = [
        Synthesize(bank=BANK, backends=(TokenTone(),), sample_rate_hz=RATE_HZ, own_voices=voices)
        for voices in sets
    ]
    prints = [fingerprint(step, {}) for step in made]
    assert len(set(prints)) == 4
    assert prints[3] == prints[4]
