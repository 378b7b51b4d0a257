"""Duplicates: what counts as the same, who stays, and that a parent's verdicts stand."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.conformance import conform
from schemas.conversation import Conversation
from tests.builders import conversation, heard, planned_table, run_step
from tests.sound import pcm16, sine, wav
from transforms.dedup import Dedup, FindDuplicates

CLIP, OTHER_CLIP = (wav(pcm16(sine(hertz, 0.05))) for hertz in (300.0, 400.0))


def repeats(rows: list[Conversation], fit: FindDuplicates | None = None, **born: int) -> list[Any]:
    """For each row, the number of the row that it repeats, or None."""
    fit = fit or FindDuplicates()
    table = planned_table(rows)
    births = [born.get(f"row{number}", 1) for number in range(len(rows))]
    table = table.set_column(table.column_names.index("born"), "born", [births]).cast(table.schema)
    batch = conform("duplicates", table, fit.reads)
    artifact = fit.finalize(fit.merge([fit.partial(batch, 1)]))
    ids = table["id"].to_pylist()
    found = []
    for row in run_step(Dedup(), conform("dedup", table, Dedup.reads), {"duplicates": artifact}):
        (item,) = row["dedup_reasons"] or [None]
        assert item is None or (item["step"], item["code"], item["turn"]) == (
            "dedup",
            "duplicate",
            -1,
        )
        found.append(item and ids.index(item["detail"].removeprefix("repeats ")))
    return found


def one_stays(found: list[Any]) -> bool:
    """Whether exactly one row stays, and every other names it."""
    (kept,) = (row for row, repeated in enumerate(found) if repeated is None)
    return all(repeated in (None, kept) for repeated in found)


@pytest.mark.parametrize(
    "twin",
    [
        conversation("Name a color.", "Blue.", source_id="2"),
        conversation("NAME a Color", "blue"),
        conversation("Name: a color?!", "Blue..."),
        conversation("  Name\n a\tcolor. ", "Blue."),
        conversation("Ｎａｍｅ ａ color.", "Blue。"),
    ],
    ids=["same", "case", "punctuation", "spacing", "width"],
)
def test_the_same_after_normalization_is_a_duplicate(twin: Conversation) -> None:
    assert one_stays(repeats([conversation("Name a color.", "Blue."), twin]))


@pytest.mark.parametrize(
    "other",
    [
        conversation("Name a colour.", "Blue."),
        conversation("Name a color.", "Red."),
        conversation("Name a color.", "Blue.", "Another.", "Red."),
        conversation("Name a color. Blue."),
        conversation("Name a color 👋.", "Blue."),
        conversation(heard("Name a color.", CLIP), "Blue."),
        conversation("Name a color.", "Blue.", system="Be kind."),
    ],
)
def test_what_differs_is_no_duplicate(other: Conversation) -> None:
    assert repeats([conversation("Name a color.", "Blue."), other]) == [None, None]


def test_an_input_makes_a_difference() -> None:
    rows = [conversation("Sum up.", "It is."), conversation("Sum up.", "It is.")]
    rows[1]["turns"][0]["input"] = "A long text."
    assert repeats(rows) == [None, None]


def test_audio_counts_by_its_bytes() -> None:
    rows = [conversation(heard("Hi.", clip), "Hello.") for clip in (CLIP, OTHER_CLIP, CLIP)]
    found = repeats(rows)
    assert found[1] is None
    assert one_stays([found[0], found[2]] if found[2] != 0 else [None, 0])


@pytest.mark.parametrize(
    ("ignored", "twin"),
    [("case", "NAME A COLOR."), ("punctuation", "Name a color"), ("spacing", "Name  a color.")],
)
def test_what_is_not_ignored_tells_rows_apart(ignored: str, twin: str) -> None:
    rows = [conversation("Name a color.", "x"), conversation(twin, "x")]
    others = tuple({"case", "punctuation", "spacing"} - {ignored})
    assert repeats(rows, FindDuplicates(ignore=others)) == [None, None]  # type: ignore[arg-type]
    assert one_stays(repeats(rows))


def test_by_instruction_the_answer_does_not_count() -> None:
    rows = [conversation("Name a color.", "Blue."), conversation("Name a color.", "Red.")]
    assert one_stays(repeats(rows, FindDuplicates(scope="instruction")))
    assert repeats(rows) == [None, None]


def test_switched_off_nothing_is_a_duplicate() -> None:
    rows = [conversation("Hi.", "Hi.")] * 3
    assert repeats(rows, FindDuplicates(enabled=False)) == [None] * 3


def test_of_many_the_lowest_id_stays() -> None:
    rows = [conversation("Hi.", "Hi.", source_id=str(n)) for n in range(5)]
    found = repeats(rows)
    ids = planned_table(rows)["id"].to_pylist()
    assert one_stays(found)
    assert found.index(None) == ids.index(min(ids))


@given(st.integers(0, 2**16))
def test_the_oldest_stays_so_a_child_keeps_its_parents_verdicts(seed: int) -> None:
    chance = random.Random(seed)
    rows = [conversation("Hi.", "Hi.", source_id=str(n)) for n in range(6)]
    oldest = chance.randrange(6)
    found = repeats(rows, None, **{f"row{n}": 1 if n == oldest else 2 for n in range(6)})
    assert found == [None if n == oldest else oldest for n in range(6)]
