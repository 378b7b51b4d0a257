"""An utterance's measures beside the gates that judge it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jobs.recipes.recipe import from_manifest
from jobs.report.words import number
from schemas.snapshot import Manifest, read_verified
from schemas.store import Store
from schemas.utterance import TAKEN
from transforms.gate import Gate
from transforms.norms import FitNorms, Norms

Verdict = Literal["passes", "fails", "unchecked", ""]


@dataclass(frozen=True)
class Rules:
    """The gates that judged a snapshot's rows, and what was usual then, if anything was fitted."""

    gates: Sequence[Gate]
    norms: Norms | None = None

    def can_judge(self, gate: Gate, utterance: dict[str, Any]) -> bool:
        """Whether a gate says anything of an utterance whose measure was taken."""
        if gate.outlier_mad is None or gate.min is not None or gate.max is not None:
            return True
        return self.norms is not None and (
            self.norms.of(gate.measure, gate.per, utterance) is not None
        )


def rules_of(store: Store, manifest: Manifest) -> Rules:
    """The rules of a snapshot. Raises DamageError."""
    job, _ = from_manifest(dict(manifest["settings"]))
    gates = [Gate(**gate.model_dump()) for gate in getattr(job, "gates", ())]
    fitted = manifest["artifacts"].get(FitNorms.name)
    return Rules(gates, None if fitted is None else Norms(read_verified(store, fitted)))


@dataclass(frozen=True)
class Judged:
    """A measure in words. ``verdict`` is empty where no gate looks at it.

    ``value`` is its status where it was not taken; a gate then leaves it unchecked, as does one on
    outliers alone where nothing is usual.
    """

    name: str
    value: str
    gate: str = ""
    verdict: Verdict = ""


def judged(
    measures: Iterable[Mapping[str, Any]],
    rules: Rules,
    role: str,
    lang: str,
    voice: str = "",
    named: Sequence[str] = (),
) -> list[Judged]:
    """Each measure once per gate that covers such utterances; those that fail come first.

    A gate on outliers has failed where the row's reasons say so: ``named`` are the measures that
    they name for this utterance, once per gate that failed. What bounds alone explain is not laid
    to an outlier.
    """
    found = []
    for measure in measures:
        name = measure["name"]
        looking = [
            gate for gate in rules.gates if gate.measure == name and gate.covers(role, lang, voice)
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
            known = verdict == "fails" or rules.can_judge(gate, utterance)
            if measure["status"] != TAKEN or not known:
                verdict = "unchecked"
            found.append(Judged(name, shown, bounds(gate), verdict))
    return sorted(found, key=lambda item: item.verdict != "fails")


def bounds(gate: Gate) -> str:
    """A gate's bounds in words: "0.3 to 45", "at most 2"."""
    return gate.bounds()
