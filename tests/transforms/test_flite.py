"""Flite: the same text and voice give the same samples, whatever was said before and elsewhere."""

import ctypes
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from schemas.errors import BackendError, SynthesisError
from transforms.backends import flite
from transforms.backends.flite import BASE_LIBRARIES, VOICES, Flite
from transforms.backends.tts import Samples, Speaker, Speech, VoiceSpec

TEXT = "The quick brown fox jumps over the lazy dog, and the river runs slowly to the sea."


def voice(name: str, rate: float = 1.0, pitch: float = 1.0) -> VoiceSpec:
    return VoiceSpec(name=name, lang="en", rate=rate, pitch=pitch)


def installed() -> bool:
    try:
        Flite().check(voice("kal16"))
    except BackendError:
        return False
    return True


needs_flite = pytest.mark.skipif(
    not installed(), reason="flite is not here: `python -m jobs.install_flite`"
)


def say(text: str, spec: VoiceSpec) -> bytes:
    with Flite().open() as speaker:
        return speaker.speak(text, spec).samples.tobytes()


def median_f0_hz(speech: Speech) -> float:
    """By autocorrelation, over frames that are voiced. Enough to tell 20 % apart."""
    rate_hz, found = speech.sample_rate_hz, []
    width, low, high = rate_hz // 16, rate_hz // 280, rate_hz // 60
    for start in range(0, len(speech.samples) - width, rate_hz // 50):
        frame: Samples = speech.samples[start : start + width]
        centered = frame.astype(np.float64) - frame.mean()
        lags = np.correlate(centered, centered, "full")[width - 1 :]
        best = low + int(lags[low:high].argmax())
        if lags[0] > 1e4 * width and lags[best] > 0.6 * lags[0]:
            found.append(rate_hz / best)
    return float(np.median(found))


@needs_flite
@pytest.mark.parametrize("name", VOICES)
def test_every_voice_repeats_bit_for_bit(name: str) -> None:
    first = say(TEXT, voice(name))
    assert [say(TEXT, voice(name)) for _ in range(3)] == [first] * 3


@needs_flite
def test_another_process_gives_the_same_samples() -> None:
    code = (
        "import sys; from transforms.backends.flite import Flite\n"
        "from transforms.backends.tts import VoiceSpec\n"
        "with Flite().open() as s:\n"
        "    v = VoiceSpec(name='slt', lang='en', pitch=1.2)\n"
        f"    sys.stdout.buffer.write(s.speak({TEXT!r}, v).samples.tobytes())\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, check=True
    )
    assert done.stdout == say(TEXT, voice("slt", pitch=1.2))


@needs_flite
def test_the_order_of_calls_changes_nothing() -> None:
    calls = [
        ("One two three.", voice("slt")),
        ("One two three.", voice("slt", rate=1.3, pitch=0.8)),
        ("A cat sat on the mat.", voice("kal16", pitch=1.2)),
        ("A cat sat on the mat.", voice("kal16", rate=0.8)),
        ("A cat sat on the mat.", voice("kal16")),
        ("Why not?", voice("awb", rate=1.1)),
        ("Why not?", voice("rms", rate=0.9)),
    ]
    forward = [say(*call) for call in calls]
    backward = [say(*call) for call in reversed(calls)]
    assert backward[::-1] == forward
    # Rate and pitch of one call are not the next one's.
    assert len(set(forward)) == len(forward)


@needs_flite
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "dlmopen"), reason="this libc has no dlmopen")
def test_another_library_that_calls_rand_changes_nothing() -> None:
    alone = [say(TEXT, voice("slt")) for _ in range(3)]
    rand, ended = ctypes.CDLL(None).rand, threading.Event()

    def draw() -> None:
        while not ended.is_set():
            rand()

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        assert [say(TEXT, voice("slt")) for _ in range(3)] == alone
    finally:
        ended.set()
        thread.join()


@needs_flite
def test_two_threads_change_nothing() -> None:
    calls = [(f"This is sentence number {n}.", voice(("slt", "rms")[n % 2])) for n in range(24)]
    alone = [say(*call) for call in calls]
    with ThreadPoolExecutor(max_workers=4) as pool:
        assert list(pool.map(lambda call: say(*call), calls)) == alone


