"""Takes conversations that are already spoken: what each turn says, and what it lacks."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from schemas.columns import REASON, Reason, field, reason, reasons_field
from schemas.conversation import CONVERSATION
from transforms.check_speakable import speakable_prefix
from transforms.spoken import SPOKEN, SpokenTurn
from transforms.step import Artifacts, BatchFn, Identity, Step, TableName


@dataclass(frozen=True, kw_only=True)
class TakeHeard(Step):
    """Spoken texts are the record's, else the turns' own; nothing is rewritten.

    A turn without audio, or without text if ``need_texts``, ends the prefix of pairs that is
    kept; a row with fewer than ``min_pairs`` is rejected with the reasons.
    """

    min_pairs: int
    need_texts: bool

    name: ClassVar[str] = "take_heard"
    table: ClassVar[TableName] = "conversations"
    reads: ClassVar[pa.Schema] = pa.schema(
        [CONVERSATION.field("turns"), CONVERSATION.field("record")]
    )
    writes: ClassVar[pa.Schema] = pa.schema(
        [
            field("questions", SPOKEN, "user turns, as they are heard"),
            field("answers", SPOKEN, "assistant turns, as they are heard"),
            field(
                "turn_problems",
                pa.list_(pa.field("item", REASON, nullable=False)),
                "what single turns lack",
            ),
            reasons_field("take_heard"),
        ]
    )

    def identity(self) -> Identity:
        return {"min_pairs": self.min_pairs, "need_texts": self.need_texts}

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        def take(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows = [self._taken(row) for row in batch.to_pylist()]
            return pa.RecordBatch.from_pylist(rows, schema=self.writes)

        yield take

    def _taken(self, row: dict[str, Any]) -> dict[str, Any]:
        said = {}
        if row["record"] is not None:
            said = {t["turn"]: t["spoken_text"] for t in json.loads(row["record"])["turns"]}
        spoken: dict[str, list[SpokenTurn]] = {"user": [], "assistant": []}
        found: list[Reason] = []
        for turn, item in enumerate(row["turns"]):
            if item["role"] not in spoken:
                continue
            text = said.get(turn, item["text"])
            spoken[item["role"]].append({"turn": turn, "spoken_text": text, "reasons": []})
            if item["audio"] is None:
                found.append(reason(self.name, "no_audio", "the turn has no audio", turn))
            if self.need_texts and not text.strip():
                found.append(reason(self.name, "no_text", "nobody says what is heard", turn))
        roles = [item["role"] for item in row["turns"]]
        if roles and roles[-1] == "user":
            detail = "the last turn is the user's"
            found.append(reason(self.name, "no_response", detail, len(roles) - 1))
        kept = len(speakable_prefix(roles, {item["turn"] for item in found})) // 2
        few = [reason(self.name, "too_few_pairs", f"{kept} of {self.min_pairs} wanted")]
        return {
            "questions": spoken["user"],
            "answers": spoken["assistant"],
            "turn_problems": found,
            "take_heard_reasons": [] if kept >= self.min_pairs else found or few,
        }
