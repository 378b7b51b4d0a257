"""How a task is cut for pools of different workers, and what its receipt then says."""

import pytest

from pipelines.engines.pieces import Pool, all_pieces, check_names, joined, pieces_of
from pipelines.graph import Pipeline
from pipelines.packed import Packed
from pipelines.plan import Partition
from pipelines.task import AskAhead, MergeParts, RunPartition, RunSteps, State
from schemas.errors import SettingsError
from tests.builders import pipeline

STATE = State(artifacts={}, fingerprints={})
PARTITION = Partition(
    name="p000000", file="inputs/p000000", sha256="", ids=Packed("ab"), born=1, seconds=2.0
)
GPU = {"synthesize": Pool(gpus=1)}


def _task(until: str | None = None) -> RunPartition:
    return RunPartition(state=STATE, partition=PARTITION, until=until, num_partitions=1)


def _names(nodes: Pipeline, pools: dict[str, Pool], until: str | None = None) -> list[str]:
    return [piece.name for piece in pieces_of(nodes, _task(until), pools)]


def test_steps_of_equal_needs_are_one_piece_and_the_piece_is_the_task() -> None:
    (piece,) = pieces_of(pipeline(), _task(), {})
    assert piece.name.startswith("rewrite+respond+synthesize")
    assert piece.of([_task()]) == _task()


def test_a_chain_is_cut_where_needs_change_and_ends_with_the_task() -> None:
    first, second, third = pieces_of(pipeline(), _task(), GPU)
    assert (first.name, second.name) == ("rewrite+respond", "synthesize")
    assert (first.needs.gpus, second.needs.gpus, third.needs.gpus) == (0, 1, 0)
    cut = first.of([_task()])
    assert isinstance(cut, RunSteps)
    nodes = [node.name for node in pipeline().nodes]
    assert nodes.index("respond") < nodes.index(cut.until) <= nodes.index("synthesize")
    assert cut.fresh_only
    assert third.of([_task()]) == _task()


def test_what_an_earlier_pass_did_needs_no_worker_again() -> None:
    whole = [piece.name for piece in pieces_of(pipeline(), _task(), GPU)]
    assert "synthesize" in whole
    after = pieces_of(pipeline(), _task(), GPU, passed="kmeans")
    assert [piece.needs.gpus for piece in after] == [0]


def test_a_pass_to_a_fit_step_stops_before_what_follows_it() -> None:
    assert _names(pipeline(), GPU, "kmeans")[:2] == ["rewrite+respond", "synthesize"]
    assert "units" not in "+".join(_names(pipeline(), GPU, "kmeans"))
    assert _names(pipeline(), GPU, "duplicates") == ["rows"]


def test_pools_of_a_step_stand_above_its_own_needs_and_sizes_part_pools() -> None:
    pools = {"rewrite": Pool(cpus=2, memory_mb=9000, max_workers=3)}
    first, *_ = all_pieces(pipeline(), pools)
    assert (first.name, first.needs.cpus, first.needs.memory_mb) == ("rewrite", 2, 9000)
    assert (first.min_workers, first.max_workers) == (None, 3)
    assert _names(pipeline(), {"rewrite": Pool(memory_mb=9000)})[0].startswith("rewrite+respond")


def test_other_tasks_are_one_piece() -> None:
    merge = MergeParts(state=STATE, fit="kmeans", parts=(), into="x")
    ask = AskAhead(state=STATE, partitions=(), until=None)
    assert [piece.name for piece in pieces_of(pipeline(), merge, GPU)] == ["merging"]
    assert [piece.name for piece in pieces_of(pipeline(), ask, GPU)] == ["ask"]


def test_a_pool_of_no_step_is_named_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match=r"'synthesise'.*did you mean 'synthesize'"):
        check_names(pipeline(), {"synthesise": Pool(gpus=1)})


def test_two_pieces_count_their_rows_once_and_their_work_together() -> None:
    step = {"rows": 4, "computed": 3, "busy_s": 1.0}
    seen = {"rows": 4, "computed": 0, "busy_s": 0.0}
    first = {"partition": "p", "steps": {"a": step}, "asked": {"calls": 2}}
    second = {"partition": "p", "part": "x", "steps": {"a": seen, "b": step}, "asked": {"calls": 1}}
    assert joined(first, second) == {
        "partition": "p",
        "part": "x",
        "steps": {"a": step, "b": step},
        "asked": {"calls": 3},
    }
