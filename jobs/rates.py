"""How long steps take, for estimates: from the output's last run, else stated with a source."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from transforms.asks import Asks
from transforms.backends.pocketsphinx import PocketsphinxRecognizer
from transforms.step import Step
from transforms.synthesize import Synthesize
from transforms.transcribe import Transcribe
from transforms.units import MfccUnits

EMBEDDED_VOICES: Final = frozenset({"flite", "espeak"})
MIN_ROWS: Final = 50  # computed in a run, for its rate to count

HERE: Final = "the embedded backends on an x86-64 core (docs/estimate.md)"
# Seconds of one core for a row of the step: a source row, or an utterance of about 7 s. Measured
# on the English alpaca_en_1k and alpaca_eval_805, 2 workers on 2 cores, beside other work; the
# Chinese alpaca_zh_1k took 0.021 to synthesize and next to nothing to transcribe.
EMBEDDED: Final[Mapping[str, float]] = {
    "rewrite": 0.0007,
    "respond": 0.0024,
    "synthesize": 0.144,
    "listen": 0.030,
    "transcribe": 0.040,
    "measure": 0.026,
    "units": 0.0028,
}


@dataclass(frozen=True)
class Rate:
    """Seconds of one worker for a row of a step; None where nobody has measured it."""

    seconds_per_row: float | None
    basis: str


def is_embedded(step: Step) -> bool:
    """Whether a step runs on what ships with the project, which the table's rates are of."""
    if isinstance(step, Asks):
        return False
    if isinstance(step, Synthesize):
        return {voice.backend for voice in step.bank.voices} <= EMBEDDED_VOICES
    if isinstance(step, Transcribe):
        return all(isinstance(item, PocketsphinxRecognizer) for item in step.recognizers)
    return step.name != "units" or isinstance(step, MfccUnits)


def rate_of(
    step: str,
    embedded: bool,
    stated: Mapping[str, float],
    before: Mapping[str, Any] | None,
) -> Rate:
    """The rate of a step: what the job states, what this output's last run took, what is known.

    ``before`` is the last run.json. The table is of embedded backends: a step on any other has no
    rate unless one is stated or measured.
    """
    if step in stated:
        return Rate(stated[step], "stated in the job (estimate.rates)")
    if before is not None:
        computed = before.get("computed_rows", {}).get(step, 0)
        busy_s = before.get("busy_s", {}).get(step, 0.0)
        if computed >= MIN_ROWS and busy_s > 0:
            return Rate(busy_s / computed, f"the last run here ({computed} rows)")
    if embedded and step in EMBEDDED:
        return Rate(EMBEDDED[step], HERE)
    return Rate(None, "no rate known: set estimate.rates")
