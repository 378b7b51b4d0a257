"""Makes each reference answer speech-friendly (the embedded backend is a set of rules)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from schemas.columns import field, reason
from schemas.conversation import CONVERSATION, Turn
from transforms.environment import versions
from transforms.spoken import SPOKEN, SpokenTurn
from transforms.step import Artifacts, BatchFn, Identity, Resources, Step, TableName
from transforms.text import rules
from transforms.text.language import PerLang, for_lang, is_known


@dataclass(frozen=True, kw_only=True)
class Respond(Step):
    """Assistant turns become ``answers`` of at most ``max_chars`` characters (text/shorten.py).

    The rules answer nothing themselves: a turn without a reference answer is rejected as
    no_response.
    """

    max_chars: PerLang

    name: ClassVar[str] = "respond"
    version: ClassVar[int] = rules.VERSION
    table: ClassVar[TableName] = "conversations"
    memo: ClassVar[bool] = True
    reads: ClassVar[pa.Schema] = pa.schema([CONVERSATION.field(name) for name in ("lang", "turns")])
    writes: ClassVar[pa.Schema] = pa.schema([field("answers", SPOKEN, "assistant turns, spoken")])
    resources: Resources = Resources(batch_rows=16)

    def identity(self) -> Identity:
        return {
            "backend": "rules",
            "max_chars": dict(self.max_chars),
            **versions("num2words", "cn2an", "unicode"),
        }

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        def respond(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows = [
                [
                    self._spoken(row["lang"], turn, item, _asked(row["turns"][:turn]))
                    for turn, item in enumerate(row["turns"])
                    if item["role"] == "assistant"
                ]
                for row in batch.to_pylist()
            ]
            return pa.RecordBatch.from_arrays([pa.array(rows, SPOKEN)], schema=self.writes)

        yield respond

    def _spoken(self, lang: str, turn: int, item: Turn, asked: str) -> SpokenTurn:
        if item["audio"] is not None:
            return {"turn": turn, "spoken_text": item["text"], "reasons": []}
        if not is_known(lang):
            reasons = [reason("respond", "unknown_language", f"no rules for '{lang[:20]}'", turn)]
            return {"turn": turn, "spoken_text": "", "reasons": reasons}
        result = rules.shorten_response(
            item["text"], lang, max_chars=for_lang(self.max_chars, lang), asked=asked
        )
        reasons = [reason("respond", code, detail, turn) for code, detail in result.reasons]
        return {"turn": turn, "spoken_text": result.text, "reasons": reasons}


def _asked(before: list[Turn]) -> str:
    """What the answer answers: the last user turn before it."""
    return next((item["text"] for item in reversed(before) if item["role"] == "user"), "")
