"""What the steps that ask a language model share: programs of asks, one per row, side by side.

A row's program is a pure function of the row and of the replies it gets, so that a step is one too:
replies are committed at a desk under their request's key before anybody uses them.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, NotRequired, TypeAlias, TypedDict

import pyarrow as pa

from schemas.columns import ERROR_SUFFIX, RowFailure, failure
from schemas.columns import field as column
from schemas.errors import RowError
from transforms.asks import AskFn, Asks
from transforms.backends.chat.desk import Desk
from transforms.backends.chat.office import AskFor, Office
from transforms.backends.chat.protocol import Ask, ChatBackend, Messages, Reply
from transforms.prompts.prompt import ANSWER_KEYS, Prompt
from transforms.randomness import draw
from transforms.replies.parse import Flaw
from transforms.replies.similarity import Compare
from transforms.text.clean import HAN

Judge: TypeAlias = Callable[[Reply], tuple[str, list[Flaw]]]
CALLS_SUFFIX: Final = "_calls"
CALL: Final = pa.struct(
    [
        column("turn", pa.int32(), "the turn it was asked for", unit="turns"),
        column("attempt", pa.int32(), "0, or the number of the repair", unit="attempts"),
        column("key", pa.string(), "the request's key, under which the reply is kept"),
        column("prompt_tokens", pa.int64(), "as the server counts", unit="tokens"),
        column("completion_tokens", pa.int64(), "as the server counts", unit="tokens"),
    ]
)
HOPELESS: Final = ("refusal",)  # asking again would only spend tokens
SHOWN_REPLY_CHARS: Final = 2000


class Call(TypedDict):
    """One request that a row made: the CALL struct."""

    turn: int
    attempt: int
    key: str
    prompt_tokens: int
    completion_tokens: int
    # Of calls that speak or hear alone: SPEECH_CALL and HEARING_CALL.
    asked: NotRequired[str]
    characters: NotRequired[int]
    audio_ms: NotRequired[int]


@dataclass(frozen=True)
class Estimate:
    """A guess of what rows will cost, repairs included."""

    calls: float = 0.0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0

    def __add__(self, other: "Estimate") -> "Estimate":
        return Estimate(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )

    def __mul__(self, factor: float) -> "Estimate":
        return Estimate(
            self.calls * factor, self.prompt_tokens * factor, self.completion_tokens * factor
        )


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """The prompt of each language; a source may have its own. Keys are (source or "", lang)."""

    by_place: tuple[tuple[tuple[str, str], Prompt], ...]

    def get(self, source: str, lang: str) -> Prompt | None:
        """The prompt for a row; a region of a language is ignored."""
        found, code = dict(self.by_place), lang.replace("_", "-").split("-")[0].lower()
        return found.get((source, code)) or found.get(("", code))

    def identity(self) -> list[list[str]]:
        """Place and checksum of each."""
        return [[*place, prompt.sha256] for place, prompt in self.by_place]


@dataclass
class Dialogue:
    """The asks of one row, and what they cost."""

    step: str
    seed: int
    row: str
    ask: AskFor
    compare: Compare | None = None  # of a step that has a sentence model
    calls: list[Call] = field(default_factory=list)

    async def converse(
        self, turn: int, prompt: Prompt, first: Messages, judge: Judge, max_asks: int
    ) -> tuple[str, list[Flaw]]:
        """Ask until ``judge`` finds no flaw, telling the model what was wrong; at most so often.

        Gives the text, or else the flaws of the last reply and the codes of those before it.
        """
        messages, earlier = first, dict[str, None]()
        flaws: list[Flaw] = []
        for attempt in range(max_asks):
            labels = (self.step, self.row, str(turn), str(attempt))
            request = Ask(
                messages=messages,
                answer_key=ANSWER_KEYS[self.step],
                seed=int(draw(self.seed, *labels) * 2**31),
            )
            key, reply = await self.ask(request)
            self.calls.append(
                Call(
                    turn=turn,
                    attempt=attempt,
                    key=key,
                    prompt_tokens=reply["prompt_tokens"],
                    completion_tokens=reply["completion_tokens"],
                )
            )
            text, flaws = judge(reply)
            if not flaws:
                return text, []
            earlier |= dict.fromkeys(code for code, _ in flaws)
            if any(code in HOPELESS for code, _ in flaws):
                break
            messages = (
                *first,
                ("assistant", reply["text"][:SHOWN_REPLY_CHARS] or "(nothing)"),
                ("user", prompt.correction(flaws)),
            )
        now = {code for code, _ in flaws}
        return "", flaws + [(code, "in an earlier reply") for code in earlier if code not in now]


class AskingStep(Asks):
    """A step whose rows ask a model. It writes its own error column: one row's error is its own."""

    chat: ChatBackend
    seed: int
    prompts: Prompts
    column: ClassVar[str]  # where the spoken turns go
    server_times_rows: ClassVar[bool] = False  # a model may run in this process

    @property
    def first_counts(self) -> bool:
        return True

    @property
    def services(self) -> tuple[ChatBackend, ...]:
        return (self.chat,)

    @abstractmethod
    async def turns(self, row: dict[str, Any], dialogue: Dialogue) -> list[Any]:
        """The program of one row: its SpokenTurns."""

    @abstractmethod
    def estimate(self, row: dict[str, Any]) -> Estimate:
        """A guess for one row of the conversation table."""

    def open_comparing(self) -> AbstractContextManager[Compare | None]:
        """Load what else judges replies, once per worker."""
        return nullcontext()

    def open_asking(self, office: Office) -> AbstractContextManager[AskFn]:
        """The batch function, which takes the desk of the rows' partition too."""
        return _opened(self, office)


@contextmanager
def _opened(step: AskingStep, office: Office) -> Iterator[AskFn]:
    with step.open_comparing() as compare:
        yield _asking(step, office, compare)


def _asking(step: AskingStep, office: Office, compare: Compare | None) -> AskFn:
    async def one(row: dict[str, Any], ask: AskFor) -> dict[str, Any]:
        dialogue = Dialogue(step.name, step.seed, row["id"], ask, compare)
        error: RowFailure | None = None
        turns: list[Any] = []
        try:
            turns = await step.turns(row, dialogue)
        except RowError as problem:
            kind = type(problem).__name__
            error = failure(step.name, kind, str(problem)[:500], retryable=problem.retryable)
        return {
            step.column: turns,
            step.name + CALLS_SUFFIX: sorted(
                dialogue.calls, key=lambda c: (c["turn"], c["attempt"])
            ),
            step.name + ERROR_SUFFIX: error,
        }

    def run(batch: pa.RecordBatch, desk: Desk) -> pa.RecordBatch:
        ask = office.asker(step.chat, desk)
        rows = office.gather(one(row, ask) for row in batch.to_pylist())
        return pa.RecordBatch.from_pylist(rows, schema=step.writes)

    return run


def tokens_guess(text: str) -> float:
    """About how many tokens a text has: a quarter per letter, seven tenths per Chinese one."""
    han = len(HAN.findall(text))
    return 0.7 * han + 0.25 * (len(text) - han)


def history(turns: list[tuple[str, str]]) -> str:
    """Earlier turns (role, text) on one line, as a prompt shows them."""
    return " / ".join(f"{role}: {' '.join(text.split())}" for role, text in turns)
