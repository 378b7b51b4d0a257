"""Measures every utterance on the int16 audio that ships. It judges nothing: select does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

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
from transforms.audio import decode_flac, to_float
from transforms.augment import speed_of
from transforms.environment import versions
from transforms.hearing import ALIGN_MEASURES, ASR_MEASURES, MOS_MEASURES, VAD_MEASURES
from transforms.pace import FitPace, Pace
from transforms.sound import SOUND_MEASURES, sound_measures
from transforms.step import Artifacts, BatchFn, Identity, Resources, Step, TableName

NOT_YET: tuple[str, ...] = ()  # what no backend of this version takes
TAKEN_HERE = tuple(
    sorted(
        [
            *SOUND_MEASURES,
            *ALIGN_MEASURES,
            *ASR_MEASURES,
            *MOS_MEASURES,
            *VAD_MEASURES,
            "attempt_score",
            "duration_ratio",
            "loudness_lufs",
            "num_attempts",
        ]
    )
)
MIN_LOUDNESS_S = 0.4  # one gating block of BS.1770


@dataclass(frozen=True, kw_only=True)
class Measured(Step):
    """All measures of each utterance: of its sound, of what listening heard, of its attempts.

    Silence is a run of 10 ms frames with an RMS below -50 dBFS; ``longest_silence_s`` counts inner
    ones only. Loudness is ITU-R BS.1770-4 integrated loudness (pyloudnorm), unavailable under
    0.4 s. ``chars_per_s`` counts the letters and digits of the spoken text. ``duration_ratio`` is
    the duration, before any change of speed, over the one that the voice's pace predicts.
    """

    name: ClassVar[str] = "measure"
    version: ClassVar[int] = 2
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
    text = row["spoken_text"]
    loudness = loudness_lufs(to_float(samples).astype(np.float64), rate)
    found = [
        *sound_measures(samples, rate, text),
        unavailable("loudness_lufs") if loudness is None else taken("loudness_lufs", loudness),
        _duration_ratio(row, len(samples) / rate, pace),
        *_of_attempts(row["attempts"]),
        *row["heard"],
        *(unavailable(name) for name in NOT_YET),
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


def loudness_lufs(samples: npt.NDArray[np.float64], rate: int) -> float | None:
    """Integrated loudness in LUFS, or None where BS.1770 has no value (too short, or gated out)."""
    if len(samples) < round(MIN_LOUDNESS_S * rate):
        return None
    import pyloudnorm

    loudness = float(pyloudnorm.Meter(rate).integrated_loudness(samples))
    return loudness if np.isfinite(loudness) else None
