"""espeak-ng: a fork per utterance repeats; unknown names are errors; the helper comes and goes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from schemas.errors import BackendError, SynthesisError
from transforms.backends.espeak import Espeak, EspeakSpeaker
from transforms.backends.tts import VoiceSpec

MANDARIN = "今天天气很好，我们去公园。"
ENGLISH = "What is the capital of France?"


def voice(name: str, rate: float = 1.0, pitch: float = 1.0) -> VoiceSpec:
    return VoiceSpec(name=name, lang="", rate=rate, pitch=pitch)


@pytest.fixture
def speaker() -> Iterator[EspeakSpeaker]:
    with Espeak().open() as opened:
        assert isinstance(opened, EspeakSpeaker)
        yield opened


def say(speaker: EspeakSpeaker, text: str, spec: VoiceSpec) -> bytes:
    return speaker.speak(text, spec).samples.tobytes()


CALLS = [
    (MANDARIN, voice("cmn")),
    (MANDARIN, voice("cmn+f2")),
    (MANDARIN, voice("cmn+m3", rate=1.2)),
    (ENGLISH, voice("en-us")),
    (ENGLISH, voice("en-us+f2", pitch=1.2)),
    (ENGLISH, voice("en-us+f2")),
]


def test_reruns_orders_and_other_helpers_repeat_bit_for_bit(speaker: EspeakSpeaker) -> None:
    first = [say(speaker, *call) for call in CALLS]
    assert [say(speaker, *call) for call in CALLS] == first
    assert [say(speaker, *call) for call in reversed(CALLS)] == first[::-1]
    time.sleep(1.0)  # espeak-ng seeds some voices with the second of its start
    with Espeak().open() as other:
        assert [other.speak(*call).samples.tobytes() for call in CALLS] == first
    assert len(set(first)) == len(first)


def test_two_threads_change_nothing(speaker: EspeakSpeaker) -> None:
    alone = [say(speaker, *call) for call in CALLS * 4]
    with ThreadPoolExecutor(max_workers=4) as pool:
        assert list(pool.map(lambda call: say(speaker, *call), CALLS * 4)) == alone


def test_the_rate_changes_the_duration(speaker: EspeakSpeaker) -> None:
    slow, plain, fast = (
        len(speaker.speak(ENGLISH, voice("en-us", rate=rate)).samples) for rate in (0.8, 1, 1.25)
    )
    assert slow > 1.1 * plain
    assert fast < 0.9 * plain


def test_the_native_sample_rate_is_returned(speaker: EspeakSpeaker) -> None:
    assert speaker.speak(ENGLISH, voice("en-us")).sample_rate_hz == 22_050


def test_an_unknown_voice_is_an_error_and_not_the_old_voice(speaker: EspeakSpeaker) -> None:
    say(speaker, MANDARIN, voice("cmn"))
    with pytest.raises(BackendError, match=r"no voice 'cmm' \(did you mean 'cmn'\?\); it has af, "):
        speaker.speak(MANDARIN, voice("cmm"))
    with pytest.raises(BackendError, match="no voice 'cmm'"):
        Espeak().check(voice("cmm"))


def test_an_unknown_variant_is_an_error_and_not_the_plain_voice() -> None:
    """espeak-ng itself accepts any word after the plus."""
    with pytest.raises(BackendError, match=r"no variant 'f99' for voice 'cmn\+f99'.*it has .*f2"):
        Espeak().check(voice("cmn+f99"))
    Espeak().check(voice("cmn+f2"))


@pytest.mark.parametrize(("rate", "pitch"), [(0.1, 1.0), (9.0, 1.0), (1.0, 0.1), (1.0, 3.0)])
def test_a_rate_or_pitch_beyond_its_range_is_an_error(rate: float, pitch: float) -> None:
    with pytest.raises(BackendError, match="wants a rate from"):
        Espeak().check(voice("cmn", rate=rate, pitch=pitch))


@pytest.mark.parametrize("text", ["", " ", "...", "。", "a\0b"])
def test_text_that_is_not_sayable_is_refused(speaker: EspeakSpeaker, text: str) -> None:
    with pytest.raises(SynthesisError, match="nothing to say"):
        speaker.speak(text, voice("cmn"))


def test_a_killed_helper_is_restarted(speaker: EspeakSpeaker) -> None:
    before = say(speaker, MANDARIN, voice("cmn"))
    old_pid = speaker.helper_pid
    assert old_pid is not None
    os.kill(old_pid, signal.SIGKILL)
    assert say(speaker, MANDARIN, voice("cmn")) == before
    assert speaker.helper_pid != old_pid


def test_a_killed_utterance_is_an_error_of_that_text_only(speaker: EspeakSpeaker) -> None:
    assert speaker.helper_pid is not None
    helper = psutil.Process(speaker.helper_pid)
    failures: list[SynthesisError] = []

    def speak_for_long() -> None:
        try:
            speaker.speak(ENGLISH * 3_000, voice("en-us"))
        except SynthesisError as error:
            failures.append(error)

    thread = threading.Thread(target=speak_for_long)
    thread.start()
    deadline = time.monotonic() + 10
    while not (forks := helper.children()) and time.monotonic() < deadline:
        time.sleep(0.001)
    forks[0].kill()
    thread.join()
    assert "was killed by signal 9" in str(failures[0])
    assert speaker.helper_pid == helper.pid
    assert speaker.speak(ENGLISH, voice("en-us")).samples.any()


def test_closing_ends_the_helper() -> None:
    with Espeak().open() as opened:
        assert isinstance(opened, EspeakSpeaker)
        pid = opened.helper_pid
    assert pid is not None
    assert not psutil.pid_exists(pid)


def test_the_helper_dies_with_its_parent() -> None:
    code = (
        "import os, signal; from transforms.backends.espeak import Espeak\n"
        "with Espeak().open() as s:\n"
        "    print(s.helper_pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, check=False
    )
    pid, deadline = int(done.stdout), time.monotonic() + 5
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(pid)


def alive(pid: int) -> bool:
    """A zombie that nobody collects is dead enough."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_library_that_does_not_load_gives_the_cure(tmp_path: Path) -> None:
    broken = tmp_path / "libespeak-ng.so"
    broken.write_bytes(b"not a library")
    with pytest.raises(BackendError, match=r"espeak: .*reinstall its wheel"):
        EspeakSpeaker(broken, tmp_path)


def test_identity_names_library_and_data_and_is_quick() -> None:
    start = time.perf_counter()
    identity = Espeak().identity(voice("cmn"))
    assert time.perf_counter() - start < 2.0
    assert set(identity) == {"backend", "wheel", "library", "data"}
    assert identity == Espeak().identity(voice("cmn"))
