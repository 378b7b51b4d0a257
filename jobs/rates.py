"""How long steps take, for estimates: from the output's last run, else stated with a source."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MIN_ROWS: Final = 50  # computed in a run, for its rate to count

HERE: Final = "the embedded backends on an x86-64 core (docs/estimate.md)"
# Seconds of one core for a row of the step: a source row, or an utterance of about 7 s. Measured
# on alpaca_zh_1k and alpaca_en_1k with 2 workers on 2 cores with AVX-512.
EMBEDDED: Final[Mapping[str, float]] = {
    "rewrite": 0.0012,
    "respond": 0.0010,
    "synthesize": 0.105,
    "listen": 0.050,
    "transcribe": 0.050,
    "measure": 0.017,
    "units": 0.009,
}


@dataclass(frozen=True)
class Rate:
    """Seconds of one worker for a row of a step; None where nobody has measured it."""

    seconds_per_row: float | None
    basis: str


def rate_of(
    step: str,
    gpus: float,
    stated: Mapping[str, float],
    before: Mapping[str, Any] | None,
) -> Rate:
    """The rate of a step: what the job states, what this output's last run took, what is known.

    ``before`` is the last run.json. The table is of embedded backends: a step that wants GPUs has
    no rate unless one is stated or measured.
    """
    if step in stated:
        return Rate(stated[step], "stated in the job (estimate.rates)")
    if before is not None:
        computed = before.get("computed_rows", {}).get(step, 0)
        busy_s = before.get("busy_s", {}).get(step, 0.0)
        if computed >= MIN_ROWS and busy_s > 0:
            return Rate(busy_s / computed, f"the last run here ({computed} rows)")
    if gpus == 0 and step in EMBEDDED:
        return Rate(EMBEDDED[step], HERE)
    return Rate(None, "no rate known: set estimate.rates")
