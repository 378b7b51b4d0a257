"""The one step that judges: gates on the pair, and the longest passing prefix of a dialogue."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from schemas.columns import REASON, Reason, field, reason, reasons_field
from schemas.conversation import CONVERSATION, Turn
from schemas.utterance import MEASURES, SPEECH, TAKEN, UNITS, UTTERANCE, VOICE
from transforms.step import Artifacts, BatchFn, Gather, Identity, Step, TableName

LOST = "its pair, or one before it, was dropped"
GATHER = Gather(
    reads=pa.schema(
        [
            *(UTTERANCE.field(name) for name in ("turn", "role", "lang", "text", "spoken_text")),
            *(VOICE.field(name) for name in ("voice", "speaker_id")),
            *(SPEECH.field(name) for name in ("sample_rate_hz", "num_samples", "flac_sha256")),
            *(SPEECH.field(name) for name in ("audio_provenance", "attempts")),
            *MEASURES,
            *(UNITS.field(name) for name in ("num_frames", "num_units")),
        ]
    )
)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Bounds, inclusive, on one measure; ``roles`` and ``langs`` are empty for all."""

    measure: str
    min: float | None = None
    max: float | None = None
    roles: tuple[str, ...] = ()
    langs: tuple[str, ...] = ()

    def judge(self, utterance: dict[str, Any]) -> str | None:
        """What is wrong, in words; None if it passes or the measure was not taken."""
        if self.roles and utterance["role"] not in self.roles:
            return None
        if self.langs and utterance["lang"] not in self.langs:
            return None
        for measure in utterance["measures"]:
            if measure["name"] == self.measure and measure["status"] == TAKEN:
                value = measure["value"]
                if self.min is not None and value < self.min:
                    return f"{value:.4g} is under {self.min:g}"
                if self.max is not None and value > self.max:
                    return f"{value:.4g} is over {self.max:g}"
        return None


@dataclass(frozen=True, kw_only=True)
class Select(Step):
    """Keeps the longest prefix of pairs whose utterances pass every gate.

    Fewer than ``min_pairs`` rejects the row, with every reason that applied. ``dropped`` lists the
    reasons of the turns that an accepted row lost, those of the text steps included.
    """

    gates: tuple[Gate, ...]
    min_pairs: int
    answers: bool = True  # False: a user turn is a pair by itself

    name: ClassVar[str] = "select"
    table: ClassVar[TableName] = "conversations"
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            CONVERSATION.field("turns"),
            field("turn_problems", pa.list_(pa.field("item", REASON, nullable=False)), ""),
            field(
                GATHER.column,
                pa.list_(pa.field("item", pa.struct(list(GATHER.reads)), nullable=False)),
                "the utterances of the conversation",
            ),
        ]
    )
    writes: ClassVar[pa.Schema] = pa.schema(
        [
            field("kept_turns", pa.list_(pa.int32()), "the turns that ship", unit="turns"),
            field(
                "dropped",
                pa.list_(pa.field("item", REASON, nullable=False)),
                "why an accepted row lost turns",
            ),
            reasons_field("select"),
        ]
    )

    def identity(self) -> Identity:
        return {
            "gates": [
                [gate.measure, gate.min, gate.max, sorted(gate.roles), sorted(gate.langs)]
                for gate in self.gates
            ],
            "min_pairs": self.min_pairs,
            **({} if self.answers else {"answers": False}),
        }

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        def select(batch: pa.RecordBatch) -> pa.RecordBatch:
            return pa.RecordBatch.from_pylist(
                [self._verdict(row) for row in batch.to_pylist()], schema=self.writes
            )

        yield select

    def _verdict(self, row: dict[str, Any]) -> dict[str, Any]:
        kept: list[int] = []
        reasons: list[Reason] = []
        utterances = row[GATHER.column]
        size = 2 if self.answers else 1
        for start in range(0, len(utterances), size):
            pair = utterances[start : start + size]
            found = [item for utterance in pair for item in self._judge(utterance)]
            if found:
                reasons = found
                break
            kept += [utterance["turn"] for utterance in pair]
        if len(kept) // size >= self.min_pairs:
            return {
                "kept_turns": kept,
                "dropped": self._dropped(row["turns"], kept, [*row["turn_problems"], *reasons]),
                "select_reasons": [],
            }
        return {
            "kept_turns": [],
            "dropped": [],
            "select_reasons": reasons
            or [reason(self.name, "too_few_pairs", f"{len(kept) // size} of {self.min_pairs}")],
        }

    def _dropped(self, turns: list[Turn], kept: list[int], reasons: list[Reason]) -> list[Reason]:
        """A reason for every turn that was to be spoken and does not ship."""
        spoken = ("user", "assistant") if self.answers else ("user",)
        said = {item["turn"] for item in reasons}
        lost = [
            turn
            for turn, item in enumerate(turns)
            if item["role"] in spoken and turn not in kept and turn not in said
        ]
        return [*reasons, *(reason(self.name, "pair_dropped", LOST, turn) for turn in lost)]

    def _judge(self, utterance: dict[str, Any]) -> list[Reason]:
        return [
            reason(self.name, gate.measure, problem, utterance["turn"])
            for gate in self.gates
            if (problem := gate.judge(utterance)) is not None
        ]
