"""The shown rows in groups: by chance, the worst, the rejected, the failed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jobs.report.samples import Group, ShownSample

OPEN: Final = 4  # of a group are seen before one asks for more
WORDS: Final[dict[Group, tuple[str, str]]] = {
    "random": (
        "Chosen by chance",
        "{shown} of {accepted:,} accepted rows, chosen by the hash of their keys, with at least "
        "one of each language and split.",
    ),
    "worst": (
        "The worst that passed",
        "{shown} accepted rows that are nearest to a gate, or farthest from what is usual for a "
        "measure that no gate looks at.",
    ),
    "rejected": (
        "Rejected",
        "{shown} of {rejected:,} rejected rows, those first that were spoken before a gate "
        "rejected them, then of each reason in turn.",
    ),
    "failed": ("Failed", "{shown} of {failed:,} rows that an error ended."),
}


@dataclass(frozen=True)
class ShownGroup:
    """A group, its samples with their number on the page; ``more`` are folded away."""

    name: Group
    title: str
    told: str
    first: Sequence[tuple[int, ShownSample]]
    more: Sequence[tuple[int, ShownSample]]


def sample_groups(samples: Sequence[ShownSample], counts: Mapping[str, int]) -> list[ShownGroup]:
    """Every group that has a sample."""
    found = []
    for name, (title, words) in WORDS.items():
        mine = [(number, item) for number, item in enumerate(samples) if item.group == name]
        if mine:
            told = words.format(shown=len(mine), **counts)
            found.append(ShownGroup(name, title, told, mine[:OPEN], mine[OPEN:]))
    return found
