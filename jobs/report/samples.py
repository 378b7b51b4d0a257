"""The utterances that the report lets one hear: text, audio, waveform, measures and units."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.report.reading import IndexRow, read_sample
from jobs.report.waveform import loudest, waveform_path
from pipelines.outcome import Outcome
from schemas.shard import flac_suffix, read_npy, units_suffix
from schemas.snapshot import Manifest
from schemas.store import Store
from schemas.unitset import UnitSet
from schemas.utterance import TAKEN
from transforms.audio import decode_flac

MAX_TEXT = 2000  # characters of one text that are shown
MAX_UNITS = 60
COLUMNS, HEIGHT = 300, 44  # of a waveform's box


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
    """One utterance. ``audio`` is a data URI and ``path`` an SVG path; empty without audio."""

    turn: int
    role: str
    text: str
    input: str = ""
    spoken_text: str = ""
    voice: str = ""
    duration_s: float | None = None
    measures: Sequence[tuple[str, str]] = ()  # name, value or why there is none
    units: str = ""  # the first MAX_UNITS
    num_units: int = 0
    num_frames: int = 0
    audio: str = ""
    path: str = ""


@dataclass(frozen=True, kw_only=True)
class ShownSample:
    """A row that shipped or was rejected, with what it says; ``facts`` are its small print."""

    key: str
    lang: str
    facts: Sequence[str]
    turns: Sequence[ShownTurn]
    reasons: Sequence[str] = ()
    duration_s: float | None = None


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


def shown_sample(store: Store, manifest: Manifest, row: IndexRow, budget: Budget) -> ShownSample:
    """An accepted sample, read and checked. Raises DamageError."""
    members = read_sample(store, row)
    record = json.loads(members["json"])
    inputs = {turn["turn"]: turn.get("input", "") for turn in record["turns"]}
    files = [members[flac_suffix(turn["turn"], turn["role"])] for turn in row["turns"]]
    heard = budget.takes(sum(map(len, files)))
    sounds = [decode_flac(data)[0] for data in files]
    full_scale = max(map(loudest, sounds))
    turns = []
    for turn, data, sound in zip(row["turns"], files, sounds, strict=True):
        units = _units(manifest, members, turn)
        turns.append(
            ShownTurn(
                turn=turn["turn"],
                role=turn["role"],
                text=clipped(turn["text"]),
                input=clipped(inputs[turn["turn"]]),
                spoken_text=clipped(turn["spoken_text"]),
                voice=turn["voice"],
                duration_s=turn["duration_s"],
                measures=measure_words(turn["measures"]),
                units=units,
                num_units=turn["num_units"],
                num_frames=turn["num_frames"],
                audio=data_uri(data) if heard else "",
                path=waveform_path(sound, COLUMNS, HEIGHT, full_scale),
            )
        )
    facts = [row["split"], row["lang"], row["source"], row["source_id"], row["license"]]
    facts += [f"{row['num_dropped']} turns left out"] if row["num_dropped"] else []
    return ShownSample(
        key=row["key"],
        lang=row["lang"],
        facts=[fact for fact in facts if fact],
        turns=turns,
        duration_s=row["duration_s"],
        reasons=[reason_words(item) for item in record["dropped"]],
    )


def shown_rejection(
    row: Outcome, spoken: Mapping[int, Mapping[str, Any]], budget: Budget
) -> ShownSample:
    """A rejected row; ``spoken`` has the exhibits of its turns, by turn, if it was heard."""
    heard = bool(spoken) and budget.takes(sum(len(item["flac"]) for item in spoken.values()))
    sounds = {turn: decode_flac(item["flac"])[0] for turn, item in spoken.items()}
    full_scale = max(map(loudest, sounds.values()), default=1)
    turns = []
    for number, turn in enumerate(row["turns"]):
        exhibit = spoken.get(number)
        shown: dict[str, Any] = {}
        if exhibit is not None:
            codes = exhibit["codes"] or []
            shown = {
                "voice": exhibit["voice"],
                "measures": measure_words(exhibit["measures"]),
                "units": " ".join(map(str, codes[:MAX_UNITS])),
                "num_units": len(codes),
                "audio": data_uri(exhibit["flac"]) if heard else "",
                "path": waveform_path(sounds[number], COLUMNS, HEIGHT, full_scale),
            }
        said = exhibit["spoken_text"] if exhibit is not None else turn["spoken_text"]
        turns.append(
            ShownTurn(
                turn=number,
                role=turn["role"],
                text=clipped(turn["text"]),
                input=clipped(turn["input"]),
                spoken_text=clipped(said or ""),
                **shown,
            )
        )
    words = list(dict.fromkeys(reason_words(item) for item in row["reasons"]))
    facts = [row["lang"], row["origin"], row["source_id"]]
    return ShownSample(
        key=row["id"],
        lang=row["lang"],
        facts=[fact for fact in facts if fact],
        turns=turns,
        reasons=words,
    )


def reason_words(item: Mapping[str, Any]) -> str:
    """A reason as a line: turn, step, code, detail."""
    where = f"turn {item['turn']}, " if item["turn"] >= 0 else ""
    detail = f": {item['detail']}" if item["detail"] else ""
    return f"{where}{item['step']}, {item['code']}{detail}"


def measure_words(measures: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Name and value of each measure; its status where it was not taken."""
    return [
        (
            item["name"],
            f"{item['value']:.4g}" if item["status"] == TAKEN else item["status"].replace("_", " "),
        )
        for item in measures
    ]


def clipped(text: str, most: int = MAX_TEXT) -> str:
    """The first ``most`` characters, saying how many are missing."""
    left = len(text) - most
    return text if left <= 0 else f"{text[:most]} … ({left:,} more characters)"


def data_uri(flac: bytes) -> str:
    """A FLAC file as an address that needs no network."""
    return "data:audio/flac;base64," + base64.b64encode(flac).decode("ascii")


def _units(manifest: Manifest, members: Mapping[str, bytes], turn: Mapping[str, Any]) -> str:
    for value in manifest["unit_sets"]:
        data = members.get(units_suffix(turn["turn"], turn["role"], str(value["name"])))
        if data is not None:
            return " ".join(map(str, read_npy(data)[0][:MAX_UNITS].tolist()))
    return ""
