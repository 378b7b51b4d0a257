"""Streamed WAV files, whose headers say no length, are read to their end or refused."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from schemas.errors import SettingsError
from tests.sound import pcm16, sine
from transforms.audio import decode_source_audio
from transforms.backends.tts import VoiceSpec
from transforms.backends.tts_sound import DEFAULT_LIMITS
from transforms.backends.tts_wire import SpeechAsk, SpeechForm, decoded
from transforms.references import read_reference
from transforms.wav import lacks_length, with_length

RATE_HZ = 16_000
INFO = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf59.27.100\0"
TEXT = "The river is wide and calm, and the bridge is old."


def wav(samples: bytes, told: int, before: bytes = b"", after: bytes = b"") -> bytes:
    form = struct.pack("<HHIIHH", 1, 1, RATE_HZ, 2 * RATE_HZ, 2, 16)
    rest = b"WAVE" + b"fmt " + struct.pack("<I", 16) + form + before
    rest += b"data" + struct.pack("<I", told) + samples + after
    riff = 0xFFFFFFFF if told in (0, 0xFFFFFFFF) else len(rest)
    return b"RIFF" + struct.pack("<I", riff) + rest


SOUND = pcm16(sine(220.0, 2.5, RATE_HZ))
STREAMED = [
    pytest.param(wav(SOUND.tobytes(), told, before), id=f"{told:x}-{len(before)}")
    for told in (0, 0xFFFFFFFF)
    for before in (b"", INFO)
]


@pytest.mark.parametrize("data", STREAMED)
def test_a_streamed_file_is_heard_to_its_end(data: bytes) -> None:
    assert lacks_length(data)
    samples, rate = decode_source_audio(data)
    assert rate == RATE_HZ
    assert np.array_equal(np.rint(samples * 32768).astype(np.int16), SOUND)
    ask = SpeechAsk(text=TEXT, voice=VoiceSpec(name="a", lang="en"))
    form = SpeechForm(model="m", response_format="wav")
    speech = decoded(form, DEFAULT_LIMITS, ask, data, "audio/wav")
    assert len(speech.samples) == len(SOUND)


@pytest.mark.parametrize("data", STREAMED)
def test_a_streamed_reference_is_refused_with_the_cure(data: bytes, tmp_path: Path) -> None:
    """It is handed to others as it is, who may hear nothing in it."""
    clip = tmp_path / "clip.wav"
    clip.write_bytes(data)
    with pytest.raises(SettingsError, match=r"says no length.*ffmpeg -i"):
        read_reference(clip, "voice a")
    clip.write_bytes(with_length(data))
    assert len(read_reference(clip, "voice a")) == 64


@pytest.mark.parametrize(
    "data",
    [
        wav(SOUND.tobytes(), 2 * len(SOUND)),
        wav(SOUND.tobytes(), 2 * len(SOUND), INFO, INFO),
        wav(b"", 0),
        wav(b"", 0, INFO, INFO),  # no samples, and a list after them
        wav(b"", 0xFFFFFFFF),
        b"RIFF",
        b"RIFF\xff\xff\xff\xffWAVEfmt ",
        b"fLaC" + SOUND.tobytes(),
        b"",
    ],
    ids=lambda data: f"{len(data)}-{data[:4]!r}",
)
def test_every_other_file_stays_as_it_is(data: bytes) -> None:
    assert with_length(data) is data
    assert not lacks_length(data)


@pytest.mark.parametrize("end", range(0, 90, 3))
def test_a_torn_header_is_no_other_file(end: int) -> None:
    for data in (wav(SOUND.tobytes(), 0, INFO), wav(SOUND.tobytes(), 0xFFFFFFFF)):
        torn = with_length(data[:end])
        assert len(torn) == end
        assert with_length(torn) is torn or lacks_length(data[:end])


def test_the_mended_file_is_one_that_every_reader_takes() -> None:
    mended = with_length(wav(SOUND.tobytes(), 0, INFO))
    assert soundfile.info(io.BytesIO(mended)).frames == len(SOUND)
    assert mended == wav(SOUND.tobytes(), 2 * len(SOUND), INFO)
