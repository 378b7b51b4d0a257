"""The sample rows that the example jobs build are read whole and hold what they should show."""

from pathlib import Path

from schemas.conversation import Conversation
from tests.jobs.sources.builders import read

SAMPLE = Path(__file__).parents[3] / "examples" / "sample_instructions.jsonl"


def test_the_sample_holds_rows_of_every_kind() -> None:
    rows = read(SAMPLE, "messages")
    assert [row.error for row in rows if row.error] == []
    talks: list[Conversation] = [row.conversation for row in rows if row.conversation]
    assert [talk["source_id"] for talk in talks] == [f"sample-{n:03d}" for n in range(1, 81)]
    assert len({row.digest for row in rows}) == len(rows)
    assert sum(talk["lang"] == "zh" for talk in talks) == 18
    assert sum(len(talk["turns"]) > 2 for talk in talks) >= 6
    assert sum(bool(talk["turns"][0]["input"]) for talk in talks) >= 8
    assert sum(talk["turns"][1]["text"] == "" for talk in talks) == 2
