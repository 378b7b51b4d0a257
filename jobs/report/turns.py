"""The turns of a row as the page shows them: texts, sound, pictures of it, measures and units."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from jobs.report.aligned import Spoken, spoken_words
from jobs.report.diff import Parts, differences
from jobs.report.extras import KNOWN, Extra, extras
from jobs.report.judged import Judged, Rules, judged
from jobs.report.spectrogram import mel_image
from jobs.report.strip import strip_path
from jobs.report.waveform import loudest, waveform_path
from jobs.report.words import clipped
from schemas.snapshot import Manifest
from transforms.audio import decode_flac
from transforms.minhash import tokens

MAX_UNITS: Final = 60
MAX_TURNS: Final = 12  # shown of one row
COLUMNS, HEIGHT, STRIP_HEIGHT = 360, 44, 26  # of the boxes of waveform and units


@dataclass
class Budget:
    """How many bytes of FLAC may still go into the page, and what did not fit."""

    bytes: int
    left_out: int = 0  # samples shown without their audio

    def takes(self, size: int) -> bool:
        """Whether a sample's audio fits; if so it is booked."""
        if size > self.bytes:
            self.left_out += 1
            return False
        self.bytes -= size
        return True


@dataclass(frozen=True, kw_only=True)
class ShownTurn:
    """One utterance. ``audio`` is a data URI, ``path`` and ``strip`` SVG paths; empty without.

    ``text``, ``input`` and ``spoken`` are parts, marked where the other side lacks them.
    """

    turn: int
    role: str
    text: Parts
    input: Parts
    spoken: Parts
    same: bool  # spoken as it stands in the source
    voice: str = ""
    speaker: str = ""
    duration_s: float | None = None
    measures: Sequence[Judged] = ()
    heard: Parts = field(default_factory=list)  # by speech recognition; against what was spoken
    extras: Sequence[Extra] = ()  # attempts, augmentation, word times, and what else a record has
    units: str = ""  # the first MAX_UNITS
    num_units: int = 0
    num_frames: int = 0
    audio: str = ""
    path: str = ""
    mel: str = ""  # a data URI
    strip: str = ""
    aligned: Sequence[Spoken] = ()

    @property
    def changed(self) -> bool:
        """Whether any part is marked."""
        return any(mark for parts in (self.text, self.input, self.spoken) for mark, _ in parts)

    @property
    def gated(self) -> Sequence[Judged]:
        """Measures that a gate looks at."""
        return [item for item in self.measures if item.verdict]

    @property
    def told(self) -> Sequence[Judged]:
        """Measures that no gate looks at."""
        return [item for item in self.measures if not item.verdict]

    @property
    def failing(self) -> int:
        """Measures that a gate rejects."""
        return sum(item.verdict == "fails" for item in self.measures)


def data_uri(flac: bytes) -> str:
    """A FLAC file as an address that needs no network."""
    return "data:audio/flac;base64," + base64.b64encode(flac).decode("ascii")


def shown_turns(
    turns: Sequence[dict[str, Any]],
    lang: str,
    rules: Rules,
    manifest: Manifest,
    budget: Budget,
    reasons: Sequence[Mapping[str, Any]] = (),
) -> list[ShownTurn]:
    """``turns`` carry text, input, spoken_text and, if they were spoken, flac, measures, codes."""
    files = [turn["flac"] for turn in turns[:MAX_TURNS] if turn.get("flac")]
    heard = bool(files) and budget.takes(sum(map(len, files)))
    sounds = {
        turn["turn"]: decode_flac(turn["flac"]) for turn in turns[:MAX_TURNS] if turn.get("flac")
    }
    full_scale = max((loudest(sound) for sound, _ in sounds.values()), default=1)
    size = max((int(str(item["codebook_size"])) for item in manifest["unit_sets"]), default=2)
    found = []
    for turn in turns[:MAX_TURNS]:
        source = [clipped(turn["text"]), clipped(turn["input"])]
        (text, extra), spoken = differences(source, clipped(turn["spoken_text"]))
        shown: dict[str, Any] = {}
        if turn["turn"] in sounds:
            (sound, rate_hz), codes = sounds[turn["turn"]], turn.get("codes") or []
            shown = {
                "voice": turn["voice"],
                "speaker": turn.get("speaker_id") or "",
                "duration_s": len(sound) / rate_hz,
                "measures": judged(
                    turn["measures"],
                    rules,
                    turn["role"],
                    lang,
                    turn["voice"] or "",
                    [item["code"] for item in reasons if item["turn"] == turn["turn"]],
                ),
                "heard": _heard(turn["record"], turn["spoken_text"]),
                "extras": extras(turn["record"], KNOWN | {"words"}),
                "units": " ".join(map(str, codes[:MAX_UNITS])),
                "num_units": turn["num_units"],
                "num_frames": turn.get("num_frames") or 0,
                "audio": data_uri(turn["flac"]) if heard else "",
                "path": waveform_path(sound, COLUMNS, HEIGHT, full_scale),
                "mel": mel_image(sound, rate_hz, turn["role"]),
                "aligned": spoken_words(turn["record"].get("words"), len(sound) / rate_hz),
                "strip": strip_path(codes, turn.get("durations"), size, (COLUMNS, STRIP_HEIGHT)),
            }
        found.append(
            ShownTurn(
                turn=turn["turn"],
                role=turn["role"],
                text=text,
                input=extra if turn["input"] else [],
                spoken=spoken if turn["spoken_text"] else [],
                same=not turn["input"] and turn["spoken_text"] == turn["text"],
                **shown,
            )
        )
    return found


def _heard(record: Mapping[str, Any], spoken: str) -> Parts:
    """What recognition heard, what was not said marked; case and punctuation do not count."""
    text = clipped(record.get("heard_text") or "")
    said = " ".join(tokens(clipped(spoken)))
    return differences([said], text)[1] if text else []
