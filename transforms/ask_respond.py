"""Answers each spoken question by a language model, as speech: checked and repaired."""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import pyarrow as pa

from schemas.columns import error_field, field, reason
from schemas.conversation import CONVERSATION
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
from transforms.ask_rewrite import REPAIRS_GUESS, length_limits
from transforms.backends.chat.protocol import ChatBackend, Reply
from transforms.environment import versions
from transforms.prompts.prompt import ANSWER_KEYS
from transforms.replies.flaws import flaws_of_answer, flaws_of_reply, repeats
from transforms.replies.parse import Flaw, answer_in
from transforms.replies.polish import polish
from transforms.spoken import SPOKEN, SpokenTurn
from transforms.step import Identity, Resources, TableName
from transforms.text import rules
from transforms.text.language import PerLang, for_lang, is_known
from transforms.text.speakable import problems

REFERENCE_CHARS: Final = 4000  # of a reference answer that is shown to the model


@dataclass(frozen=True, kw_only=True)
class AskRespond(AskingStep):
    """Assistant turns become ``answers`` of at most ``max_chars`` characters, by language.

    A turn answers the spoken questions and answers before it, so a dialogue's turns are asked for
    one after the other, and end at the first that cannot be used. ``use_reference`` shows the
    model the source's own answer.
    """

    chat: ChatBackend
    seed: int
    prompts: Prompts
    max_chars: PerLang
    max_asks: int
    use_reference: bool

    name: ClassVar[str] = "respond"
    column: ClassVar[str] = "answers"
    version: ClassVar[int] = 1
    table: ClassVar[TableName] = "conversations"
    memo: ClassVar[bool] = True
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            *(CONVERSATION.field(name) for name in ("id", "source", "lang", "turns")),
            field("questions", SPOKEN, "user turns, spoken"),
        ]
    )
    writes: ClassVar[pa.Schema] = pa.schema(
        [
            field("answers", SPOKEN, "assistant turns, spoken"),
            field("respond" + CALLS_SUFFIX, pa.list_(pa.field("item", CALL, nullable=False)), ""),
            error_field("respond"),
        ]
    )
    resources: Resources = Resources(batch_rows=1_000_000)

    def identity(self) -> Identity:
        return {
            "backend": "chat",
            "model": dict(self.chat.identity()),
            "seed": self.seed,
            "prompts": self.prompts.identity(),
            "max_chars": dict(self.max_chars),
            "max_asks": self.max_asks,
            "use_reference": self.use_reference,
            "rules": rules.VERSION,
            **versions("num2words", "cn2an", "unicode"),
        }

    async def turns(self, row: dict[str, Any], dialogue: Dialogue) -> list[SpokenTurn]:
        questions = {item["turn"]: item for item in row["questions"]}
        said: list[tuple[str, str]] = []
        made: list[SpokenTurn] = []
        stopped = ""
        for turn, item in enumerate(row["turns"]):
            if item["role"] == "user":
                question = questions[turn]
                stopped = stopped or ("the question before it" if question["reasons"] else "")
                said.append(("user", question["spoken_text"]))
            elif item["role"] == "assistant":
                answer = await self._spoken(row, turn, said, stopped, dialogue)
                stopped = stopped or ("the answer before it" if answer["reasons"] else "")
                said.append(("assistant", answer["spoken_text"]))
                made.append(answer)
        return made

    async def _spoken(
        self,
        row: dict[str, Any],
        turn: int,
        said: list[tuple[str, str]],
        stopped: str,
        dialogue: Dialogue,
    ) -> SpokenTurn:
        item, lang = row["turns"][turn], row["lang"]
        prompt = self.prompts.get(row["source"], lang)
        refusal: Flaw | None = None
        if item["audio"] is not None:
            return {"turn": turn, "spoken_text": item["text"], "reasons": []}
        if stopped:
            refusal = ("not_asked", f"{stopped} cannot be used")
        elif prompt is None or not is_known(lang):
            refusal = ("unknown_language", f"no prompt and rules for '{lang[:20]}'")
        elif not said or said[-1][0] != "user" or not said[-1][1].strip():
            refusal = ("no_question", "no question stands before it")
        if refusal is not None or prompt is None:
            code, detail = refusal or ("unknown_language", "")
            reasons = [reason(self.name, code, detail, turn)]
            return {"turn": turn, "spoken_text": "", "reasons": reasons}
        values = self._values(row, turn, said)
        messages = prompt.messages(values)
        source = "\n".join((*(text for _, text in said), item["text"], values["system"]))

        def judge(reply: Reply) -> tuple[str, list[Flaw]]:
            return self._judged(reply, lang, messages[0][1], source, values["question"])

        text, flaws = await dialogue.converse(turn, prompt, messages, judge, self.max_asks)
        reasons = [reason(self.name, code, detail, turn) for code, detail in flaws]
        return {"turn": turn, "spoken_text": text, "reasons": reasons}

    def _values(
        self, row: dict[str, Any], turn: int, said: list[tuple[str, str]]
    ) -> dict[str, str]:
        item = row["turns"][turn]
        system = [other["text"] for other in row["turns"] if other["role"] == "system"]
        return {
            "max_chars": str(for_lang(self.max_chars, row["lang"])),
            "question": said[-1][1],
            "history": history(said[:-1]),
            "system": " ".join(" ".join(system).split()),
            "reference": item["text"][:REFERENCE_CHARS] if self.use_reference else "",
        }

    def _judged(
        self, reply: Reply, lang: str, told: str, source: str, question: str
    ) -> tuple[str, list[Flaw]]:
        if flaws := flaws_of_reply(reply["finish_reason"], reply["refusal"]):
            return "", flaws
        answer, flaws = answer_in(reply["text"], ANSWER_KEYS[self.name])
        if flaws:
            return "", flaws
        said = polish(answer, lang)
        found = flaws_of_answer(answer, lang, told=told, source=source)
        if repeats(answer, question):
            found.append(("repeats", "it begins with the whole question"))
        found += problems(said, lang, length_limits(for_lang(self.max_chars, lang)))
        return said, found

    def estimate(self, row: dict[str, Any]) -> Estimate:
        """A call per assistant turn without audio, and a guess of repairs."""
        total, said = Estimate(), list[tuple[str, str]]()
        prompt = self.prompts.get(row["source"], row["lang"])
        most = for_lang(self.max_chars, row["lang"])
        for turn, item in enumerate(row["turns"]):
            if item["role"] == "assistant" and item["audio"] is None and prompt and said:
                messages = prompt.messages(self._values(row, turn, said))
                read = sum(tokens_guess(content) for _, content in messages)
                written = 10 + tokens_guess("字" if row["lang"] == "zh" else "a") * 0.7 * most
                total += Estimate(1, read, min(written, self.chat.sampling.max_tokens))
            if item["role"] != "system":
                said.append((item["role"], item["text"][:most]))
        return total * (1 + REPAIRS_GUESS)
