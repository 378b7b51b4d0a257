"""Which speech checks a pipeline makes, and which of its gates they can answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.errors import SettingsError
from transforms.backends.listening import Aligner, Recognizer, VoiceDetector
from transforms.hearing import ALIGN_MEASURES, ASR_MEASURES, VAD_MEASURES
from transforms.measure import NOT_YET, TAKEN_HERE
from transforms.select import Gate


@dataclass(frozen=True, kw_only=True)
class Checks:
    """Backends to listen with, None for none, and how often synthesis may try again."""

    aligner: Aligner | None = None
    recognizer: Recognizer | None = None
    detector: VoiceDetector | None = None
    asr_fraction: float = 0.0
    attempts: int = 1
    retry_below: float = 0.0


NO_CHECKS: Final = Checks()


def check_gates(gates: Sequence[Gate], checks: Checks) -> None:
    """Raise SettingsError for a gate without bounds, and for one that could judge no row."""
    for gate in gates:
        if gate.measure in NOT_YET:
            raise SettingsError(
                f"gates: no backend of this version measures {gate.measure}, so a gate on it could "
                f"judge no row; remove it, or gate on one of {list(TAKEN_HERE)}"
            )
        if gate.measure not in TAKEN_HERE:
            raise SettingsError(
                f"gates: there is no measure '{gate.measure}'; wanted one of {list(TAKEN_HERE)}"
            )
        if gate.min is None and gate.max is None:
            raise SettingsError(f"gates: {gate.measure} needs a min or a max")
        _check_taken(gate, checks)


def _check_taken(gate: Gate, checks: Checks) -> None:
    """Raise SettingsError where the checks cannot take the gate's measure of any row."""
    cannot = f"gates: a gate on {gate.measure} could judge no row: "
    langs: tuple[str, ...]
    if gate.measure in VAD_MEASURES:
        if checks.detector is None:
            raise SettingsError(cannot + "checks.vad is false; set it to true or remove the gate")
        return
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
