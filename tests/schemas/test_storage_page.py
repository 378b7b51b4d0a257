"""The table of faults in docs/storage.md is the sweep's."""

import re
from pathlib import Path

from tests.weather import RIGHT, cases

PAGE = Path(__file__).parents[2] / "docs" / "storage.md"


def test_the_table_of_faults_holds_every_case_with_its_outcome_and_nothing_else() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (right bytes|error: .+?) \|$", PAGE.read_text(), re.M)
    told = {
        f"{fault}: {operation}": outcome
        for fault, operations, outcome in rows
        for operation in operations.split(", ")
    }
    assert {case.name for case in cases()} == set(told)
    for case in cases():
        outcome = told[case.name]
        assert (case.outcome == RIGHT) == (outcome == "right bytes"), case.name
        assert case.outcome == RIGHT or re.search(case.outcome, outcome), case.name
