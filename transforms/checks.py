"""Which speech checks a pipeline makes, and which of its gates they can answer."""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.errors import SettingsError
from transforms.backends.listening import Aligner, Recognizer, VoiceDetector
from transforms.backends.mos import MosProgram
from transforms.gate import Gate
from transforms.hearing import (
    ALIGN_MEASURES,
    ASR_MEASURES,
    MOS_MEASURES,
    SECOND_MEASURES,
    VAD_MEASURES,
    Rule,
)
from transforms.measure import TAKEN_HERE
from transforms.measures.pair import PAIR_MEASURES
from transforms.measures.units import UNIT_MEASURES


@dataclass(frozen=True, kw_only=True)
class Checks:
    """Backends to listen with, None for none, and how often synthesis may try again."""

    aligner: Aligner | None = None
    recognizer: Recognizer | None = None
    second: Recognizer | None = None
    rule: Rule = "agree"  # transforms/hearing.py: what two recognizers say together
    agree_max: float = 0.3
    detector: VoiceDetector | None = None
    predictor: MosProgram | None = None
    asr_fraction: float = 0.0
    mos_fraction: float = 0.0
    attempts: int = 1
    retry_below: float = 0.0

    @property
    def recognizers(self) -> tuple[Recognizer, ...]:
        """Those that are asked, in order."""
        asked = (self.recognizer, self.second) if self.asr_fraction > 0 else ()
        return tuple(item for item in asked if item is not None)


NO_CHECKS: Final = Checks()


def check_gates(
    gates: Sequence[Gate],
    checks: Checks,
    *,
    voices: Collection[str] | None = None,
    unit_roles: Collection[str] = (),
    pairs: bool = True,
) -> None:
    """Raise SettingsError for a gate without bounds, and for one that could judge no row.

    ``voices`` are those of the job's bank, None where it has none; ``unit_roles`` the roles whose
    turns get units; ``pairs`` is whether answers are spoken.
    """
    for gate in gates:
        if gate.measure not in TAKEN_HERE:
            near = difflib.get_close_matches(gate.measure, TAKEN_HERE, n=1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise SettingsError(
                f"gates: there is no measure '{gate.measure}'; {hint}wanted one of "
                f"{list(TAKEN_HERE)}"
            )
        _check_rule(gate)
        unknown = sorted(set(gate.voices) - set(gate.voices if voices is None else voices))
        if unknown:
            raise SettingsError(
                f"gates: {gate.measure} names the voices {unknown}; the bank has "
                f"{sorted(voices or ())}"
            )
        if gate.measure in PAIR_MEASURES and not pairs:
            raise SettingsError(
                f"gates: a gate on {gate.measure} could judge no row: no answers are spoken; "
                "remove it"
            )
        _check_units(gate, unit_roles)
        _check_taken(gate, checks)


def _check_rule(gate: Gate) -> None:
    """Raise SettingsError for a rule that no value, or every value, would break."""
    name = gate.measure
    if gate.min is None and gate.max is None and gate.outlier_mad is None:
        raise SettingsError(f"gates: {name} needs a min, a max or outlier_mad")
    if gate.min is not None and gate.max is not None and gate.min > gate.max:
        raise SettingsError(
            f"gates: {name} has min {gate.min:g} over max {gate.max:g}, which no value passes; "
            "exchange them"
        )
    if gate.outlier_mad is None:
        return
    if gate.outlier_mad <= 0 or gate.tolerance < 0:
        raise SettingsError(
            f"gates: {name} has outlier_mad {gate.outlier_mad:g} and tolerance {gate.tolerance:g}; "
            "wanted more than 0, such as 6, and at least 0"
        )
    if name in PAIR_MEASURES:
        raise SettingsError(
            f"gates: outlier_mad on {name}: a pair has two voices, so nothing is fitted for it; "
            "give a min or a max"
        )


def _check_units(gate: Gate, unit_roles: Collection[str]) -> None:
    """Raise SettingsError for a gate on units that no turn it judges has."""
    if gate.measure in UNIT_MEASURES and not set(gate.roles or unit_roles) & set(unit_roles):
        raise SettingsError(
            f"gates: a gate on {gate.measure} could judge no row: units are extracted for the "
            f"roles {sorted(unit_roles)}, the gate is for {list(gate.roles) or 'all'}; set "
            "units.roles, or remove the gate"
        )
    if gate.measure in PAIR_MEASURES and gate.roles and "assistant" not in gate.roles:
        raise SettingsError(
            f"gates: a gate on {gate.measure} could judge no row: the measures of a pair stand "
            f"with its answer, the gate is for {list(gate.roles)}; leave out its roles"
        )


def _check_taken(gate: Gate, checks: Checks) -> None:
    """Raise SettingsError where the checks cannot take the gate's measure of any row."""
    cannot = f"gates: a gate on {gate.measure} could judge no row: "
    langs: tuple[str, ...]
    if gate.measure in VAD_MEASURES:
        if checks.detector is None:
            raise SettingsError(cannot + "checks.vad is false; set it to true or remove the gate")
        return
    if gate.measure in MOS_MEASURES:
        if checks.predictor is None or checks.mos_fraction <= 0:
            raise SettingsError(
                cannot + "no predictor is named; give one under checks.mos, or remove the gate"
            )
        return
    if gate.measure in SECOND_MEASURES and checks.second is None:
        raise SettingsError(
            cannot + "there is one recognizer; name another under checks.second, or gate on asr_wer"
        )
    if gate.measure in ALIGN_MEASURES:
        if checks.aligner is None:
            raise SettingsError(cannot + "checks.align is false; set it to true or remove the gate")
        langs = checks.aligner.langs
    elif gate.measure in ASR_MEASURES:
        if checks.recognizer is None or checks.asr_fraction <= 0:
            raise SettingsError(
                cannot
                + "checks.asr_fraction is 0; give it a share, such as 0.1, or remove the gate"
            )
        langs = checks.recognizer.langs
    else:
        return
    if not set(langs) & set(gate.langs or langs):
        raise SettingsError(
            cannot + f"it wants {list(gate.langs)}, and speech can be recognized in {list(langs)}; "
            "remove the gate, or name other languages"
        )
