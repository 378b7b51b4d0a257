"""Fits how fast each voice speaks, so that a clip's duration can be predicted from its text.

A voice's clips are sampled (bottom-k by hash, so the sample is the same however the corpus is
cut) and a line is fitted: seconds = a + b letters + c words + d commas + e stops, so that
absolute relative errors are least: wrong clips among the sample hardly move it. A voice with too
few clips, and audio of the source, take the line of all clips of the language.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.canonical import canonical_json
from schemas.utterance import SPEECH, UTTERANCE, VOICE
from transforms.environment import versions
from transforms.step import Fit, Identity, TableName

MAX_CLIPS: Final = 300  # of a voice, and of a language
MIN_CLIPS: Final = 12  # fewer cannot tell an outlier from the line
ROUNDS: Final = 12
CLOSE: Final = 0.02  # relative errors under this count as equal
FEATURES: Final = ("one", "letters", "words", "commas", "stops")
_COMMAS: Final = frozenset(",;:，、；：")
_STOPS: Final = frozenset(".?!。？！…")
CLIP = pa.schema(
    [
        pa.field("group", pa.string(), nullable=False),
        pa.field("order", pa.string(), nullable=False),  # hash of (seed, id, turn)
        pa.field("seconds", pa.float64(), nullable=False),
        *(pa.field(name, pa.int32(), nullable=False) for name in FEATURES),
    ]
)


@dataclass(frozen=True, kw_only=True)
class FitPace(Fit):
    """The artifact ``pace``: JSON, group to coefficients. Groups are "lang" and "lang/voice"."""

    seed: int

    name: ClassVar[str] = "pace"
    version: ClassVar[int] = 1
    table: ClassVar[TableName] = "utterances"
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            *(UTTERANCE.field(name) for name in ("id", "turn", "lang", "spoken_text")),
            *(VOICE.field(name) for name in ("voice", "voice_digest")),
            *(SPEECH.field(name) for name in ("num_samples", "sample_rate_hz")),
        ]
    )

    def identity(self) -> Identity:
        return {"seed": self.seed, **versions("numpy", "cpu", "unicode")}

    def partial(self, batch: pa.RecordBatch, num_partitions: int) -> pa.Table:
        rows = []
        for row in batch.to_pylist():
            if not any(map(str.isalnum, row["spoken_text"])):
                continue
            label = f"{self.seed}/{row['id']}/{row['turn']}"
            clip = {
                "order": hashlib.sha256(label.encode()).hexdigest()[:24],
                "seconds": row["num_samples"] / row["sample_rate_hz"],
                **dict(zip(FEATURES, features(row["spoken_text"]), strict=True)),
            }
            rows += [{"group": group, **clip} for group in groups(row["lang"], row["voice"])]
        return _lowest(pa.Table.from_pylist(rows, schema=CLIP))

    def merge(self, parts: list[pa.Table]) -> pa.Table:
        return _lowest(pa.concat_tables(parts)) if parts else CLIP.empty_table()

    def finalize(self, merged: pa.Table) -> bytes:
        lines: dict[str, list[float]] = {}
        for group in sorted(set(merged.column("group").to_pylist())):
            clips = merged.filter(pa.compute.equal(merged.column("group"), group))
            if clips.num_rows >= MIN_CLIPS:
                counts = np.array([clips.column(name).to_numpy() for name in FEATURES], np.float64)
                line = _line(counts.T, clips.column("seconds").to_numpy())
                lines[group] = [round(float(value), 9) for value in line]
        return canonical_json({"features": list(FEATURES), "lines": lines})


class Pace:
    """The fitted artifact: predicts seconds from a text."""

    def __init__(self, artifact: bytes) -> None:
        self._lines: dict[str, list[float]] = json.loads(artifact)["lines"]

    def seconds(self, text: str, lang: str, voice: str) -> float | None:
        """The duration to expect, or None where neither the voice nor the language is known."""
        for group in reversed(groups(lang, voice)):
            if group in self._lines:
                line = self._lines[group]
                found = sum(a * b for a, b in zip(line, features(text), strict=True))
                return max(found, 0.1)
        return None


def groups(lang: str, voice: str) -> list[str]:
    """The lines that a clip counts in; the last is the closest."""
    return [lang, f"{lang}/{voice}"] if voice else [lang]


def features(text: str) -> tuple[int, ...]:
    """What a duration follows from: FEATURES of a text."""
    letters = sum(letter.isalnum() for letter in text)
    return (
        1,
        letters,
        len(text.split()),
        sum(letter in _COMMAS for letter in text),
        sum(letter in _STOPS for letter in text),
    )


def _line(
    counts_NF: npt.NDArray[np.float64], seconds_N: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The line of least absolute relative errors: reweighted least squares, a ridge for few clips.

    Absolute errors, since a quarter of the clips may be wrong without moving it. By einsum, since
    BLAS sums change with the processor (docs/adr/0005).
    """
    typical = float(np.median(seconds_N / np.maximum(counts_NF[:, 1], 1)))
    scale_N = np.maximum(counts_NF[:, 1] * typical, 0.3)
    scaled_NF, target_N = counts_NF / scale_N[:, None], seconds_N / scale_N
    weight_N = np.ones(len(seconds_N))
    prior = np.array([0.0, typical, 0.0, 0.0, 0.0])  # letters alone, if nothing else is known
    line = prior
    for _ in range(ROUNDS):
        gram = np.einsum("n,nf,ng->fg", weight_N, scaled_NF, scaled_NF)
        ridge = 1e-4 * (np.diag(gram) + 1e-9)
        right = np.einsum("n,nf,n->f", weight_N, scaled_NF, target_N) + ridge * prior
        line = np.linalg.solve(gram + np.diag(ridge), right)
        error_N = np.abs(np.einsum("nf,f->n", scaled_NF, line) - target_N)
        weight_N = 1.0 / np.maximum(error_N, CLOSE)
    return line


def _lowest(table: pa.Table) -> pa.Table:
    """The first MAX_CLIPS of each group, by hash; ties are broken by the seconds."""
    table = table.sort_by([(name, "ascending") for name in ("group", "order", "seconds")])
    kept, count, last = [], 0, None
    for row, group in enumerate(table.column("group").to_pylist()):
        count, last = (count + 1, last) if group == last else (1, group)
        if count <= MAX_CLIPS:
            kept.append(row)
    return table.take(pa.array(kept, pa.int64()))
