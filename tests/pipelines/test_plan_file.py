"""A plan's file and digest are those of one JSON text, though no such text is ever in memory."""

import pickle
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.packed import Packed
from pipelines.plan import Partition, Plan, PlannedShard
from schemas.canonical import digest, pretty_json

NAMES = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=5)
PARTITIONS = st.builds(
    Partition,
    name=NAMES,
    file=NAMES,
    sha256=NAMES,
    ids=st.lists(NAMES, max_size=3).map(Packed),
    born=st.integers(1, 9),
    seconds=st.floats(0, 1e3),
    contents=st.lists(NAMES, max_size=3).map(Packed),
)
SHARDS = st.builds(
    PlannedShard,
    split=st.sampled_from(["train", "eval"]),
    number=st.integers(0, 9),
    partitions=st.lists(NAMES, max_size=3).map(tuple),
)
PLANS = st.builds(
    Plan, st.lists(PARTITIONS, max_size=3).map(tuple), st.lists(SHARDS, max_size=3).map(tuple)
)


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan as one value."""
    partitions: list[Any] = [
        {
            **{"name": item.name, "file": item.file, "sha256": item.sha256, "born": item.born},
            **{"seconds": item.seconds, "ids": list(item.ids), "contents": list(item.contents)},
        }
        for item in plan.partitions
    ]
    return {"partitions": partitions, "shards": [asdict(item) for item in plan.shards]}


@given(PLANS)
def test_the_file_is_one_pretty_json(plan: Plan) -> None:
    assert plan.to_bytes() == pretty_json(as_json(plan))


@given(PLANS)
def test_the_digest_is_of_one_canonical_json(plan: Plan) -> None:
    partitions = [
        [item.name, list(item.ids), item.born, *([list(item.contents)] if item.contents else [])]
        for item in plan.partitions
    ]
    shards = [[item.name, list(item.partitions)] for item in plan.shards]
    assert plan.digest == digest({"partitions": partitions, "shards": shards})


@given(st.lists(NAMES))
def test_packed_names_are_the_names(names: list[str]) -> None:
    packed = Packed(names)
    assert (list(packed), len(packed), packed[1:]) == (names, len(names), names[1:])
    assert [name in packed for name in [*names, "another"]] == [True] * len(names) + [False]
    assert pickle.loads(pickle.dumps(packed)) == packed == Packed(iter(names))
    assert hash(packed) == hash(Packed(names))
    assert bool(packed) == bool(names)


def test_packed_names_tell_none_from_an_empty_one_and_refuse_line_breaks() -> None:
    assert Packed([]) != Packed([""]) != Packed(["", ""])
    with pytest.raises(ValueError, match="line breaks"):
        Packed(["a", "b\nc"])
