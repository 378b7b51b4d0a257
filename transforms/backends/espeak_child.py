"""The helper process of the espeak backend: one fork per utterance, so every one starts alike.

espeak-ng carries state from utterance to utterance, and offers no reset. This process loads it
once and never speaks; each request is answered by a fork of it. It has one thread and imports
only the standard library, which is what makes forking it safe and quick.

Request, on stdin: a big-endian uint32 length, then JSON with text, voice, wpm, pitch.
Answer, on stdout: uint8 status, uint32 sample rate in Hz, uint32 length, then int16 PCM in
native order (or, where the status is not OK, a message). The first answer, unasked, says
whether the library could be loaded. End of input ends the process.

    python -I -S espeak_child.py LIBRARY DATA_DIR
"""

import ctypes
import json
import os
import signal
import struct
import sys
from typing import BinaryIO, TypedDict

OK, NO_VOICE, FAILED = 0, 1, 2
REQUEST_HEAD = struct.Struct(">I")
ANSWER_HEAD = struct.Struct(">BII")
UTTERANCE_LIMIT_S = 120  # a stuck fork is killed; at 1,000 times real time this is a day of audio

_SYNCHRONOUS, _DONT_EXIT = 2, 0x8000  # synchronous: no thread is started
_CHARS_UTF8, _RATE, _PITCH = 1, 1, 3
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class Request(TypedDict):
    """``text`` empty asks only whether the voice exists. ``wpm`` words a minute; pitch 0 to 100."""

    text: str
    voice: str
    wpm: int
    pitch: int


def pack(status: int, rate_hz: int, payload: bytes) -> bytes:
    """One answer as bytes."""
    return ANSWER_HEAD.pack(status, rate_hz, len(payload)) + payload


def load(library_path: str, data_dir: str) -> tuple[ctypes.CDLL, int]:
    """The initialized library and its sample rate in Hz. Raises OSError."""
    library = ctypes.CDLL(library_path)
    library.espeak_Initialize.argtypes = [
        ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int,
    ]  # fmt: skip
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
        ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 0, data_dir.encode(), _DONT_EXIT)
    if rate_hz <= 0:
        raise OSError(f"espeak_Initialize returned {rate_hz} for the data in {data_dir}")
    return library, rate_hz


def synthesize(library: ctypes.CDLL, rate_hz: int, request: Request) -> bytes:
    """Speak one request in this process; the answer as bytes. Only to be called in a fork."""
    # An unknown name returns 2 and silently keeps the old voice.
    if library.espeak_SetVoiceByName(request["voice"].encode()) != 0:
        return pack(NO_VOICE, 0, b"")
    # Variants such as +f2 flutter at random, and espeak_Initialize seeds that with the second of
    # the day: without a seed of our own, two helpers started in different seconds disagree.
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))
    library.espeak_SetParameter(_RATE, request["wpm"], 0)
    library.espeak_SetParameter(_PITCH, request["pitch"], 0)
    pcm = bytearray()

    def collect(samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            pcm.extend(ctypes.string_at(samples, count * 2))
        return 0

    callback = _CALLBACK(collect)
    library.espeak_SetSynthCallback(callback)
    text = request["text"].encode()
    if text:
        code = library.espeak_Synth(text, len(text) + 1, 0, 1, 0, _CHARS_UTF8, None, None)
        if code != 0:
            return pack(FAILED, 0, f"espeak_Synth returned {code}".encode())
    return pack(OK, rate_hz, bytes(pcm))


def answer(library: ctypes.CDLL, rate_hz: int, request: Request) -> bytes:
    """Fork, let the child speak, and give its answer whole, or say how it ended."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(UTTERANCE_LIMIT_S)
            os.close(read_end)
            with open(write_end, "wb") as pipe:
                pipe.write(synthesize(library, rate_hz, request))
            os._exit(0)
        finally:
            os._exit(1)
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        frame = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code != 0:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        return pack(FAILED, 0, f"espeak-ng {how}".encode())
    return frame


def serve(requests: BinaryIO, answers: BinaryIO, library_path: str, data_dir: str) -> None:
    """Answer until the end of input."""
    try:
        library, rate_hz = load(library_path, data_dir)
    except (OSError, AttributeError) as error:
        answers.write(pack(FAILED, 0, str(error).encode()))
        return
    answers.write(pack(OK, rate_hz, b""))
    answers.flush()
    while len(head := requests.read(REQUEST_HEAD.size)) == REQUEST_HEAD.size:
        body = requests.read(REQUEST_HEAD.unpack(head)[0])
        answers.write(answer(library, rate_hz, json.loads(body)))
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer, sys.argv[1], sys.argv[2])
