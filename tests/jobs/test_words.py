"""Numbers on the page and on the terminal, as people write them."""

import pytest

from jobs.report.render import environment
from jobs.report.words import number


@pytest.mark.parametrize(
    ("value", "told", "short"),
    [
        (12000.0, "12000", "12,000"),  # the bandwidth of a corpus at 24 kHz
        (9999.7, "10000", "10,000"),
        (-22050.0, "-22050", "-22,050"),
        (999.7, "999.7", "1,000"),
        (8000.0, "8000", "8,000"),
        (0.123456, "0.1235", "0.123"),
        (9.252e-05, "9.252e-05", "9.3e-5"),
        (0.0, "0", "0"),
    ],
)
def test_large_numbers_have_no_exponent(value: float, told: str, short: str) -> None:
    assert number(value) == told
    assert environment().filters["short"](value) == short
