"""Which speech checks a pipeline makes, and which of its gates they can answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from schemas.errors import SettingsError
from transforms.backends.listening import Aligner, Recognizer, VoiceDetector
from transforms.backends.mos import MosProgram
from transforms.hearing import (
    ALIGN_MEASURES,
    ASR_MEASURES,
    MOS_MEASURES,
    SECOND_MEASURES,
    VAD_MEASURES,
    Rule,
)
from transforms.measure import NOT_YET, TAKEN_HERE
from transforms.select import Gate


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
