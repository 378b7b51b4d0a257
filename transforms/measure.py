"""Measures every utterance on the int16 audio that ships. It judges nothing: select does."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.utterance import MEASURES, SPEECH, UTTERANCE, Measure, taken, unavailable
from transforms.audio import decode_flac, to_float
from transforms.environment import versions
from transforms.step import Artifacts, BatchFn, Identity, Resources, Step, TableName

TAKEN_HERE = (
    "chars_per_s",
    "clipped_fraction",
    "duration_s",
    "leading_silence_s",
    "longest_silence_s",
    "loudness_lufs",
    "trailing_silence_s",
)
NOT_YET = ("asr_wer", "mos")  # no backend of this version takes them
SILENCE_DBFS = -50.0
FRAME_S = 0.01
MIN_LOUDNESS_S = 0.4  # one gating block of BS.1770
CLIP = 32767


@dataclass(frozen=True, kw_only=True)
class Measured(Step):
    """Duration, silences, clipping, loudness and speaking rate of each utterance.

    Silence is a run of 10 ms frames with an RMS below -50 dBFS; ``longest_silence_s`` counts inner
    ones only. Loudness is ITU-R BS.1770-4 integrated loudness (pyloudnorm), unavailable under
    0.4 s. ``chars_per_s`` counts the letters and digits of the spoken text.
    """

    name: ClassVar[str] = "measure"
    version: ClassVar[int] = 1
    table: ClassVar[TableName] = "utterances"
    memo: ClassVar[bool] = True
    reads: ClassVar[pa.Schema] = pa.schema(
        [UTTERANCE.field("spoken_text"), SPEECH.field("flac"), SPEECH.field("flac_sha256")]
    )
    writes: ClassVar[pa.Schema] = MEASURES
    resources: Resources = Resources(batch_rows=16)

    def identity(self) -> Identity:
        return versions("numpy", "scipy", "pyloudnorm", "unicode", "cpu")

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        import pyloudnorm  # noqa: F401 - slow to load, so not on the first row's time

        def run(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows = [
                measures(flac, text)
                for flac, text in zip(
                    batch.column("flac").to_pylist(),
                    batch.column("spoken_text").to_pylist(),
                    strict=True,
                )
            ]
            return pa.RecordBatch.from_arrays(
                [pa.array(rows, MEASURES.field(0).type)], schema=MEASURES
            )

        yield run


def measures(flac: bytes, spoken_text: str) -> list[Measure]:
    """All measures of one utterance, sorted by name."""
    samples, rate = decode_flac(flac)
    duration_s = len(samples) / rate
    leading, inner, trailing = silences(samples, rate)
    letters = sum(letter.isalnum() for letter in spoken_text)
    clipped = np.count_nonzero(np.abs(samples.astype(np.int32)) >= CLIP)
    loudness = loudness_lufs(to_float(samples).astype(np.float64), rate)
    found = [
        taken("duration_s", duration_s),
        taken("leading_silence_s", leading),
        taken("longest_silence_s", inner),
        taken("trailing_silence_s", trailing),
        taken("clipped_fraction", clipped / len(samples)),
        unavailable("loudness_lufs") if loudness is None else taken("loudness_lufs", loudness),
        taken("chars_per_s", letters / duration_s) if letters else unavailable("chars_per_s"),
        *(unavailable(name) for name in NOT_YET),
    ]
    return sorted(found, key=lambda item: item["name"])


def silences(samples: npt.NDArray[np.int16], rate: int) -> tuple[float, float, float]:
    """Leading, longest inner and trailing silence in seconds; all of it leads if none speaks."""
    size = max(1, round(rate * FRAME_S))
    count = len(samples) // size
    if count == 0:
        return 0.0, 0.0, 0.0
    frames = samples[: count * size].reshape(count, size).astype(np.float64)
    power = (frames**2).mean(axis=1) / 32768.0**2
    spoken = np.flatnonzero(power >= 10 ** (SILENCE_DBFS / 10))
    if len(spoken) == 0:
        return count * FRAME_S, 0.0, 0.0
    inner = int(np.diff(spoken).max() - 1) if len(spoken) > 1 else 0
    return spoken[0] * FRAME_S, inner * FRAME_S, (count - 1 - spoken[-1]) * FRAME_S


def loudness_lufs(samples: npt.NDArray[np.float64], rate: int) -> float | None:
    """Integrated loudness in LUFS, or None where BS.1770 has no value (too short, or gated out)."""
    if len(samples) < round(MIN_LOUDNESS_S * rate):
        return None
    import pyloudnorm

    loudness = float(pyloudnorm.Meter(rate).integrated_loudness(samples))
    return loudness if np.isfinite(loudness) else None
