"""What each sample of a corpus costs, from its index row: seconds for buckets, tokens for packs."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.errors import SettingsError
from schemas.snapshot import ShardEntry
from trainers.batching.counts import vita_audio_tokens
from trainers.corpus import Corpus
from trainers.text import TextTokenizer
from trainers.turns import IndexedTurn, read_turns

USER: Final = "user"


Cost = Callable[[Sequence[IndexedTurn]], float]


def seconds(turns: Sequence[IndexedTurn]) -> float:
    """The duration of all turns."""
    return sum(turn.duration_s for turn in turns)


def user_seconds(turns: Sequence[IndexedTurn]) -> float:
    """The duration of the user's turns: what a speech encoder hears."""
    return sum(turn.duration_s for turn in turns if turn.role == USER)


def audio_tokens(turns: Sequence[IndexedTurn]) -> float:
    """The tokens of the user's turns by VITA's rule, and no text."""
    return sum(vita_audio_tokens(turn.duration_s) for turn in turns if turn.role == USER)


class ChatTokens:
    """Tokens of a chat: the user's turns as audio by VITA's rule, the assistant's as text.

    Each turn also costs ``per_turn`` tokens (role and boundaries, 5 in ChatML).
    """

    def __init__(
        self,
        tokenizer: TextTokenizer,
        audio_tokens: Callable[[float], int] = vita_audio_tokens,
        per_turn: int = 5,
    ) -> None:
        self._tokenizer, self._audio_tokens, self._per_turn = tokenizer, audio_tokens, per_turn

    @property
    def identity(self) -> str:
        """What a run's state remembers: the tokenizer, the rule for audio, the cost of a turn."""
        rule = getattr(self._audio_tokens, "__qualname__", repr(self._audio_tokens))
        return f"chat_tokens/{self._tokenizer.sha256}/{rule}/{self._per_turn}"

    def __call__(self, turns: Sequence[IndexedTurn]) -> float:
        """The tokens of a sample."""
        return sum(self._per_turn + self._turn(turn) for turn in turns)

    def _turn(self, turn: IndexedTurn) -> int:
        if turn.role == USER:
            return self._audio_tokens(turn.duration_s)
        return len(self._tokenizer.encode(turn.spoken_text))


def cost_identity(cost: Cost) -> str:
    """What a run's state remembers of a cost: its ``identity``, or the function's full name."""
    found = getattr(cost, "identity", None)
    if isinstance(found, str):
        return found
    return f"{cost.__module__}.{getattr(cost, '__qualname__', type(cost).__qualname__)}"


class CostTable:
    """The costs of samples by corpus number and canonical id; a shard's index is read once."""

    def __init__(self, corpora: Sequence[Corpus], cost: Cost) -> None:
        self._corpora, self._cost = list(corpora), cost
        self._starts = [np.cumsum([0, *corpus.counts]) for corpus in self._corpora]
        self._costs = [np.full(corpus.num_samples, np.nan) for corpus in self._corpora]

    def of(
        self, corpus: npt.NDArray[np.int64], ids: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.float64]:
        """The costs [n] of samples, given which corpus [n] each is of and its id [n] there.

        Raises SettingsError for a cost that is no finite number from 0.
        """
        found = np.empty(len(ids))
        for number in np.unique(corpus).tolist():
            chosen = corpus == number
            found[chosen] = self._of_one(number, ids[chosen])
        return found

    def _of_one(self, number: int, ids: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        costs, starts = self._costs[number], self._starts[number]
        unknown = ids[np.isnan(costs[ids])]
        for shard in np.unique(np.searchsorted(starts, unknown, side="right") - 1).tolist():
            corpus = self._corpora[number]
            entry = corpus.shards[shard]
            costs[starts[shard] : starts[shard + 1]] = self._of_shard(corpus, entry)
        known: npt.NDArray[np.float64] = costs[ids]
        return known

    def _of_shard(self, corpus: Corpus, entry: ShardEntry) -> list[float]:
        costs = [float(self._cost(turns)) for turns in read_turns(corpus, entry)]
        for row, cost in enumerate(costs):
            if not 0 <= cost < np.inf:
                raise SettingsError(
                    f"{corpus.name}: sample {row} of {entry['name']} costs {cost}; wanted a finite "
                    "number from 0 from the cost function"
                )
        return costs
