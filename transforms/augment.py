"""Augments speech: speed, room, noise, telephone, gain. Optional, deterministic, recorded."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from schemas.canonical import canonical_json
from schemas.errors import SettingsError
from schemas.utterance import SPEECH, UTTERANCE
from transforms.audio import decode_flac, encode_flac, to_float, to_int16
from transforms.effects import (
    Wave,
    limited,
    on_telephone,
    with_gain,
    with_noise,
    with_room,
    with_speed,
)
from transforms.environment import versions
from transforms.randomness import draw
from transforms.step import Artifacts, BatchFn, Identity, Resources, Step, TableName

Range = tuple[float, float]
NOISES = ("pink", "white")


@dataclass(frozen=True, kw_only=True)
class Effects:
    """How often each effect is applied, 0 to 1, and between which values it is drawn."""

    speed: float = 0.0
    speed_factor: Range = (0.95, 1.05)
    room: float = 0.0
    rt60_s: Range = (0.2, 0.6)
    drr_db: Range = (0.0, 10.0)
    noise: float = 0.0
    noise_kinds: tuple[str, ...] = NOISES
    snr_db: Range = (10.0, 25.0)
    telephone: float = 0.0
    gain: float = 0.0
    gain_db: Range = (-6.0, 3.0)

    def __post_init__(self) -> None:
        for name in ("speed_factor", "rt60_s", "drr_db", "snr_db", "gain_db"):
            low, high = getattr(self, name)
            if low > high:
                raise SettingsError(f"augment.{name}: got [{low}, {high}], wants low, then high")
        unknown = sorted(set(self.noise_kinds) - set(NOISES))
        if unknown or not self.noise_kinds:
            raise SettingsError(
                f"augment.noise_kinds: got {list(self.noise_kinds)}, wants some of {list(NOISES)}"
            )

    @property
    def any(self) -> bool:
        """Whether anything is ever applied."""
        return max(self.speed, self.room, self.noise, self.telephone, self.gain) > 0


@dataclass(frozen=True, kw_only=True)
class Augment(Step):
    """Effects on the turns of ``roles``, drawn from (seed, id, turn); the clean audio goes.

    ``augmentation`` says what was applied, as canonical JSON in the order of application. Word
    times follow a change of speed.
    """

    seed: int
    effects: Effects
    roles: tuple[str, ...] = ("user",)

    name: ClassVar[str] = "augment"
    version: ClassVar[int] = 1
    table: ClassVar[TableName] = "utterances"
    memo: ClassVar[bool] = True
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            *(UTTERANCE.field(name) for name in ("id", "turn", "role")),
            *(SPEECH.field(name) for name in ("flac", "flac_sha256", "num_samples", "words")),
        ]
    )
    writes: ClassVar[pa.Schema] = pa.schema(
        [
            *(SPEECH.field(name) for name in ("flac", "flac_sha256", "num_samples", "words")),
            SPEECH.field("augmentation"),
        ]
    )
    replaces: ClassVar[frozenset[str]] = frozenset(
        {"flac", "flac_sha256", "num_samples", "words", "augmentation"}
    )
    resources: Resources = Resources(batch_rows=16)

    def identity(self) -> Identity:
        return {
            "seed": self.seed,
            "effects": asdict(self.effects),
            "roles": sorted(self.roles),
            **versions("numpy", "scipy", "soundfile", "soxr", "cpu"),
        }

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        def augment(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows = [self._row(row) for row in batch.to_pylist()]
            return pa.RecordBatch.from_pylist(rows, schema=self.writes)

        yield augment

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        kept = {name: row[name] for name in ("flac", "flac_sha256", "num_samples", "words")}
        plan = self.plan(row["id"], row["turn"]) if row["role"] in self.roles else []
        if not plan:
            return {**kept, "augmentation": ""}
        samples, rate = decode_flac(row["flac"])
        label = f"{self.seed}\x1faugment\x1f{row['id']}\x1f{row['turn']}".encode()
        chance = np.random.Generator(
            np.random.PCG64(int.from_bytes(hashlib.sha256(label).digest()[:16], "big"))
        )
        wave = to_float(samples).astype(np.float64)
        for effect in plan:
            wave = _applied(effect, wave, rate, chance)
        wave, limit_db = limited(wave)
        if limit_db < 0:
            plan = [*plan, {"effect": "limit", "db": round(limit_db, 3)}]
        shipped = to_int16(wave.astype(np.float32))
        flac = encode_flac(shipped, rate)
        note = canonical_json(plan).decode("ascii")
        speed = speed_of(note)
        return {
            "flac": flac,
            "flac_sha256": hashlib.sha256(flac).hexdigest(),
            "num_samples": len(shipped),
            "words": [
                {
                    "word": item["word"],
                    "start_s": round(item["start_s"] / speed, 3),
                    "end_s": round(item["end_s"] / speed, 3),
                }
                for item in row["words"]
            ],
            "augmentation": note,
        }

    def plan(self, key: str, turn: int) -> list[dict[str, Any]]:
        """The effects on one turn, in order, with the values drawn for them."""

        def drawn(*labels: str) -> float:
            return draw(self.seed, "augment", *labels, key, str(turn))

        def between(name: str) -> float:
            low, high = getattr(self.effects, name)
            return float(round(low + (high - low) * drawn(name), 4))

        e = self.effects
        found: list[dict[str, Any]] = []
        if drawn("speed") < e.speed:
            found.append({"effect": "speed", "factor": between("speed_factor")})
        if drawn("room") < e.room:
            found.append(
                {"effect": "room", "rt60_s": between("rt60_s"), "drr_db": between("drr_db")}
            )
        if drawn("noise") < e.noise:
            kinds = sorted(set(e.noise_kinds))
            kind = kinds[int(drawn("kind") * len(kinds))]
            found.append({"effect": "noise", "kind": kind, "snr_db": between("snr_db")})
        if drawn("telephone") < e.telephone:
            found.append({"effect": "telephone"})
        if drawn("gain") < e.gain:
            found.append({"effect": "gain", "db": between("gain_db")})
        return found


def speed_of(augmentation: str) -> float:
    """The factor by which the audio was made faster; 1 if it was not."""
    if not augmentation:
        return 1.0
    applied = json.loads(augmentation)
    return float(next((item["factor"] for item in applied if item["effect"] == "speed"), 1.0))


def _applied(effect: dict[str, Any], wave: Wave, rate: int, chance: np.random.Generator) -> Wave:
    name = effect["effect"]
    if name == "speed":
        return with_speed(wave, effect["factor"], rate)
    if name == "room":
        return with_room(wave, effect["rt60_s"], effect["drr_db"], rate, chance)
    if name == "noise":
        return with_noise(wave, effect["kind"], effect["snr_db"], chance)
    if name == "telephone":
        return on_telephone(wave, rate)
    return with_gain(wave, effect["db"])
