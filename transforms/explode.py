"""Explodes conversations into utterances: one row per turn that is to be heard."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from schemas.columns import REASON, field
from schemas.conversation import CONVERSATION
from schemas.utterance import UTTERANCE
from transforms.check_speakable import speakable_prefix
from transforms.spoken import SPOKEN
from transforms.step import BatchFn, Explode, Identity


@dataclass(frozen=True, kw_only=True)
class ExplodeTurns(Explode):
    """The turns of the longest speakable prefix of pairs become utterances, in order.

    Without ``answers``: the user turns of it.
    """

    answers: bool = True

    name: ClassVar[str] = "explode"
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            CONVERSATION.field("id"),
            CONVERSATION.field("lang"),
            CONVERSATION.field("turns"),
            field("split", pa.string(), "train or eval"),
            field("questions", SPOKEN, "user turns, spoken"),
            field("answers", SPOKEN, "assistant turns, spoken"),
            field("turn_problems", pa.list_(pa.field("item", REASON, nullable=False)), ""),
        ]
    )
    writes: ClassVar[pa.Schema] = UTTERANCE

    def identity(self) -> Identity:
        return {} if self.answers else {"answers": False}

    @contextmanager
    def open(self) -> Iterator[BatchFn]:
        yield lambda batch: explode(batch, self.answers)


def explode(batch: pa.RecordBatch, answers: bool = True) -> pa.RecordBatch:
    """Conversations [N] to utterances [M]; conversations without a speakable pair give none."""
    rows = [item for row in batch.to_pylist() for item in _utterances(row, answers)]
    return pa.RecordBatch.from_pylist(rows, schema=UTTERANCE)


def _utterances(row: dict[str, Any], answers: bool) -> Iterator[dict[str, object]]:
    spoken = {item["turn"]: item["spoken_text"] for item in [*row["questions"], *row["answers"]]}
    bad = {item["turn"] for item in row["turn_problems"]}
    for turn in speakable_prefix([item["role"] for item in row["turns"]], bad, answers):
        source = row["turns"][turn]
        audio = source["audio"]
        yield {
            "id": row["id"],
            "turn": turn,
            "role": source["role"],
            "lang": row["lang"],
            "split": row["split"],
            "text": source["text"],
            "spoken_text": spoken[turn],
            "audio": audio,
            "audio_sha256": "" if audio is None else hashlib.sha256(audio).hexdigest(),
            "provenance": source["provenance"],
        }
