"""Writes down what recognizers hear in some of the utterances. It compares nothing.

What is heard is kept apart from how it is compared with the text, so that another comparison costs
no recognition.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import pyarrow as pa

from schemas.columns import field
from schemas.utterance import NOT_SAMPLED, SPEECH, TAKEN, UNAVAILABLE, UTTERANCE, VOICE
from transforms.audio import decode_flac
from transforms.backends.listening import Clip, OpenRecognizer, Recognizer, Transcript
from transforms.environment import versions
from transforms.listen import at_16khz
from transforms.randomness import draw
from transforms.step import (
    Artifacts,
    BatchFn,
    Identity,
    Resources,
    Step,
    TableName,
)
from transforms.text.language import base_code, is_known

TRANSCRIPT: Final = pa.struct(
    [
        field("status", pa.string(), "taken, not_sampled or unavailable"),
        field("text", pa.string(), "what was heard, as the recognizer writes it"),
    ]
)
TRANSCRIPTS: Final = pa.schema(
    [
        field(
            "transcripts",
            pa.list_(pa.field("item", TRANSCRIPT, nullable=False)),
            "one per recognizer, in order",
        )
    ]
)
Results = list[list[Transcript]]  # of each row, by each recognizer


@dataclass(frozen=True, kw_only=True)
class Transcribe(Step):
    """``fraction`` of the utterances, by a hash of (seed, id, turn), go to every recognizer.

    A language that a recognizer does not know is unavailable, and so are the voices of
    ``unrecognizable``.
    """

    seed: int
    fraction: float
    recognizers: tuple[Recognizer, ...]
    unrecognizable: frozenset[str] = frozenset()

    name: ClassVar[str] = "transcribe"
    version: ClassVar[int] = 1
    table: ClassVar[TableName] = "utterances"
    memo: ClassVar[bool] = True
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            *(UTTERANCE.field(name) for name in ("id", "turn", "lang")),
            VOICE.field("voice"),
            *(SPEECH.field(name) for name in ("flac", "flac_sha256")),
        ]
    )
    writes: ClassVar[pa.Schema] = TRANSCRIPTS
    resources: Resources = Resources(batch_rows=1)

    @property
    def first_counts(self) -> bool:
        """Where a server or a GPU hears."""
        return not all(item.bit_stable for item in self.recognizers)

    def identity(self) -> Identity:
        return {
            "seed": self.seed,
            "fraction": self.fraction,
            "unrecognizable": sorted(self.unrecognizable),
            "recognizers": [dict(item.identity()) for item in self.recognizers],
            **versions("soundfile", "soxr", "numpy"),
        }

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        with ExitStack() as stack:
            ears = [stack.enter_context(item.open()) for item in self.recognizers]

            def transcribe(batch: pa.RecordBatch) -> pa.RecordBatch:
                rows = batch.to_pylist()
                heard = self.heard(rows, ears)
                made = [self.columns(row, found) for row, found in zip(rows, heard, strict=True)]
                return pa.RecordBatch.from_pylist(made, schema=self.writes)

            yield transcribe

    def heard(self, rows: list[dict[str, Any]], ears: Sequence[OpenRecognizer]) -> Results:
        """What each recognizer hears in each row that it is asked for; empty for the others."""
        found: Results = [[Transcript() for _ in ears] for _ in rows]
        clips: dict[int, Clip] = {}
        for number, (recognizer, opened) in enumerate(zip(self.recognizers, ears, strict=True)):
            asked = [
                place for place, row in enumerate(rows) if self._status(row, recognizer) == TAKEN
            ]
            for place in asked:
                if place not in clips:
                    clips[place] = _clip(rows[place])
            told = opened.transcribe([clips[place] for place in asked]) if asked else []
            for place, transcript in zip(asked, told, strict=True):
                found[place][number] = transcript
        return found

    def clips(self, batch: pa.RecordBatch, recognizer: Recognizer) -> Iterator[Clip]:
        """What a recognizer is to hear, one by one, so that few are in memory."""
        told = batch.select(["id", "turn", "lang", "voice"]).to_pylist()
        for place, row in enumerate(told):
            if self._status(row, recognizer) == TAKEN:
                yield _clip(batch.slice(place, 1).to_pylist()[0])

    def columns(self, row: Mapping[str, Any], found: list[Transcript]) -> dict[str, Any]:
        """The columns of one row."""
        return {
            "transcripts": [
                {"status": self._status(row, recognizer), "text": item.text}
                for recognizer, item in zip(self.recognizers, found, strict=True)
            ]
        }

    def _status(self, row: Mapping[str, Any], recognizer: Recognizer) -> str:
        known = base_code(row["lang"]) in recognizer.langs and is_known(row["lang"])
        if not known or row["voice"] in self.unrecognizable:
            return UNAVAILABLE
        drawn = draw(self.seed, "asr", row["id"], str(row["turn"]))
        return TAKEN if drawn < self.fraction else NOT_SAMPLED


def _clip(row: Mapping[str, Any]) -> Clip:
    samples = at_16khz(*decode_flac(row["flac"]))
    return Clip(samples, base_code(row["lang"]), row["flac"], row["flac_sha256"])
