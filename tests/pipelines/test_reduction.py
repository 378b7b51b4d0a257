"""The reduction tree of fit steps: bounded, whole, and without a say in any byte."""

import random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.reduction import ARITY, levels
from pipelines.worker import merge_parts
from tests.builders import corpus, inputs_of, pipeline, planned_table
from transforms.step import Fit

NODES = pipeline()


@given(st.integers(0, 700), st.integers(2, 9))
def test_every_part_is_merged_once_and_no_task_merges_more_than_the_arity(
    count: int, arity: int
) -> None:
    parts = [f"f/{number:04d}" for number in range(count)]
    left = set(parts)
    for knots in levels(parts, "f", arity):
        taken = [part for knot in knots for part in knot.parts]
        assert sorted(taken) == sorted(left)
        assert all(len(knot.parts) <= arity for knot in knots)
        left = {knot.into for knot in knots}
        assert len(left) == len(knots)
    assert len(left) <= arity


def test_a_build_of_few_partitions_has_no_tree() -> None:
    assert list(levels([f"{number}" for number in range(ARITY)], "f")) == []
    assert len(list(levels([f"{number}" for number in range(ARITY + 1)], "f"))) == 1


@pytest.mark.parametrize("name", [fit.name for fit in NODES.fits()])
@pytest.mark.parametrize("arity", [2, 3])
def test_no_tree_and_no_order_changes_the_artifact(name: str, arity: int) -> None:
    fit = NODES.node(name)
    assert isinstance(fit, Fit)
    batch = inputs_of(NODES, planned_table(corpus()), name)[0][name]
    parts = {f"f/{row:03d}": fit.partial(batch.slice(row, 1), 1) for row in range(batch.num_rows)}
    wanted = fit.finalize(merge_parts(fit, parts.values()))
    names = list(parts)
    random.Random(arity).shuffle(names)
    shuffled = dict(zip(sorted(parts), (parts[item] for item in names), strict=True))
    assert fit.finalize(_reduced(fit, shuffled, arity)) == wanted


def _reduced(fit: Fit, parts: dict[str, pa.Table], arity: int) -> pa.Table:
    """The parts merged level by level, as a build's tasks do it."""
    for knots in levels(list(parts), "f", arity):
        parts = {
            knot.into: merge_parts(fit, [parts[part] for part in knot.parts]) for knot in knots
        }
    return merge_parts(fit, parts.values())
