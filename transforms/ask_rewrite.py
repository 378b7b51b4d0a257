"""Rewrites each instruction in spoken style by a language model, checked and repaired."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import pyarrow as pa

from schemas.columns import error_field, field, reason
from schemas.conversation import CONVERSATION, Turn
from transforms.ask import (
    CALL,
    CALLS_SUFFIX,
    AskingStep,
    Dialogue,
    Estimate,
    Prompts,
    history,
    tokens_guess,
)
from transforms.backends.chat.protocol import ChatBackend, Reply
from transforms.environment import versions
from transforms.prompts.prompt import ANSWER_KEYS, Prompt
from transforms.replies.flaws import flaws_of_answer, flaws_of_reply
from transforms.replies.meaning import Kept, meaning_flaws
from transforms.replies.parse import Flaw, answer_in
from transforms.replies.polish import polish
from transforms.replies.similarity import Compare, Similarity
from transforms.spoken import SPOKEN, SpokenTurn
from transforms.step import Identity, Resources, TableName
from transforms.text import rules
from transforms.text.language import PerLang, for_lang, is_known
from transforms.text.rules import InputPolicy
from transforms.text.speakable import Limits, problems

NO_INPUT: Final = frozenset(
    ("", "noinput", "no input", "none", "n/a", "keine", "keine eingabe", "无", "无输入", "没有输入")
)
REPAIRS_GUESS: Final = 0.15
SOURCE_FACTOR, SOURCE_SLACK = 4, 2000  # of max_chars: what is longer is not asked for


@dataclass(frozen=True, kw_only=True)
class AskRewrite(AskingStep):
    """User turns become ``questions``; a turn that carries audio is left as it was said.

    Each turn is asked for alone, with the source's earlier turns as context. ``max_asks`` counts
    the first ask and its repairs. ``keep`` names what must survive; ``similarity`` looks at what
    nothing else finds fault with. Lengths in characters, by language.
    """

    chat: ChatBackend
    seed: int
    prompts: Prompts
    input_policy: InputPolicy
    max_input_chars: PerLang
    max_chars: PerLang
    max_asks: int
    keep: tuple[Kept, ...]
    similarity: Similarity | None = None

    name: ClassVar[str] = "rewrite"
    column: ClassVar[str] = "questions"
    version: ClassVar[int] = 1
    table: ClassVar[TableName] = "conversations"
    memo: ClassVar[bool] = True
    reads: ClassVar[pa.Schema] = pa.schema(
        [CONVERSATION.field(name) for name in ("id", "source", "lang", "turns")]
    )
    writes: ClassVar[pa.Schema] = pa.schema(
        [
            field("questions", SPOKEN, "user turns, spoken"),
            field("rewrite" + CALLS_SUFFIX, pa.list_(pa.field("item", CALL, nullable=False)), ""),
            error_field("rewrite"),
        ]
    )
    resources: Resources = Resources(batch_rows=1_000_000)

    def identity(self) -> Identity:
        similarity = {} if self.similarity is None else {"similarity": self.similarity.identity()}
        return {
            **similarity,
            "backend": "chat",
            "model": dict(self.chat.identity()),
            "seed": self.seed,
            "prompts": self.prompts.identity(),
            "input_policy": str(self.input_policy),
            "max_input_chars": dict(self.max_input_chars),
            "max_chars": dict(self.max_chars),
            "max_asks": self.max_asks,
            "keep": sorted(self.keep),
            "rules": rules.VERSION,
            **versions("num2words", "cn2an", "unicode"),
        }

    def open_comparing(self) -> AbstractContextManager[Compare | None]:
        return nullcontext() if self.similarity is None else self.similarity.open()

    async def turns(self, row: dict[str, Any], dialogue: Dialogue) -> list[SpokenTurn]:
        return [
            await self._spoken(row, turn, item, dialogue)
            for turn, item in enumerate(row["turns"])
            if item["role"] == "user"
        ]

    async def _spoken(
        self, row: dict[str, Any], turn: int, item: Turn, dialogue: Dialogue
    ) -> SpokenTurn:
        if item["audio"] is not None:
            return {"turn": turn, "spoken_text": item["text"], "reasons": []}
        prompt = self.prompts.get(row["source"], row["lang"])
        refusal = self._refused(row["lang"], item, prompt)
        if refusal is not None or prompt is None:
            code, detail = refusal or ("unknown_language", "no prompt")
            return {
                "turn": turn,
                "spoken_text": "",
                "reasons": [reason(self.name, code, detail, turn)],
            }
        values = self._values(row, turn)
        messages = prompt.messages(values)
        source = "\n".join((values["text"], values["input"]))

        def judge(reply: Reply) -> tuple[str, list[Flaw]]:
            text, flaws = self._judged(reply, row["lang"], messages[0][1], source, values["text"])
            if not flaws and dialogue.compare is not None:
                flaws = dialogue.compare(source.strip(), text, row["lang"])
            return text, flaws

        text, flaws = await dialogue.converse(turn, prompt, messages, judge, self.max_asks)
        reasons = [reason(self.name, code, detail, turn) for code, detail in flaws]
        return {"turn": turn, "spoken_text": text, "reasons": reasons}

    def _refused(self, lang: str, item: Turn, prompt: Prompt | None) -> Flaw | None:
        """Why a turn is not even asked for."""
        if prompt is None or not is_known(lang):
            return "unknown_language", f"no prompt and rules for '{lang[:20]}'"
        if not item["text"].strip():
            return "empty_instruction", "the instruction is empty"
        most = for_lang(self.max_chars, lang)
        if len(item["text"]) > SOURCE_FACTOR * most + SOURCE_SLACK:
            return "too_long", f"{len(item['text'])} characters before rewriting, at most {most}"
        if _has_input(item["input"]) and self.input_policy is InputPolicy.REJECT:
            return "input_not_allowed", "the row has an input, the policy is reject"
        longest = for_lang(self.max_input_chars, lang)
        if self.input_policy is InputPolicy.MERGE and len(item["input"]) > longest:
            return "input_too_long", f"{len(item['input'])} characters of input, at most {longest}"
        return None

    def _values(self, row: Mapping[str, Any], turn: int) -> dict[str, str]:
        item = row["turns"][turn]
        used = _has_input(item["input"]) and self.input_policy is InputPolicy.MERGE
        before = [(other["role"], other["text"]) for other in row["turns"][:turn]]
        return {
            "max_chars": str(for_lang(self.max_chars, row["lang"])),
            "text": item["text"].strip(),
            "input": item["input"].strip() if used else "",
            "history": history([(role, text) for role, text in before if role != "system"]),
        }

    def _judged(
        self, reply: Reply, lang: str, told: str, source: str, asked: str
    ) -> tuple[str, list[Flaw]]:
        if flaws := flaws_of_reply(reply["finish_reason"], reply["refusal"]):
            return "", flaws
        answer, flaws = answer_in(reply["text"], ANSWER_KEYS[self.name])
        if flaws:
            return "", flaws
        said = polish(answer, lang)
        found = flaws_of_answer(answer, lang, told=told, source=source)
        found += problems(said, lang, length_limits(for_lang(self.max_chars, lang)))
        if said:
            found += meaning_flaws(asked, said, lang, self.keep)
        return said, found

    def estimate(self, row: dict[str, Any]) -> Estimate:
        """A call per user turn without audio, and a guess of repairs."""
        total = Estimate()
        prompt = self.prompts.get(row["source"], row["lang"])
        for turn, item in enumerate(row["turns"]):
            if item["role"] == "user" and item["audio"] is None and prompt is not None:
                messages = prompt.messages(self._values(row, turn))
                read = sum(tokens_guess(content) for _, content in messages)
                written = 10 + 1.1 * tokens_guess(item["text"] + item["input"])
                total += Estimate(1, read, min(written, self.chat.sampling.max_tokens))
        return total * (1 + REPAIRS_GUESS)


def _has_input(text: str) -> bool:
    return text.strip().strip("<>. ").lower() not in NO_INPUT


def length_limits(max_chars: int) -> Limits:
    """Only the length; words and seconds are the check step's business."""
    return Limits(max_chars=max_chars, max_words=10**9, max_seconds=float("inf"))
