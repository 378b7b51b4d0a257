"""docs/measures.md is the catalogue.

After a change of the catalogue: python -m tests.schemas.test_measures_page
"""

from pathlib import Path

from schemas.measures import BY_NAME, CATALOGUE, markdown, of_family

PAGE = Path(__file__).parents[2] / "docs" / "measures.md"
START, END = "<!-- the catalogue -->", "<!-- its end -->"


def test_the_page_holds_the_catalogue_as_it_is() -> None:
    text = PAGE.read_text("utf-8")
    assert text.partition(START)[2].partition(END)[0].strip() == markdown()


def test_every_measure_says_what_in_which_unit_by_which_method_from_where() -> None:
    assert len(BY_NAME) == len(CATALOGUE)
    for item in CATALOGUE:
        assert all((item.name, item.family, item.unit, item.what, item.method, item.source))
        suffix = item.name.rsplit("_", 1)[-1]
        units = {
            "s": "s",
            "hz": "Hz",
            "db": "dB",
            "dbfs": "dBFS",
            "lufs": "LUFS",
            "st": "semitones",
        }
        if suffix in units and not item.name.endswith("per_s"):
            assert item.unit == units[suffix], item.name


def test_a_family_is_sorted_by_name() -> None:
    assert of_family("pitch") == ("pitch_median_hz", "pitch_range_st", "voiced_fraction")


if __name__ == "__main__":
    before, _, rest = PAGE.read_text("utf-8").partition(START)
    PAGE.write_text(f"{before}{START}\n{markdown()}\n{END}{rest.partition(END)[2]}", "utf-8")
