"""The one step that judges: gates on the pair, and the longest passing prefix of a dialogue."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from schemas.columns import REASON, Reason, field, reason, reasons_field
from schemas.conversation import CONVERSATION, Turn
from schemas.utterance import MEASURES, SPEECH, UNITS, UTTERANCE, VOICE
from transforms.gate import Gate
from transforms.norms import FitNorms, Norms, wanted_norms
from transforms.step import Artifacts, BatchFn, Gather, Identity, Step, TableName

__all__ = ["GATHER", "GATHERED", "Gate", "Select", "SelectTypical", "norms_for", "selecting"]

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


GATHERED = field(
    GATHER.column,
    pa.list_(pa.field("item", pa.struct(list(GATHER.reads)), nullable=False)),
    "the utterances of the conversation",
)


@dataclass(frozen=True, kw_only=True)
class Select(Step):
    """Keeps the longest prefix of pairs whose utterances pass every gate.

    Fewer than ``min_pairs`` rejects the row, with every reason that applied to any of its pairs.
    ``dropped`` lists the reasons of the turns that an accepted row lost, those of the text steps
    included.
    """

    gates: tuple[Gate, ...]
    min_pairs: int
    answers: bool = True  # False: a user turn is a pair by itself

    name: ClassVar[str] = "select"
    version: ClassVar[int] = 2
    table: ClassVar[TableName] = "conversations"
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            CONVERSATION.field("turns"),
            field("turn_problems", pa.list_(pa.field("item", REASON, nullable=False)), ""),
            GATHERED,
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
            "gates": [gate.identity() for gate in self.gates],
            "min_pairs": self.min_pairs,
            **({} if self.answers else {"answers": False}),
        }

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        norms = Norms(artifacts[FitNorms.name]) if FitNorms.name in artifacts else None

        def select(batch: pa.RecordBatch) -> pa.RecordBatch:
            return pa.RecordBatch.from_pylist(
                [self._verdict(row, norms) for row in batch.to_pylist()], schema=self.writes
            )

        yield select

    def _verdict(self, row: dict[str, Any], norms: Norms | None) -> dict[str, Any]:
        kept: list[int] = []
        reasons: list[Reason] = []
        utterances = row[GATHER.column]
        size = 2 if self.answers else 1
        for start in range(0, len(utterances), size):
            pair = utterances[start : start + size]
            found = [item for utterance in pair for item in self._judge(utterance, norms)]
            if not found and not reasons:
                kept += [utterance["turn"] for utterance in pair]
            reasons += found
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

    def _judge(self, utterance: dict[str, Any], norms: Norms | None) -> list[Reason]:
        return [
            reason(self.name, gate.measure, problem, utterance["turn"])
            for gate in self.gates
            if (problem := gate.judge(utterance, norms)) is not None
        ]


class SelectTypical(Select):
    """Select with gates that know what is usual: those with ``outlier_mad``."""

    uses: ClassVar[tuple[str, ...]] = (FitNorms.name,)


def selecting(gates: tuple[Gate, ...], min_pairs: int, *, answers: bool = True) -> Select:
    """The step for some gates, which may need the artifact ``norms``."""
    kind = SelectTypical if any(gate.outlier_mad is not None for gate in gates) else Select
    return kind(gates=gates, min_pairs=min_pairs, answers=answers)


def norms_for(gates: tuple[Gate, ...], seed: int) -> tuple[FitNorms, ...]:
    """The fit step that some gates need: one or none."""
    wanted = wanted_norms(
        (gate.measure, gate.per) for gate in gates if gate.outlier_mad is not None
    )
    return (FitNorms(seed=seed, wanted=wanted),) if wanted else ()
