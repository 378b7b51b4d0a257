"""The graph: a pipeline whose nodes do not fit cannot be built, and says who and what."""

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pytest

from pipelines.graph import PLANNED, Pipeline, is_verdict, written
from schemas.columns import ERROR, error_field, field, reasons_field
from schemas.conversation import CONVERSATION
from schemas.errors import SchemaError
from tests.builders import Toy, pipeline, recipe, rowwise
from transforms.cast import Cast
from transforms.dedup import Dedup, FindDuplicates
from transforms.explode import ExplodeTurns
from transforms.select import GATHER
from transforms.split import Split
from transforms.step import Node
from transforms.units import MfccUnits

ID = pa.schema([CONVERSATION.field("id")])
SPLIT = Split(seed=0, eval_fraction=0.5)


def toy(name: str, reads: pa.Schema = ID, **writes: pa.DataType) -> Toy:
    columns = pa.schema([field(column, dtype, "") for column, dtype in writes.items()])
    return Toy(name=name, reads=reads, writes=columns, run=rowwise(columns, dict))


def reading(name: str, column: str, dtype: pa.DataType, table: str = "conversations") -> Toy:
    columns = pa.schema([field(column, dtype, "")])
    return Toy(
        name=name, reads=columns, writes=pa.schema([]), run=rowwise(columns, dict), table=table
    )  # type: ignore[arg-type]


def complaint(*nodes: Node) -> str:
    with pytest.raises(SchemaError) as caught:
        Pipeline("mine", nodes)
    message = str(caught.value)
    assert message.startswith("pipeline mine: ")
    return message


def test_the_main_pipeline_fits() -> None:
    edges = set(pipeline().edges())
    assert ("source", "rewrite", "turns") in edges
    assert ("rewrite", "check_speakable", "questions") in edges
    assert ("duplicates", "dedup", "artifact") in edges
    assert ("kmeans", "units", "artifact") in edges
    assert ("gather", "measure_pairs", "utterances") in edges
    assert ("measure_pairs", "select", "utterances") in edges
    assert ("measure", "measure_units", "measures") in edges
    assert {reader for _, reader, _ in edges} == {node.name for node in pipeline().nodes}


def test_a_column_that_is_not_there_is_named_with_those_that_are() -> None:
    message = complaint(SPLIT, reading("late", "flac", pa.binary()))
    assert "late reads column 'flac' (binary); found no such column, only [" in message
    for name in (*PLANNED.names, "split", "split_error"):
        assert f"'{name}'" in message


def test_a_column_is_only_there_after_its_writer() -> None:
    reader = reading("early", "split", pa.string())
    assert Pipeline("mine", (SPLIT, reader))
    assert "early reads column 'split'" in complaint(reader, SPLIT)


def test_a_column_of_another_type_is_named_with_its_writer() -> None:
    message = complaint(SPLIT, reading("late", "split", pa.int32()))
    assert "late reads column 'split' as int32; found string, written by split" in message
    message = complaint(reading("late", "turns", pa.string()))
    assert "late reads column 'turns' as string; found list<" in message
    assert "written by source" in message


def test_nested_types_count_too() -> None:
    turns = CONVERSATION.field("turns").type.value_type
    fewer = pa.list_(pa.field("item", pa.struct(list(turns)[:2]), nullable=False))
    assert "late reads column 'turns' as list<" in complaint(reading("late", "turns", fewer))


@pytest.mark.parametrize("column", ["text", "split", "split_error"])
def test_a_column_has_one_writer(column: str) -> None:
    writers = (SPLIT, toy("first", text=pa.string()), toy("second", **{column: pa.string()}))
    owner = "first" if column == "text" else "split"
    message = complaint(*writers)
    assert f"second writes column '{column}', which {owner} wrote already" in message


@pytest.mark.parametrize("column", ["id", "turns", "source_error", "born"])
def test_the_sources_columns_are_nobodys_to_write(column: str) -> None:
    message = complaint(toy("second", **{column: pa.string()}))
    assert f"second writes column '{column}', which source wrote already" in message


def test_a_second_explode_would_write_the_utterances_again() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Again(ExplodeTurns):
        name: ClassVar[str] = "again"

    nodes = pipeline().nodes
    place = [node.name for node in nodes].index("explode") + 1
    message = complaint(*nodes[:place], Again(), *nodes[place:])
    assert "again makes the utterance table" in message


def test_an_artifact_that_no_earlier_fit_makes_is_named() -> None:
    fit = FindDuplicates()
    assert Pipeline("mine", (fit, Dedup()))
    assert "dedup uses the artifact 'duplicates', which no earlier fit step makes; found []" in (
        complaint(Dedup(), fit)
    )
    nodes = [node for node in pipeline().nodes if node.name != "kmeans"]
    message = complaint(*nodes)
    assert "units uses the artifact 'kmeans'" in message
    assert "found ['duplicates', 'pace']" in message


def test_utterances_are_there_only_after_the_explode() -> None:
    cast = Cast(seed=0, bank=recipe().bank, backends=recipe().backends)
    for node in (cast, GATHER, MfccUnits(roles=(), num_clusters=2)):
        message = complaint(node)
        assert f"{node.name} reads the utterance table, which no earlier node makes" in message


def test_two_nodes_of_one_name_are_refused() -> None:
    assert "two nodes are named 'split'" in complaint(SPLIT, Split(seed=1, eval_fraction=0.1))


def test_nodes_are_found_by_name() -> None:
    nodes = pipeline()
    assert nodes.node("gather") is GATHER
    assert [step.name for step in nodes.memo_steps()] == [
        "rewrite",
        "respond",
        "synthesize",
        "listen",
        "augment",
        "measure",
        "units",
    ]
    assert [fit.name for fit in nodes.fits()] == ["duplicates", "pace", "kmeans"]
    with pytest.raises(SchemaError, match="pipeline instruct_s2s has no node 'shard'"):
        nodes.node("shard")


def test_the_engine_adds_an_error_column_unless_the_step_has_its_own() -> None:
    assert [item.name for item in written(SPLIT)] == ["split", "split_error"]
    own = Toy(name="own", reads=ID, writes=pa.schema([error_field("own")]), run=rowwise(ID, dict))
    assert [(item.name, item.type) for item in written(own)] == [("own_error", ERROR)]
    assert [item.name for item in written(GATHER)] == ["utterances", "gather_error"]


def test_the_columns_that_end_a_row_are_those_of_verdicts() -> None:
    """A column that lists reasons of single turns ends no row: select keeps the prefix."""
    assert is_verdict(reasons_field("select").name)
    assert is_verdict(error_field("select").name)
    turn_level = [
        item.name
        for node in pipeline().steps()
        for item in node.writes
        if item.name not in (f"{node.name}_reasons", f"{node.name}_error")
    ]
    assert [name for name in turn_level if is_verdict(name)] == []
