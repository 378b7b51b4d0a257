"""Explodes spoken conversations into utterances, with the voice and measures of their record."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from schemas.columns import field
from schemas.conversation import CONVERSATION
from schemas.utterance import HEARD, MEASURES, UTTERANCE, VOICE, taken
from transforms.explode import ExplodeTurns, explode
from transforms.step import Artifacts, BatchFn, Explode, Step, TableName

RECORDED = field("recorded_measures", MEASURES.field(0).type, "the measures of its record")


@dataclass(frozen=True, kw_only=True)
class ExplodeHeard(Explode):
    """The turns of the longest prefix of whole pairs become utterances, in order."""

    name: ClassVar[str] = "explode"
    reads: ClassVar[pa.Schema] = pa.schema([*ExplodeTurns.reads, CONVERSATION.field("record")])
    writes: ClassVar[pa.Schema] = pa.schema([*UTTERANCE, *VOICE, RECORDED])

    @contextmanager
    def open(self) -> Iterator[BatchFn]:
        yield self._explode

    def _explode(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        records = {
            key: {} if text is None else {turn["turn"]: turn for turn in json.loads(text)["turns"]}
            for key, text in zip(
                batch.column("id").to_pylist(), batch.column("record").to_pylist(), strict=True
            )
        }
        table = explode(batch.select(ExplodeTurns.reads.names))
        pairs = zip(table.column("id").to_pylist(), table.column("turn").to_pylist(), strict=True)
        said = [_recorded(records[key].get(turn, {})) for key, turn in pairs]
        more = pa.schema([*VOICE, RECORDED])
        columns = pa.RecordBatch.from_pylist(said, schema=more).columns
        return pa.RecordBatch.from_arrays([*table.columns, *columns], schema=self.writes)


def _recorded(turn: dict[str, Any]) -> dict[str, Any]:
    """Voice and measures of a turn of KEY.json; empty for audio that no corpus has known."""
    measures = [taken(name, value) for name, value in turn.get("measures", {}).items()]
    for name, status in turn.get("measures_not_taken", {}).items():
        measures.append({"name": name, "value": None, "status": status})
    return {
        "voice": turn.get("voice", ""),
        "speaker_id": turn.get("speaker_id", ""),
        "voice_digest": "",
        RECORDED.name: sorted(measures, key=lambda item: item["name"]),
    }


@dataclass(frozen=True, kw_only=True)
class KeepMeasures(Step):
    """The measures of the record, where the audio is the same and nothing is measured anew."""

    name: ClassVar[str] = "measure"
    table: ClassVar[TableName] = "utterances"
    reads: ClassVar[pa.Schema] = pa.schema([RECORDED])
    writes: ClassVar[pa.Schema] = pa.schema([*MEASURES, HEARD.field("heard_text")])

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        def keep(batch: pa.RecordBatch) -> pa.RecordBatch:
            unheard = pa.array([""] * batch.num_rows, pa.string())  # the record says what was heard
            return pa.RecordBatch.from_arrays([*batch.columns, unheard], schema=self.writes)

        yield keep
