"""Rewrites each instruction in spoken style (the embedded backend is a set of rules)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import pyarrow as pa

from schemas.columns import field, reason
from schemas.conversation import CONVERSATION, Turn
from transforms.environment import versions
from transforms.randomness import draw
from transforms.spoken import SPOKEN, SpokenTurn
from transforms.step import Artifacts, BatchFn, Identity, Resources, Step, TableName
from transforms.text import rules
from transforms.text.language import PerLang, for_lang, is_known


@dataclass(frozen=True, kw_only=True)
class Rewrite(Step):
    """User turns become ``questions``; a turn that carries audio is left as it was said.

    ``input_policy``: what becomes of a non-empty Alpaca ``input`` (see text/rules.py).
    ``filler_rate``: the share of instructions that get a filler. Lengths are in characters, per
    language.
    """

    seed: int
    input_policy: rules.InputPolicy
    max_input_chars: PerLang
    max_chars: PerLang
    filler_rate: float

    name: ClassVar[str] = "rewrite"
    version: ClassVar[int] = rules.VERSION
    table: ClassVar[TableName] = "conversations"
    memo: ClassVar[bool] = True
    reads: ClassVar[pa.Schema] = pa.schema(
        [CONVERSATION.field(name) for name in ("id", "lang", "turns")]
    )
    writes: ClassVar[pa.Schema] = pa.schema([field("questions", SPOKEN, "user turns, spoken")])
    resources: Resources = Resources(batch_rows=16)

    def identity(self) -> Identity:
        return {
            "backend": "rules",
            "seed": self.seed,
            "input_policy": str(self.input_policy),
            "max_input_chars": dict(self.max_input_chars),
            "max_chars": dict(self.max_chars),
            "filler_rate": self.filler_rate,
            **versions("num2words", "cn2an", "unicode"),
        }

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        def rewrite(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows = [
                [
                    self._spoken(row["id"], row["lang"], turn, item)
                    for turn, item in enumerate(row["turns"])
                    if item["role"] == "user"
                ]
                for row in batch.to_pylist()
            ]
            return pa.RecordBatch.from_arrays([pa.array(rows, SPOKEN)], schema=self.writes)

        yield rewrite

    def _spoken(self, key: str, lang: str, turn: int, item: Turn) -> SpokenTurn:
        if item["audio"] is not None:
            return {"turn": turn, "spoken_text": item["text"], "reasons": []}
        if not is_known(lang):
            reasons = [reason("rewrite", "unknown_language", f"no rules for '{lang[:20]}'", turn)]
            return {"turn": turn, "spoken_text": "", "reasons": reasons}
        result = rules.rewrite_instruction(
            item["text"],
            item["input"],
            lang,
            policy=self.input_policy,
            max_input_chars=for_lang(self.max_input_chars, lang),
            filler_rate=self.filler_rate,
            max_chars=for_lang(self.max_chars, lang),
            draw=partial(draw, self.seed, "rewrite", key, str(turn)),
        )
        reasons = [reason("rewrite", code, detail, turn) for code, detail in result.reasons]
        return {"turn": turn, "spoken_text": result.text, "reasons": reasons}
