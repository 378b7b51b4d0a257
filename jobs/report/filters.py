"""By what the page's samples can be filtered. Marks are numbers, so no text of a row is in them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jobs.report.samples import ShownSample
from jobs.report.words import fact

MAX_CHOICES: Final = 200


@dataclass(frozen=True)
class Choice:
    """One value that a filter can ask for: its mark, what it is, and how many samples have it."""

    mark: str
    label: str
    samples: int


@dataclass(frozen=True)
class Filters:
    """The filters by name, and each sample's marks, joined by spaces."""

    choices: dict[str, list[Choice]]
    marks: list[str]


def facets(samples: Sequence[ShownSample]) -> Filters:
    """State, reason, voice and language of the samples that are on the page."""
    values = [
        {
            "state": [sample.state],
            "reason": list(sample.codes),
            "voice": sample.voices,
            "language": [sample.lang] if sample.lang else [],
        }
        for sample in samples
    ]
    names = ("state", "reason", "voice", "language")
    choices: dict[str, list[Choice]] = {}
    known: dict[tuple[str, str], str] = {}
    for name in names:
        counts = Counter(value for item in values for value in item[name])
        for place, value in enumerate(sorted(counts)[:MAX_CHOICES]):
            known[name, value] = f"{name[0]}{place}"
        choices[name] = [
            Choice(known[name, value], fact(value), counts[value])
            for value in sorted(counts)[:MAX_CHOICES]
        ]
    marks = [
        " ".join(
            known[name, value] for name in names for value in item[name] if (name, value) in known
        )
        for item in values
    ]
    return Filters(choices, marks)
