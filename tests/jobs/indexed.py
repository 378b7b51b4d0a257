"""Index rows made for tests, without audio."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from jobs.report.columns import Flat
from schemas.index import INDEX
from schemas.utterance import TAKEN, UNAVAILABLE


def measured(measures: Mapping[str, float | None]) -> list[dict[str, Any]]:
    """Measures as the index holds them; None is unavailable."""
    return [
        {"name": name, "value": value, "status": UNAVAILABLE if value is None else TAKEN}
        for name, value in sorted(measures.items())
    ]


def indexed(
    key: str,
    *,
    measures: Mapping[str, float | None] | Sequence[Mapping[str, float | None]] = (),
    num_turns: int = 2,
    voice: str = "one",
    text: str = "Hello there",
    **row: Any,
) -> dict[str, Any]:
    """A row of the index; ``measures`` of every turn, or of each."""
    each = list(measures) if not isinstance(measures, Mapping) else [measures] * num_turns
    each += [{}] * (num_turns - len(each))
    turns = [
        {
            "turn": turn,
            "role": ("user", "assistant")[turn % 2],
            "text": text,
            "spoken_text": text,
            "voice": voice,
            "speaker_id": voice,
            "duration_s": 1.5,
            "num_frames": 0,
            "num_units": 0,
            "measures": measured(each[turn]),
            "augmentation": "",
        }
        for turn in range(num_turns)
    ]
    defaults = {
        "key": key,
        "shard": "train-000000.tar",
        "offset": 0,
        "length": 0,
        "crc32c": 0,
        "members": [],
        "split": "train",
        "lang": "en",
        "source": "made",
        "source_id": key,
        "license": "CC0-1.0",
        "duration_s": 1.5 * num_turns,
        "turns": turns,
        "num_dropped": 0,
        "lineage": "{}",
    }
    return {**defaults, **row}


def flat_of(rows: Sequence[Mapping[str, Any]]) -> Flat:
    """The rows as a batch of the index."""
    return Flat(pa.RecordBatch.from_pylist([dict(row) for row in rows], INDEX))
