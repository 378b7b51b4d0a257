"""Checks that what is to be said can be said, before anything expensive runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import takewhile
from typing import ClassVar

import pyarrow as pa

from schemas.columns import REASON, Reason, field, reason, reasons_field
from schemas.conversation import CONVERSATION, Turn
from transforms.spoken import SPOKEN, SpokenTurn
from transforms.step import Artifacts, BatchFn, Identity, Step, TableName
from transforms.text.speakable import Limits, problems


@dataclass(frozen=True, kw_only=True)
class CheckSpeakable(Step):
    """Collects the reasons of every turn, and rejects a row with too few speakable pairs.

    A pair is a user turn and the answer that follows it. The longest speakable prefix of pairs
    must hold at least ``min_pairs``. ``langs`` are the languages that the voice bank can say.
    """

    limits: Limits
    min_pairs: int
    langs: tuple[str, ...]
    answers: bool = True  # False: a user turn stands alone

    name: ClassVar[str] = "check_speakable"
    table: ClassVar[TableName] = "conversations"
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            CONVERSATION.field("lang"),
            CONVERSATION.field("turns"),
            field("questions", SPOKEN, "user turns, spoken"),
            field("answers", SPOKEN, "assistant turns, spoken"),
        ]
    )
    writes: ClassVar[pa.Schema] = pa.schema(
        [
            field(
                "turn_problems",
                pa.list_(pa.field("item", REASON, nullable=False)),
                "why single turns cannot be said",
            ),
            reasons_field("check_speakable"),
        ]
    )

    def identity(self) -> Identity:
        return {
            "limits": asdict(self.limits),
            "min_pairs": self.min_pairs,
            "langs": sorted(self.langs),
            **({} if self.answers else {"answers": False}),
        }

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        def check(batch: pa.RecordBatch) -> pa.RecordBatch:
            found = [
                self._turn_problems(row["lang"], row["turns"], [*row["questions"], *row["answers"]])
                for row in batch.to_pylist()
            ]
            rejected = []
            for turns, reasons in zip(batch.column("turns").to_pylist(), found, strict=True):
                bad = {item["turn"] for item in reasons}
                prefix = speakable_prefix([turn["role"] for turn in turns], bad, self.answers)
                kept = len(prefix) // (2 if self.answers else 1)
                rejected.append(
                    []
                    if kept >= self.min_pairs
                    else reasons
                    or [reason(self.name, "too_few_pairs", f"{kept} of {self.min_pairs} wanted")]
                )
            columns = [
                pa.array(found, self.writes.field(0).type),
                pa.array(rejected, self.writes.field(1).type),
            ]
            return pa.RecordBatch.from_arrays(columns, schema=self.writes)

        yield check

    def _turn_problems(
        self, lang: str, turns: list[Turn], spoken: list[SpokenTurn]
    ) -> list[Reason]:
        if lang not in self.langs:
            return [
                reason(self.name, "no_voice", f"no voice of the bank speaks '{lang[:20]}'", turn)
                for turn in range(len(turns))
            ]
        found: list[Reason] = []
        for item in sorted(spoken, key=lambda item: item["turn"]):
            found += item["reasons"]
            if not item["reasons"] and turns[item["turn"]]["audio"] is None:
                found += [
                    reason(self.name, code, detail, item["turn"])
                    for code, detail in problems(item["spoken_text"], lang, self.limits)
                ]
        if self.answers and turns and turns[-1]["role"] == "user":
            found.append(
                reason(self.name, "no_response", "the last turn is the user's", len(turns) - 1)
            )
        return found


def speakable_prefix(roles: list[str], bad: set[int], answers: bool = True) -> list[int]:
    """The turns of the longest prefix of (user, assistant) pairs with no bad turn, in order.

    Without ``answers`` a user turn is a pair by itself.
    """
    if not answers:
        asking = [turn for turn, role in enumerate(roles) if role == "user"]
        return list(takewhile(lambda turn: turn not in bad, asking))
    spoken = [turn for turn, role in enumerate(roles) if role in ("user", "assistant")]
    prefix: list[int] = []
    for asked, told in zip(spoken[::2], spoken[1::2], strict=False):
        if asked in bad or told in bad:
            break
        prefix += [asked, told]
    return prefix
