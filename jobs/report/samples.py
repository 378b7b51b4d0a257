"""The utterances that the report lets one hear: text, audio, waveform, measures and units."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.report.diff import Parts, differences
from jobs.report.extras import KNOWN, Extra, extras
from jobs.report.judged import Judged, judged
from jobs.report.reading import IndexRow, read_sample
from jobs.report.strip import strip_path
from jobs.report.waveform import loudest, waveform_path
from jobs.report.words import clipped, fact, reason_words
from pipelines.outcome import Outcome
from schemas.shard import durations_suffix, flac_suffix, read_npy, units_suffix
from schemas.snapshot import Manifest
from schemas.store import Store
from schemas.unitset import UnitSet
from transforms.audio import decode_flac
from transforms.minhash import tokens
from transforms.select import Gate

MAX_UNITS = 60
MAX_TURNS = 12  # shown of one row
MAX_REASONS = 20
SHOWN = KNOWN - {"heard_text"}
COLUMNS, HEIGHT, STRIP_HEIGHT = 300, 44, 26  # of the boxes of waveform and units


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
    strip: str = ""

    @property
    def changed(self) -> bool:
        """Whether any part is marked."""
        return any(mark for parts in (self.text, self.input, self.spoken) for mark, _ in parts)

    @property
    def failing(self) -> int:
        """Measures that a gate rejects."""
        return sum(item.verdict == "fails" for item in self.measures)


@dataclass(frozen=True, kw_only=True)
class ShownSample:
    """A row as it ended, with what it says; ``facts`` are its small print."""

    key: str
    state: str
    lang: str
    facts: Sequence[str]
    turns: Sequence[ShownTurn]
    codes: Sequence[str] = ()  # of its reasons, or its error's class
    reasons: Sequence[str] = ()
    duration_s: float | None = None
    more_turns: int = 0

    @property
    def voices(self) -> list[str]:
        """Every voice that is heard in it."""
        return sorted({turn.voice for turn in self.turns if turn.voice})


@dataclass
class CodeUse:
    """How often each code of a unit set stands in the samples that were read."""

    samples: int = 0
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def used(self) -> int:
        """Distinct codes seen."""
        return int(np.count_nonzero(self.counts))

    @property
    def perplexity(self) -> float:
        """2 ** entropy of the codes: how many would be in use if all used ones were as frequent."""
        if not self.used:
            return 0.0
        shares = self.counts[self.counts > 0] / self.counts.sum()
        return float(2.0 ** -(shares * np.log2(shares)).sum())


def code_use(store: Store, rows: Iterable[IndexRow], unit_set: UnitSet) -> CodeUse:
    """Count the codes of the first codebook in some samples."""
    use = CodeUse(counts=np.zeros(unit_set.codebook_size, np.int64))
    for row in rows:
        use.samples += 1
        for suffix, data in read_sample(store, row).items():
            if suffix.endswith(f".{unit_set.name}.npy"):
                codes = read_npy(data)[0].astype(np.int64)
                use.counts += np.bincount(codes, minlength=unit_set.codebook_size)
    return use


def shown_sample(
    store: Store, manifest: Manifest, row: IndexRow, gates: Sequence[Gate], budget: Budget
) -> ShownSample:
    """An accepted sample, read and checked. Raises DamageError."""
    members = read_sample(store, row)
    record = json.loads(members["json"])
    records = {turn["turn"]: turn for turn in record["turns"]}
    turns = [
        {
            **turn,
            "input": records[turn["turn"]].get("input", ""),
            "flac": members[flac_suffix(turn["turn"], turn["role"])],
            "record": records[turn["turn"]],
            **_units(manifest, members, turn),
        }
        for turn in row["turns"]
    ]
    facts = [row["split"], row["lang"], row["source"], row["source_id"], row["license"]]
    facts += [f"{row['num_dropped']} turns left out"] if row["num_dropped"] else []
    return ShownSample(
        key=row["key"],
        state="accepted",
        lang=row["lang"],
        facts=[fact(item) for item in facts if item],
        turns=_turns(turns, row["lang"], gates, manifest, budget),
        codes=sorted({item["code"] for item in record["dropped"]}),
        duration_s=row["duration_s"],
        reasons=[f"left out: {reason_words(item)}" for item in record["dropped"][:MAX_REASONS]],
        more_turns=max(0, len(turns) - MAX_TURNS),
    )


def shown_outcome(
    row: Outcome,
    spoken: Mapping[int, Mapping[str, Any]],
    gates: Sequence[Gate],
    manifest: Manifest,
    budget: Budget,
) -> ShownSample:
    """A rejected or failed row; ``spoken`` has the exhibits of its turns, by turn, if heard."""
    turns: list[dict[str, Any]] = [
        {**turn, "turn": number, "record": {}, **_exhibit(spoken.get(number), row["turns"][number])}
        for number, turn in enumerate(row["turns"])
    ]
    words = list(dict.fromkeys(reason_words(item) for item in row["reasons"]))[:MAX_REASONS]
    codes = {item["code"] for item in row["reasons"]}
    error = row["error"]
    if error is not None:
        again = "; it may pass another time" if error["retryable"] else ""
        words = [
            clipped(f"{error['step']}, {error['error_class']}: {error['message']}{again}", 600)
        ]
        codes = {error["error_class"]}
    return ShownSample(
        key=row["id"],
        state=row["state"],
        lang=row["lang"],
        facts=[fact(item) for item in (row["lang"], row["origin"], row["source_id"]) if item],
        turns=_turns(turns, row["lang"], gates, manifest, budget),
        codes=sorted(codes),
        reasons=words,
        more_turns=max(0, len(turns) - MAX_TURNS),
    )


def data_uri(flac: bytes) -> str:
    """A FLAC file as an address that needs no network."""
    return "data:audio/flac;base64," + base64.b64encode(flac).decode("ascii")


def _exhibit(exhibit: Mapping[str, Any] | None, turn: Mapping[str, Any]) -> dict[str, Any]:
    if exhibit is None:
        return {"spoken_text": turn["spoken_text"] or ""}
    codes = exhibit["codes"] or []
    told = {name: exhibit[name] for name in exhibit if name not in SHOWN and exhibit[name]}
    return {**exhibit, "codes": codes, "num_units": len(codes), "record": told}


def _turns(
    turns: Sequence[dict[str, Any]],
    lang: str,
    gates: Sequence[Gate],
    manifest: Manifest,
    budget: Budget,
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
                "measures": judged(turn["measures"], gates, turn["role"], lang),
                "heard": _heard(turn["record"], turn["spoken_text"]),
                "extras": extras(turn["record"], KNOWN),
                "units": " ".join(map(str, codes[:MAX_UNITS])),
                "num_units": turn["num_units"],
                "num_frames": turn.get("num_frames") or 0,
                "audio": data_uri(turn["flac"]) if heard else "",
                "path": waveform_path(sound, COLUMNS, HEIGHT, full_scale),
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


def _units(
    manifest: Manifest, members: Mapping[str, bytes], turn: Mapping[str, Any]
) -> dict[str, list[int] | None]:
    for value in manifest["unit_sets"]:
        place = (turn["turn"], turn["role"], str(value["name"]))
        data = members.get(units_suffix(*place))
        if data is not None:
            lengths = members.get(durations_suffix(*place))
            return {
                "codes": read_npy(data)[0].tolist(),
                "durations": None if lengths is None else read_npy(lengths).tolist(),
            }
    return {}
