"""An utterance's measures beside the gates that judge it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jobs.report.words import number
from schemas.utterance import TAKEN
from transforms.gate import Gate

Verdict = Literal["passes", "fails", "unchecked", ""]


@dataclass(frozen=True)
class Judged:
    """A measure in words. ``verdict`` is empty where no gate looks at it.

    ``value`` is its status where it was not taken; a gate then leaves it unchecked.
    """

    name: str
    value: str
    gate: str = ""
    verdict: Verdict = ""


def judged(
    measures: Iterable[Mapping[str, Any]],
    gates: Sequence[Gate],
    role: str,
    lang: str,
    voice: str = "",
    named: Sequence[str] = (),
) -> list[Judged]:
    """Each measure once per gate that covers such utterances; those that fail come first.

    What is usual for a voice is not at hand here, so a gate on outliers has failed where the row's
    reasons say so: ``named`` are the measures that they name for this utterance, once per gate
    that failed. What bounds alone explain is not laid to an outlier.
    """
    found = []
    for measure in measures:
        name = measure["name"]
        looking = [
            gate for gate in gates if gate.measure == name and gate.covers(role, lang, voice)
        ]
        value = number(measure["value"]) if measure["status"] == TAKEN else measure["status"]
        shown = value.replace("_", " ")
        if not looking:
            found.append(Judged(name, shown))
        utterance = {"role": role, "lang": lang, "voice": voice, "measures": [measure]}
        beyond = [gate.judge(utterance) is not None for gate in looking]
        unexplained = named.count(name) > sum(beyond)
        for gate, failed in zip(looking, beyond, strict=True):
            outlier = gate.outlier_mad is not None and unexplained
            verdict: Verdict = "fails" if failed or outlier else "passes"
            if measure["status"] != TAKEN:
                verdict = "unchecked"
            found.append(Judged(name, shown, bounds(gate), verdict))
    return sorted(found, key=lambda item: item.verdict != "fails")


def bounds(gate: Gate) -> str:
    """A gate's bounds in words: "0.3 to 45", "at most 2"."""
    return gate.bounds()
