"""Compares what was heard with what was to be said, and puts all that listeners said together."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from schemas.utterance import (
    HEARD,
    NOT_SAMPLED,
    TAKEN,
    UNAVAILABLE,
    UTTERANCE,
    Measure,
    not_sampled,
    unavailable,
)
from transforms.environment import versions
from transforms.hearing import (
    FIRST_AND_JUDGED,
    SECOND_MEASURES,
    Rule,
    asr_measures,
    judged_measures,
)
from transforms.rate import OPINIONS
from transforms.step import Artifacts, BatchFn, Identity, Step, TableName
from transforms.text.heard import heard_words
from transforms.transcribe import TRANSCRIPTS


@dataclass(frozen=True, kw_only=True)
class Compare(Step):
    """Error rates of transcripts and opinions take their places in ``heard``.

    ``transcribed`` and ``rated`` say which of the steps before it there are. ``heard_text`` is what
    the first recognizer heard. transforms/hearing.py has the rules.
    """

    transcribed: bool
    rated: bool
    rule: Rule = "agree"
    agree_max: float = 0.3

    name: ClassVar[str] = "compare"
    version: ClassVar[int] = 2
    table: ClassVar[TableName] = "utterances"
    writes: ClassVar[pa.Schema] = HEARD
    replaces: ClassVar[frozenset[str]] = frozenset(HEARD.names)

    @property
    def reads(self) -> pa.Schema:
        """Of a pipeline that rates nothing, no opinions."""
        more = [*(TRANSCRIPTS if self.transcribed else ()), *(OPINIONS if self.rated else ())]
        return pa.schema(
            [*(UTTERANCE.field(name) for name in ("lang", "spoken_text")), *HEARD, *more]
        )

    def identity(self) -> Identity:
        return {
            "transcribed": self.transcribed,
            "rated": self.rated,
            "rule": self.rule,
            "agree_max": self.agree_max,
            **versions("jiwer", "rapidfuzz", "num2words", "cn2an", "opencc", "unicode"),
        }

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        def compare(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows = [self._row(row) for row in batch.to_pylist()]
            return pa.RecordBatch.from_pylist(rows, schema=self.writes)

        yield compare

    def _row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        new: list[Measure] = list(row["opinions"]) if self.rated else []
        transcripts = row["transcripts"] if self.transcribed else []
        if transcripts:
            new += self._recognized(row, transcripts)
        names = {item["name"] for item in new}
        kept = [item for item in row["heard"] if item["name"] not in names]
        return {
            "heard": sorted([*kept, *new], key=lambda item: item["name"]),
            "heard_text": transcripts[0]["text"] if transcripts else row["heard_text"],
        }

    def _recognized(
        self, row: Mapping[str, Any], transcripts: list[dict[str, Any]]
    ) -> list[Measure]:
        """The first recognizer's rates, and what both say together where both were asked."""
        lang = row["lang"]
        words = [
            heard_words(item["text"], lang) if item["status"] == TAKEN else None
            for item in transcripts
        ]
        first, second = words[0], words[1] if len(words) > 1 else None
        if first is None:
            return _untaken([item["status"] for item in transcripts])
        said = heard_words(row["spoken_text"], lang)
        found = [*asr_measures(said, first)]
        found += judged_measures(said, first, second, self.rule, self.agree_max)
        return found


def _untaken(statuses: list[str]) -> list[Measure]:
    """Why nothing was taken: of a second recognizer its own reason, without one unavailable."""
    second = statuses[1] if len(statuses) > 1 else UNAVAILABLE
    return [
        (not_sampled if why == NOT_SAMPLED else unavailable)(name)
        for why, names in ((statuses[0], FIRST_AND_JUDGED), (second, SECOND_MEASURES))
        for name in names
    ]
