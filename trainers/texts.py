"""The texts of a corpus, from its index alone: no shard is opened for them."""

import heapq
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final, Literal

from trainers.corpus import Corpus
from trainers.turns import read_turns

Which = Literal["spoken", "written", "both"]
WHICH: Final[tuple[Which, ...]] = ("spoken", "written", "both")


def corpus_texts(corpus: Corpus, which: Which = "both") -> Iterator[str]:
    """The texts of all turns, shard by shard. Raises DamageError for an index that changed."""
    for entry in corpus.shards:
        for turns in read_turns(corpus, entry):
            for turn in turns:
                if which != "written":
                    yield turn.spoken_text
                if which != "spoken":
                    yield turn.text


def bounded(texts: Iterable[str], limit: int) -> list[str]:
    """At most ``limit`` distinct texts, sorted: those with the least sha256, in any order read."""
    largest: list[tuple[int, str]] = []  # a heap of the kept, the largest hash first
    kept: set[str] = set()
    for text in texts:
        if text in kept:
            continue
        rank = -int.from_bytes(sha256(text.encode()).digest(), "big")
        if len(largest) < limit:
            heapq.heappush(largest, (rank, text))
        elif rank > largest[0][0]:
            kept.discard(heapq.heapreplace(largest, (rank, text))[1])
        else:
            continue
        kept.add(text)
    return sorted(kept)
