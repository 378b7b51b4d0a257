"""Tables by language, by source and by license."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jobs.report.corpus import Amount, Corpus

MAX_ORIGINS: Final = 100
STATES: Final = ("accepted", "rejected", "failed")


@dataclass(frozen=True)
class LangRow:
    """A language: how its rows ended, and what is heard of it."""

    lang: str
    accepted: int
    rejected: int
    failed: int
    utterances: int
    seconds: float

    @property
    def rows(self) -> int:
        """All of them."""
        return self.accepted + self.rejected + self.failed


@dataclass(frozen=True)
class OriginRow:
    """A source under one license, and what it gave."""

    source: str
    license: str
    samples: int
    utterances: int
    seconds: float


def lang_rows(corpus: Corpus) -> list[LangRow]:
    """Every language of any row, the most rows first."""
    heard: dict[str, Amount] = {}
    for (_, lang), amount in corpus.places.items():
        total = heard.setdefault(lang, Amount())
        total.utterances += amount.utterances
        total.seconds += amount.seconds
    found = []
    for lang in {lang for lang, _ in corpus.outcomes}:
        accepted, rejected, failed = (corpus.outcomes[lang, state] for state in STATES)
        amount = heard.get(lang, Amount())
        found.append(
            LangRow(
                lang or "unknown", accepted, rejected, failed, amount.utterances, amount.seconds
            )
        )
    return sorted(found, key=lambda row: (-row.rows, row.lang))


def origin_rows(corpus: Corpus) -> tuple[Sequence[OriginRow], int]:
    """Sources by how much they gave, and how many are not shown."""
    found = [
        OriginRow(source, granted, amount.samples, amount.utterances, amount.seconds)
        for (source, granted), amount in corpus.origins.items()
    ]
    found.sort(key=lambda row: (-row.samples, row.source, row.license))
    return found[:MAX_ORIGINS], max(0, len(found) - MAX_ORIGINS)
