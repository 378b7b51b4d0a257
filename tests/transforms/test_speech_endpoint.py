"""Speech from an endpoint: what is sent, what comes back, what is never accepted, what is kept."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.errors import BackendError, RowError
from tests.chat_server import raw, serving
from tests.speech_server import RATE_HZ, SpeechServer, audio, encoded, tone
from transforms.backends.chat.desk import MemoryDesk
from transforms.backends.chat.office import Office
from transforms.backends.chat.protocol import Sampling
from transforms.backends.tts import Reference, Said, Say, VoiceSpec
from transforms.backends.tts_endpoint import EndpointSpeaker, SpeechEndpoint, SpeechService
from transforms.backends.tts_wire import SpeechForm, listed_voices

TEXT = "The river is wide and calm."
VOICE = VoiceSpec(name="ash", lang="en", seed=4)
FORM = SpeechForm(model="tiny-tts")


def backend(server: SpeechServer, form: SpeechForm = FORM, **options: Any) -> SpeechEndpoint:
    settings: dict[str, Any] = {"patience_s": 2.0, "max_attempts": 2, "timeout_s": 5.0}
    service = SpeechService(
        sampling=Sampling(model=form.model), form=form, urls=(server.url,), **settings | options
    )
    return SpeechEndpoint(service=service, form=form)


@contextmanager
def speaking(found: SpeechEndpoint, desk: MemoryDesk | None = None) -> Iterator[EndpointSpeaker]:
    office = Office()
    try:
        yield found.speaker(office, desk or MemoryDesk())
    finally:
        office.close()


def said(server: SpeechServer, voice: VoiceSpec = VOICE, text: str = TEXT, **options: Any) -> Said:
    with speaking(backend(server, **options)) as speaker:
        (found,) = speaker.speak_batch([Say(text, voice)])
        return found


def test_everything_a_voice_says_of_itself_is_sent(tmp_path: Path) -> None:
    clip = tmp_path / "anna.wav"
    clip.write_bytes(encoded(np.full(100, 0.1)))
    voice = replace(
        VOICE,
        rate=1.25,
        instruction="Whisper.",
        emotion="happy",
        task="Base",
        reference=Reference(str(clip), "0" * 64, "Hello there."),
    )
    form = replace(FORM, languages=(("en", "English"),), send_seed=True, extra='{"top_k": 5}')
    with serving(SpeechServer()) as server:
        found = said(server, voice, form=form)
    assert found.speech is not None
    assert found.speech.sample_rate_hz == RATE_HZ
    (body,) = server.bodies
    assert body.pop("ref_audio").startswith("data:audio/wav;base64,UklGR")
    assert body == {
        "model": "tiny-tts",
        "input": TEXT,
        "voice": "ash",
        "response_format": "wav",
        "speed": 1.25,
        "seed": 4,
        "instructions": "Whisper. Emotion: happy.",
        "language": "English",
        "task_type": "Base",
        "ref_text": "Hello there.",
        "top_k": 5,
    }


@pytest.mark.parametrize("kind", ["wav", "flac", "pcm", "mp3"])
def test_each_format_gives_the_same_speech(kind: str) -> None:
    form = replace(FORM, response_format=kind, sample_rate_hz=RATE_HZ)

    def plain(body: Any, number: int) -> Any:
        wave = tone(body, 7)
        subtype = "MPEG_LAYER_III" if kind == "mp3" else "PCM_16"
        return audio(encoded(wave, kind, subtype=subtype), f"audio/{kind}")

    with serving(SpeechServer(fault=plain)) as server:
        found = said(server, form=form)
        expected = tone(server.bodies[0], 7)
    assert found.speech is not None
    error = found.speech.samples[: len(expected)] / 32768 - expected[: len(found.speech.samples)]
    assert abs(error).max() < (0.05 if kind == "mp3" else 0.001)


def test_what_was_answered_once_is_kept_and_not_asked_again() -> None:
    desk = MemoryDesk()
    with serving(SpeechServer()) as server:
        with speaking(backend(server), desk) as speaker:
            first = speaker.speak(TEXT, VOICE)
        with speaking(backend(server, max_attempts=3), desk) as speaker:
            again = speaker.speak(TEXT, VOICE)
            other = speaker.speak(TEXT, replace(VOICE, seed=5))
        assert server.seen["requests"] == 2
    assert (again.samples == first.samples).all()
    assert not np.array_equal(other.samples, first.samples)


def test_all_of_a_batch_is_asked_side_by_side_and_comes_in_order() -> None:
    texts = [f"This is the sentence of number {n}, and no other." for n in range(12)]
    with serving(SpeechServer(latency_s=0.2)) as server, speaking(backend(server)) as speaker:
        found = speaker.speak_batch([Say(text, VOICE) for text in texts])
        assert server.seen["most_busy"] > 6
    for text, one in zip(texts, found, strict=True):
        assert one.speech is not None
        letters = sum(map(str.isalnum, text))
        assert len(one.speech.samples) == int((0.3 + 0.07 * letters) * RATE_HZ)
        assert (one.paid[0].characters, one.paid[0].prompt_tokens) == (
            len(text),
            len(text) // 4 + 1,
        )


def bad_once(answer: Any) -> Any:
    """A server that answers the first request so, and the others well."""
    return lambda body, number: answer(body) if number == 1 else None


GARBAGE = {
    "html": lambda body: raw("<html>gateway</html>", 200, "text/html"),
    "a JSON error with 200": lambda body: raw('{"error": {"message": "busy"}}'),
    "empty": lambda body: audio(b""),
    "text as audio": lambda body: audio(b"this is not a wav file at all, is it?"),
    "torn": lambda body: audio(encoded(tone(body, 1))[:20]),
    "silent": lambda body: audio(encoded(np.zeros(RATE_HZ))),
    "NaN": lambda body: audio(encoded(np.full(RATE_HZ, np.nan), subtype="FLOAT")),
    "clipped": lambda body: audio(encoded(np.sign(tone(body, 1)), subtype="FLOAT")),
    "stereo": lambda body: audio(encoded(np.stack([tone(body, 1)] * 2, axis=1))),
    "a repeat": lambda body: audio(encoded(np.tile(tone(body, 1), 9))),
    "ten minutes": lambda body: audio(encoded(np.tile(tone(body, 1), 300))),
    "cut short": lambda body: audio(encoded(tone(body, 1)[:2000])),
    "500": lambda body: raw("out of memory", 500, "text/plain"),
    "429": lambda body: raw('{"error": "slow down"}', 429),
}


@pytest.mark.parametrize("answer", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_asked_for_again_and_never_kept(answer: Any) -> None:
    desk = MemoryDesk()
    with (
        serving(SpeechServer(fault=bad_once(answer))) as server,
        speaking(backend(server), desk) as speaker,
    ):
        speech = speaker.speak(TEXT, VOICE)
        assert server.seen["requests"] == 2
    assert len(speech.samples) == len(tone({"input": TEXT}, 2))
    assert len(desk.replies) == 1


def test_a_reply_longer_than_any_speech_of_the_text_is_not_read_to_its_end() -> None:
    long = encoded(np.tile(tone({"input": TEXT}, 1), 300))  # ten minutes, 30 MB

    def fault(body: Any, number: int) -> Any:
        return audio(long) if body["input"] == TEXT else None

    with serving(SpeechServer(fault=fault)) as server, speaking(backend(server)) as speaker:
        bad, good = speaker.speak_batch([Say(TEXT, VOICE), Say("It is calm.", VOICE)])
    assert good.speech is not None
    read = re.search(r"a body without end, over (\d+) bytes", str(bad.error))
    assert read is not None, bad.error
    assert int(read[1]) < 3_000_000


def test_a_text_that_is_always_answered_with_silence_fails_alone() -> None:
    def fault(body: Any, number: int) -> Any:
        return audio(encoded(np.zeros(RATE_HZ))) if body["input"] == TEXT else None

    with serving(SpeechServer(fault=fault)) as server, speaking(backend(server)) as speaker:
        bad, good = speaker.speak_batch([Say(TEXT, VOICE), Say("It is calm.", VOICE)])
    assert good.speech is not None
    assert isinstance(bad.error, RowError)
    assert bad.error.retryable
    assert "silence" in str(bad.error)


@pytest.mark.parametrize(
    ("form", "server", "said_of_it"),
    [
        (replace(FORM, sample_rate_hz=16000), {}, "24000 Hz; wanted 16000 Hz"),
        (FORM, {"key": "sk-right"}, "401"),
        (FORM, {"fault": lambda b, n: raw('{"error": "no such model"}', 404)}, "404"),
    ],
    ids=["wrong rate", "wrong key", "no such model"],
)
def test_a_fault_of_the_setup_stops_the_build(form: Any, server: Any, said_of_it: str) -> None:
    with serving(SpeechServer(**server)) as there, pytest.raises(BackendError, match=said_of_it):
        said(there, form=form)


def test_a_voice_that_the_server_lacks_is_refused_with_its_words() -> None:
    with serving(SpeechServer()) as server:
        found = said(server, replace(VOICE, name="nobody"))
        assert server.seen["requests"] == 1
    assert found.error is not None
    assert not found.error.retryable
    assert "Supported: alloy, ash, vivian" in str(found.error)


def test_a_long_text_is_asked_in_pieces_and_joined() -> None:
    text = "The river is wide. " * 12
    with serving(SpeechServer()) as server:
        found = replace(backend(server), max_chars=100)
        with speaking(found) as speaker:
            (one,) = speaker.speak_batch([Say(text.strip(), VOICE)])
    assert one.speech is not None
    assert len(one.paid) == len(server.bodies) == 3
    assert all(len(body["input"]) <= 100 for body in server.bodies)


def test_batches_are_posted_where_the_server_takes_them_and_what_fails_is_asked_alone() -> None:
    tried: list[str] = []

    def fault(body: Any, number: int) -> Any:
        tried.append(body["input"])
        first = tried.count(body["input"]) == 1  # in the batch
        return raw("{}", 500) if body["input"].startswith("Number 3") and first else None

    texts = [f"Number {n} of the sentences, as it is." for n in range(8)]
    with serving(SpeechServer(batches=True, fault=fault)) as server:
        with speaking(backend(server, batch_items=4)) as speaker:
            found = speaker.speak_batch([Say(text, VOICE) for text in texts])
        assert (server.seen["batches"], server.seen["requests"]) == (2, 1)
    assert all(one.speech is not None for one in found)
    assert [one.paid[0].completion_tokens == 9 for one in found] == [n != 3 for n in range(8)]


def test_one_bad_clip_of_a_batch_does_not_throw_away_the_others() -> None:
    tried: list[str] = []

    def fault(body: Any, number: int) -> Any:
        tried.append(body["input"])
        bad = body["input"].startswith("Number 3") and tried.count(body["input"]) == 1
        return audio(encoded(np.zeros(RATE_HZ))) if bad else None

    texts = [f"Number {n} of the sentences, as it is." for n in range(8)]
    with serving(SpeechServer(batches=True, fault=fault)) as server:
        with speaking(backend(server, batch_items=4)) as speaker:
            found = speaker.speak_batch([Say(text, VOICE) for text in texts])
        assert (server.seen["batches"], server.seen["requests"]) == (2, 1)
    assert all(one.speech is not None for one in found)


def test_a_busy_server_gets_its_batches_later_and_not_one_by_one() -> None:
    texts = [f"Number {n} of the sentences, as it is." for n in range(40)]
    there = SpeechServer(batches=True, limit=2, retry_after="0.1", latency_s=0.05)
    with serving(there) as server:
        patient = backend(server, batch_items=4, max_in_flight=64, patience_s=60.0)
        with speaking(patient) as speaker:
            found = speaker.speak_batch([Say(text, VOICE) for text in texts])
        assert server.seen["requests"] == 0
        assert server.seen["refused"] > 0
        assert server.seen["most_busy"] <= 2
    assert all(one.speech is not None for one in found)


def test_a_batch_without_end_is_cut_off_and_its_texts_are_asked_alone() -> None:
    with serving(SpeechServer(batches=True, endless_batches=True)) as server:
        began = time.monotonic()
        with speaking(backend(server, batch_items=4, timeout_s=8.0)) as speaker:
            found = speaker.speak_batch([Say(TEXT, replace(VOICE, seed=n)) for n in range(4)])
        assert time.monotonic() - began < 7.0  # and not when its time is over
        assert (server.seen["batches"], server.seen["requests"]) == (1, 4)
    assert all(one.speech is not None for one in found)


def test_a_server_without_batches_is_asked_one_by_one() -> None:
    with serving(SpeechServer()) as server, speaking(backend(server, batch_items=4)) as speaker:
        found = speaker.speak_batch([Say(TEXT, replace(VOICE, seed=n)) for n in range(4)])
        assert server.seen["requests"] == 4
    assert all(one.speech is not None for one in found)


def test_no_address_key_or_path_is_in_the_identity(tmp_path: Path) -> None:
    with serving(SpeechServer()) as server:
        one, other = backend(server), backend(server, max_in_flight=3)
        assert one.identity(VOICE) == other.identity(VOICE)
        assert "127.0.0.1" not in str(one.identity(VOICE))


@pytest.mark.parametrize(
    "value",
    [
        ["ash", "alloy"],
        {"voices": ["ash", "alloy"]},
        {"voices": [{"name": "ash"}, {"id": "alloy"}]},
        {"data": [{"voice_id": "ash"}, {"name": "alloy", "language": "en"}]},
    ],
)
def test_the_common_lists_of_voices_are_read(value: Any) -> None:
    assert listed_voices(value) == ["ash", "alloy"]


def test_a_list_that_is_none_lists_nothing() -> None:
    assert [listed_voices(value) for value in (None, 3, {"a": 1}, "x")] == [[], [], [], []]
