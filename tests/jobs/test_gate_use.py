"""A gate on outliers judges only where it is known what is usual."""

import json

from jobs.report.gate_use import GateUse
from tests.jobs.indexed import flat_of, indexed
from transforms.gate import Gate
from transforms.norms import Norms

USUAL = Norms(json.dumps({"norms": {"snr_db/en/ann": [30.0, 2.0, 40]}}).encode())
ROWS = [indexed(f"k{n}", measures={"snr_db": 31.0}, voice=("ann", "bob")[n % 2]) for n in range(6)]


def met(gate: Gate) -> tuple[int, int]:
    use = GateUse(gate, norms=USUAL)
    judged = use.meets(flat_of(ROWS))
    assert use.judged == int(judged.sum())
    return use.judged, use.unchecked


def test_rows_of_a_voice_with_too_few_utterances_are_unchecked() -> None:
    assert met(Gate(measure="snr_db", outlier_mad=6.0)) == (3, 3)
    assert met(Gate(measure="snr_db", outlier_mad=6.0, per="lang")) == (0, 6)
    assert met(Gate(measure="snr_db", outlier_mad=6.0, voices=("ann",))) == (3, 0)


def test_bounds_need_nothing_that_is_usual() -> None:
    assert met(Gate(measure="snr_db", min=5.0)) == (6, 0)
    assert met(Gate(measure="snr_db", min=5.0, outlier_mad=6.0)) == (6, 0)
