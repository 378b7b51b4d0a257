"""Which rows stand for a corpus: some by the hash of their keys, and the worst."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from jobs.report.columns import Flat
from jobs.report.histogram import Smallest
from jobs.report.reading import IndexRow
from jobs.report.worst import Odd, Worst

SHOWN_SAMPLES: Final = 16
SHOWN_WORST: Final = 12
SHOWN_REJECTED: Final = 24
Code: TypeAlias = tuple[str, str]  # step, code


@dataclass
class Chosen:
    """The rows that are shown, chosen by the sha256 of their keys and for what they stand for."""

    worst: Worst = field(default_factory=Worst)
    spread: Smallest[IndexRow] = field(default_factory=lambda: Smallest(SHOWN_SAMPLES))
    musts: dict[tuple[str, ...], Smallest[IndexRow]] = field(default_factory=dict)
    rejected: dict[Code, Smallest[str]] = field(default_factory=dict)  # ids by first reason

    def see(self, flat: Flat) -> None:
        """Offer a batch of accepted rows, each for the kinds that it stands for."""
        keys = flat.batch.column("key").to_pylist()
        kinds: list[list[tuple[str, ...]]] = [[] for _ in keys]
        split, lang = flat.rows("split"), flat.rows("lang")
        lost = flat.batch.column("num_dropped").to_pylist()
        for place, of_row in enumerate(kinds):
            of_row.append((split.texts[split.codes[place]], lang.texts[lang.codes[place]]))
            of_row += [("several turns",)] if flat.turns_per_row[place] > 2 else []
            of_row += [("lost turns",)] if lost[place] else []
        for place, key in enumerate(keys):
            places = [self.spread, *(self.musts.setdefault(k, Smallest(1)) for k in kinds[place])]
            wanted = [item for item in places if item.wants(key)]
            if wanted:
                row = flat.row(place)
                for item in wanted:
                    item.add(key, row)
        self.worst.see(flat)

    def see_rejected(self, code: Code, key: str) -> None:
        """Offer a rejected row for its first reason."""
        self.rejected.setdefault(code, Smallest(SHOWN_REJECTED)).add(key, key)

    def samples(self) -> list[IndexRow]:
        """At most SHOWN_SAMPLES accepted rows, by key: each (split, lang) first."""
        firsts = [self.musts[kind].items()[0] for kind in sorted(self.musts)]
        found = {row["key"]: row for row in [*firsts, *self.spread.items()]}
        return sorted(list(found.values())[:SHOWN_SAMPLES], key=lambda row: str(row["key"]))

    def odd_ones(self) -> list[Odd]:
        """At most SHOWN_WORST accepted rows with what is odd about them, worst first."""
        return self.worst.rows(SHOWN_WORST)

    def rejections(self, order: Sequence[Code]) -> list[str]:
        """Ids of at most SHOWN_REJECTED rejected rows: one of each reason, then a second, ..."""
        lists = [self.rejected[code].items() for code in order]
        rounds = (ids[n] for n in range(SHOWN_REJECTED) for ids in lists if n < len(ids))
        return [key for key, _ in zip(rounds, range(SHOWN_REJECTED), strict=False)]
