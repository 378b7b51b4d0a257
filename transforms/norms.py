"""Fits what is usual for each voice or language, so that a gate can tell an outlier.

The values of a group are sampled (bottom-k by hash, the same however the corpus is cut) and their
median and median absolute deviation are kept: half of the values may be wrong without moving them
far. Rows of the train split count; a voice that has too few of them counts all of its own.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.canonical import canonical_json
from schemas.utterance import MEASURES, UTTERANCE, VOICE, value_of
from transforms.environment import versions
from transforms.split import TRAIN
from transforms.step import Fit, Identity, TableName

Per = Literal["voice", "lang"]
MAX_VALUES: Final = 2000  # of a group
MIN_VALUES: Final = 12  # fewer cannot tell an outlier
NORMAL: Final = 1.4826  # a normal distribution's standard deviation over its MAD
LEAST: Final = 0.01  # of the median: a group of equal values has no MAD, and makes no outliers
VALUE = pa.schema(
    [
        pa.field("group", pa.string(), nullable=False),
        pa.field("train", pa.bool_(), nullable=False),
        pa.field("order", pa.string(), nullable=False),  # hash of (seed, id, turn)
        pa.field("value", pa.float64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Norm:
    """What is usual: the median, and a deviation that is a standard one where values are normal."""

    median: float
    deviation: float


@dataclass(frozen=True, kw_only=True)
class FitNorms(Fit):
    """The artifact ``norms``: JSON, group to [median, deviation, count]; see ``group_of``."""

    seed: int
    wanted: tuple[tuple[str, Per], ...]  # (measure, per), sorted

    name: ClassVar[str] = "norms"
    version: ClassVar[int] = 1
    table: ClassVar[TableName] = "utterances"
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            *(UTTERANCE.field(name) for name in ("id", "turn", "lang", "split")),
            VOICE.field("voice"),
            *MEASURES,
        ]
    )

    def identity(self) -> Identity:
        return {
            "seed": self.seed,
            "wanted": [list(item) for item in self.wanted],
            **versions("numpy", "cpu"),
        }

    def partial(self, batch: pa.RecordBatch, num_partitions: int) -> pa.Table:
        found = []
        for row in batch.to_pylist():
            label = f"{self.seed}/{row['id']}/{row['turn']}"
            order = hashlib.sha256(label.encode()).hexdigest()[:24]
            for measure, per in self.wanted:
                value = value_of(row["measures"], measure)
                if value is not None:
                    group = group_of(measure, per, row["lang"], row["voice"])
                    train = row["split"] == TRAIN
                    found.append({"group": group, "train": train, "order": order, "value": value})
        return _lowest(pa.Table.from_pylist(found, schema=VALUE))

    def merge(self, parts: list[pa.Table]) -> pa.Table:
        return _lowest(pa.concat_tables(parts)) if parts else VALUE.empty_table()

    def finalize(self, merged: pa.Table) -> bytes:
        norms: dict[str, list[float]] = {}
        for group in sorted(set(merged.column("group").to_pylist())):
            rows = merged.filter(pc.equal(merged.column("group"), group))
            train = rows.filter(rows.column("train"))
            chosen = train if train.num_rows >= MIN_VALUES else rows
            if chosen.num_rows >= MIN_VALUES:
                values = np.sort(chosen.column("value").to_numpy())
                median = float(np.median(values))
                mad = float(np.median(np.abs(values - median)))
                deviation = max(NORMAL * mad, LEAST * abs(median), 1e-9)
                norms[group] = [round(median, 9), round(deviation, 9), len(values)]
        return canonical_json({"norms": norms})


class Norms:
    """The fitted artifact."""

    def __init__(self, artifact: bytes) -> None:
        self._norms: dict[str, list[float]] = json.loads(artifact)["norms"]

    def of(self, measure: str, per: Per, utterance: dict[str, Any]) -> Norm | None:
        """What is usual for an utterance's voice or language; None where too few were heard."""
        group = group_of(measure, per, utterance["lang"], utterance["voice"])
        found = self._norms.get(group)
        return None if found is None else Norm(found[0], found[1])


def group_of(measure: str, per: Per, lang: str, voice: str) -> str:
    """The group's key. Audio of the source has no voice, so it is compared within its language."""
    return f"{measure}/{lang}/{voice}" if per == "voice" and voice else f"{measure}/{lang}"


def wanted_norms(pairs: Iterable[tuple[str, Per]]) -> tuple[tuple[str, Per], ...]:
    """What gates want, once each and in order."""
    return tuple(sorted(set(pairs)))


def _lowest(table: pa.Table) -> pa.Table:
    """The first MAX_VALUES of each group and split, by hash; ties are broken by the value."""
    names = ("group", "train", "order", "value")
    table = table.sort_by([(name, "ascending") for name in names])
    kept, count, last = [], 0, None
    keys = zip(table.column("group").to_pylist(), table.column("train").to_pylist(), strict=True)
    for row, key in enumerate(keys):
        count, last = (count + 1, last) if key == last else (1, key)
        if count <= MAX_VALUES:
            kept.append(row)
    return table.take(pa.array(kept, pa.int64()))