@needs_flite
@pytest.mark.parametrize("name", ["slt", "awb", "kal16", "kal"])
def test_pitch_moves_the_median_f0(name: str) -> None:
    with Flite().open() as speaker:
        low, plain, high = (
            median_f0_hz(speaker.speak(TEXT, voice(name, pitch=pitch))) for pitch in (0.8, 1.0, 1.2)
        )
    assert low < 0.93 * plain
    assert high > 1.07 * plain


@needs_flite
def test_a_voice_that_cannot_change_its_pitch_says_so() -> None:
    with pytest.raises(BackendError, match="cannot change its pitch"):
        Flite().check(voice("rms", pitch=1.1))


@needs_flite
@pytest.mark.parametrize("name", VOICES)
def test_rate_divides_the_duration(name: str) -> None:
    with Flite().open() as speaker:
        slow, plain, fast = (
            len(speaker.speak(TEXT, voice(name, rate=rate)).samples) for rate in (0.8, 1.0, 1.25)
        )
    assert slow / plain == pytest.approx(1.25, rel=0.01)
    assert fast / plain == pytest.approx(0.8, rel=0.01)


@needs_flite
@pytest.mark.parametrize("text", ["café", "你好", "", "  ", "?!...", "a\0b"])
def test_text_that_is_not_sayable_is_refused(text: str) -> None:
    with Flite().open() as speaker, pytest.raises(SynthesisError, match="flite: "):
        speaker.speak(text, voice("kal16"))


@needs_flite
def test_sample_rate_and_type_are_the_waves_own() -> None:
    with Flite().open() as speaker:
        for name, rate_hz in {"slt": 16_000, "kal16": 16_000, "kal": 8_000}.items():
            speech = speaker.speak("Yes.", voice(name))
            assert speech.sample_rate_hz == rate_hz
            assert speech.samples.dtype == np.int16


def test_an_unknown_voice_names_the_known() -> None:
    with pytest.raises(BackendError, match="no voice 'salt'; it has slt, rms, awb, kal16, kal"):
        Flite().check(voice("salt"))


@needs_flite
def test_identity_is_of_the_files_that_were_loaded() -> None:
    slt, rms = (Flite().identity(voice(name))["libraries"] for name in ("slt", "rms"))
    assert isinstance(slt, dict)
    assert isinstance(rms, dict)
    assert set(slt) == {*BASE_LIBRARIES, "libflite_cmu_us_slt.so.1"}
    assert set(rms) == {*BASE_LIBRARIES, "libflite_cmu_us_rms.so.1"}
    mapped = Path("/proc/self/maps")
    if mapped.exists():
        engine = flite._engines[0]
        assert all(str(path) in mapped.read_text() for path in engine.paths.values())


def test_a_directory_without_libraries_gives_the_cure(tmp_path: Path) -> None:
    """In a fresh process, since one process has one flite."""
    code = (
        "import sys; from transforms.backends.flite import Flite\n"
        "from transforms.backends.tts import VoiceSpec\n"
        f"Flite(library_dir={str(tmp_path)!r}).check(VoiceSpec(name='slt', lang='en'))\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert f"BackendError: flite: not found in {tmp_path}" in last
    assert "python -m jobs.install_flite" in last
    assert "voices.bank" in last


@needs_flite
def test_one_process_has_one_flite(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="use one library_dir"):
        Flite(library_dir=str(tmp_path)).check(voice("slt"))


@needs_flite
def test_waves_are_freed() -> None:
    def speak(speaker: Speaker, times: int) -> None:
        for _ in range(times):
            speaker.speak(TEXT[:40], voice("kal16"))

    with Flite().open() as speaker:
        speak(speaker, 200)  # let the allocator settle
        before = psutil.Process().memory_info().rss
        speak(speaker, 2_000)  # 70 kB of samples each: 140 MB if kept
        assert psutil.Process().memory_info().rss - before < 20e6
