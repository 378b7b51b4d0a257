"""Measures every utterance on the int16 audio that ships. It judges nothing: select does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from schemas.measures import BY_NAME
from schemas.utterance import (
    HEARD,
    MEASURES,
    SPEECH,
    UTTERANCE,
    VOICE,
    Attempt,
    Measure,
    taken,
    unavailable,
)
from transforms.audio import FULL_SCALE, decode_flac
from transforms.augment import speed_of
from transforms.environment import versions
from transforms.measures.band import band_measures
from transforms.measures.breaks import break_measures
from transforms.measures.level import level_measures
from transforms.measures.noise import noise_measures
from transforms.measures.pitch import pitch_measures
from transforms.measures.text import text_measures
from transforms.pace import FitPace, Pace
from transforms.sound import sound_measures
from transforms.step import Artifacts, BatchFn, Identity, Resources, Step, TableName

TAKEN_HERE = tuple(sorted(BY_NAME))  # here and by the steps that add to it


@dataclass(frozen=True, kw_only=True)
class Measured(Step):
    """Measures of each utterance: of its sound, its text, what listening heard, its attempts.

    schemas/measures.py says what each is. Units and pairs are measured later, where they are known.
    """

    name: ClassVar[str] = "measure"
    version: ClassVar[int] = 4
    table: ClassVar[TableName] = "utterances"
    memo: ClassVar[bool] = True
    uses: ClassVar[tuple[str, ...]] = (FitPace.name,)
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            *(UTTERANCE.field(name) for name in ("spoken_text", "lang")),
            VOICE.field("voice"),
            *(SPEECH.field(name) for name in ("flac", "flac_sha256", "attempts", "augmentation")),
            HEARD.field("heard"),
        ]
    )
    writes: ClassVar[pa.Schema] = MEASURES
    resources: Resources = Resources(batch_rows=16)

    def identity(self) -> Identity:
        return versions("numpy", "scipy", "pyloudnorm", "unicode", "cpu")

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        import pyloudnorm  # noqa: F401 - slow to load, so not on the first row's time

        pace = Pace(artifacts[FitPace.name])

        def run(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows = [measures(row, pace) for row in batch.to_pylist()]
            return pa.RecordBatch.from_arrays(
                [pa.array(rows, MEASURES.field(0).type)], schema=MEASURES
            )

        yield run


def measures(row: dict[str, Any], pace: Pace) -> list[Measure]:
    """All measures of one utterance, sorted by name."""
    samples, rate = decode_flac(row["flac"])
    wave = samples / FULL_SCALE
    text = row["spoken_text"]
    found = [
        *sound_measures(samples, rate, text),
        *break_measures(samples, rate),
        *level_measures(samples, wave, rate),
        *noise_measures(wave, rate),
        *band_measures(wave, rate),
        *pitch_measures(wave, rate),
        *text_measures(text, row["lang"]),
        _duration_ratio(row, len(samples) / rate, pace),
        *_of_attempts(row["attempts"]),
        *row["heard"],
    ]
    return sorted(found, key=lambda item: item["name"])


def _duration_ratio(row: dict[str, Any], duration_s: float, pace: Pace) -> Measure:
    expected_s = pace.seconds(row["spoken_text"], row["lang"], row["voice"])
    if expected_s is None or not any(map(str.isalnum, row["spoken_text"])):
        return unavailable("duration_ratio")
    return taken("duration_ratio", duration_s * speed_of(row["augmentation"]) / expected_s)


def _of_attempts(attempts: list[Attempt]) -> list[Measure]:
    kept = next((item for item in attempts if item["kept"]), None)
    if kept is None:
        return [unavailable("attempt_score"), unavailable("num_attempts")]
    return [taken("attempt_score", kept["score"]), taken("num_attempts", len(attempts))]
