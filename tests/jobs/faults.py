"""A speech backend that speaks tones, and fails in a chosen way at a text with a magic word."""

import os
import signal
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from schemas.columns import reasons_field
from schemas.conversation import CONVERSATION
from schemas.errors import SynthesisError
from transforms.backends.tts import Samples, Speech, VoiceSpec
from transforms.step import Artifacts, BatchFn, Step, TableName

RATE_HZ = 16_000
# magic word in the text -> what happens. The words survive the rewriting of rules.
SILENCE = "quietword"
NAN = "nanword"
EMPTY = "emptyword"
STEREO = "stereoword"
RAISES = "raiseword"
REFUSES = "refuseword"
HANGS = "hangword"
SEGFAULTS = "segfaultword"
EXITS = "exitword"
ORPHANS = "orphanword"  # kills the process that started this one
RETURNED = (SILENCE, NAN, EMPTY, STEREO, RAISES, REFUSES)  # faults that spare the process
DEADLY = (HANGS, SEGFAULTS, EXITS)  # ORPHANS aside: it would kill the tests


@dataclass(frozen=True)
class FaultySpeech:
    """Stands in for flite. ``faults`` are the magic words that work; without any it only hums.

    ``log`` is a file to which every text is appended that is spoken: what was really computed.
    ``slow_open_s`` is how long loading takes; ``hangs_once`` a file that is made where it begins to
    load for ever, and that keeps the next from doing so.
    """

    faults: tuple[str, ...] = (*RETURNED, *DEADLY, ORPHANS)
    log: str = ""
    slow_open_s: float = 0.0
    hangs_once: str = ""
    name: str = "flite"

    def identity(self, voice: VoiceSpec) -> Mapping[str, object]:
        return {"tone": 1}

    def check(self, voice: VoiceSpec) -> None:
        """Every voice can hum."""

    @contextmanager
    def open(self) -> Iterator["_Speaker"]:
        time.sleep(self.slow_open_s)
        if self.hangs_once and not Path(self.hangs_once).exists():
            Path(self.hangs_once).touch()
            time.sleep(3600)
        yield _Speaker(self)


@dataclass(frozen=True)
class _Speaker:
    backend: FaultySpeech

    def speak(self, text: str, voice: VoiceSpec) -> Speech:
        if self.backend.log:
            with open(self.backend.log, "a", encoding="utf-8") as log:
                log.write(text + "\n")
        for word in self.backend.faults:
            if word in text.lower():
                return Speech(_fault(word), RATE_HZ)
        return Speech(tone(text, voice), RATE_HZ)


@dataclass(frozen=True, kw_only=True)
class HangingGate(Step):
    """A step without a memo that never returns for a row whose own id is HANGS."""

    name: ClassVar[str] = "gate"
    table: ClassVar[TableName] = "conversations"
    reads: ClassVar[pa.Schema] = pa.schema([CONVERSATION.field("source_id")])
    writes: ClassVar[pa.Schema] = pa.schema([reasons_field("gate")])

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        def judge(batch: pa.RecordBatch) -> pa.RecordBatch:
            if HANGS in batch.column("source_id").to_pylist():
                time.sleep(3600)
            nothing = pa.nulls(batch.num_rows, self.writes.field(0).type)
            return pa.record_batch([nothing], schema=self.writes)

        yield judge


def tone(text: str, voice: VoiceSpec) -> Samples:
    """Half a second or more of a chirp that follows from the text and the voice."""
    seed = zlib.crc32(f"{text}|{voice.name}|{voice.rate}".encode())
    time_s = np.arange(RATE_HZ // 2 + 80 * len(text)) / RATE_HZ
    pitch_hz = 100 + seed % 300
    wave = np.sin(2 * np.pi * (pitch_hz + 900 * time_s) * time_s) * (1 + np.sin(9 * time_s)) / 2
    return (wave * 9000).astype(np.int16)


def _fault(word: str) -> Samples:
    match word:
        case "quietword":
            return np.zeros(RATE_HZ, np.int16)
        case "nanword":
            return np.full(RATE_HZ, np.nan, np.float32)  # type: ignore[return-value]
        case "emptyword":
            return np.zeros(0, np.int16)
        case "stereoword":
            return np.full((RATE_HZ, 2), 900, np.int16)
        case "raiseword":
            raise ZeroDivisionError("the vocoder divided by zero")
        case "refuseword":
            raise SynthesisError("this text cannot be spoken")
        case "hangword":
            time.sleep(3600)
        case "segfaultword":
            os.kill(os.getpid(), signal.SIGSEGV)
            time.sleep(60)
        case "orphanword":
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)
        case "exitword":
            os._exit(1)
    raise AssertionError(word)
