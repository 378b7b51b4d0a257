"""Planning: ids and partitions follow from content, and a child keeps what its parent planned."""

import logging
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.packed import Packed
from pipelines.plan import Plan, load_partition, read_plan, write_plan
from pipelines.planning import make_plan, partition_rows
from schemas.conversation import content_hash
from schemas.errors import ConflictError, DamageError
from schemas.store import FileStore
from tests.builders import Row, broken_row, conversation, heard, source_row

CLIP = b"an audio file"


@pytest.fixture(autouse=True, scope="module")
def _whole_partitions() -> Iterator[None]:
    """64 rows in a partition, however few rows there are; how many there are has its own test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.planning.partition_rows", lambda count: 64)
        yield


def test_a_small_source_makes_small_partitions() -> None:
    assert [partition_rows(count) for count in (1, 80, 999, 4096, 10**6)] == [8, 8, 15, 16, 16]


def rows_of(count: int, first: int = 0) -> list[Row]:
    """Different rows, some of them broken or with audio."""
    rows = []
    for number in range(first, first + count):
        if number % 10 == 7:
            rows.append(broken_row(f"broken {number}"))
        elif number % 10 == 3:
            rows.append(source_row(conversation(heard(f"Listen {number}.", CLIP), "I hear.")))
        else:
            rows.append(source_row(conversation(f"Name number {number}.", "Here. 👋")))
    return at_lines(rows)


def at_lines(rows: Sequence[Row]) -> list[Row]:
    """The rows as lines of a file, in this order."""
    return [replace(row, origin=f"rows.jsonl:{line}") for line, row in enumerate(rows, start=1)]


def plan(
    store: FileStore,
    rows: Sequence[Row],
    parent: Plan | None = None,
    version: int = 1,
    eval_fraction: float = 0.25,
    **changes: Any,
) -> Plan:
    sizes: dict[str, Any] = {"target_bytes": 10**12}
    return make_plan(rows, store, parent, version, eval_fraction=eval_fraction, **sizes | changes)


def ids(found: Plan) -> list[tuple[str, ...]]:
    return [tuple(item.ids) for item in found.partitions]


def content(store: FileStore, found: Plan) -> list[dict[str, Any]]:
    """All planned rows but for where they came from."""
    tables = [load_partition(store, item) for item in found.partitions]
    return [row for table in tables for row in table.drop_columns("origin").to_pylist()]


@settings(max_examples=8)
@given(st.integers(0, 2**16))
def test_the_order_of_a_source_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    rows = [*rows_of(140), *rows_of(9)]
    shuffled = at_lines(random.Random(seed).sample(rows, len(rows)))
    shuffled = [replace(row, origin="other" + row.origin) for row in shuffled]
    one, other = (FileStore(tmp_path_factory.mktemp("corpus")) for _ in range(2))
    expected, found = plan(one, at_lines(rows)), plan(other, shuffled)
    assert found.digest == expected.digest
    assert ids(found) == ids(expected)
    assert content(other, found) == content(one, expected)
    assert [len(item) for item in ids(found)] == [64, 64, 21]


def test_rows_with_the_same_content_are_numbered(tmp_path: Path) -> None:
    row = conversation("Hi.", "Hi.")
    found = plan(FileStore(tmp_path), at_lines([source_row(row)] * 12))
    assert ids(found) == [tuple(f"{content_hash(row)}-{n}" for n in range(12))]


def test_the_number_of_a_row_does_not_depend_on_its_line(tmp_path: Path) -> None:
    """A row's own word for its source ships with it, so it must not go by the line."""
    row = conversation("Hi.", "Hi.")
    twins = [source_row(row, source=name) for name in ("alpaca", "dolly")]
    stores = [FileStore(tmp_path / name) for name in ("one", "other")]
    found = [
        content(store, plan(store, at_lines(order)))
        for store, order in zip(stores, (twins, twins[::-1]), strict=True)
    ]
    assert [row["source"] for row in found[0]] == [row["source"] for row in found[1]]


def test_every_row_is_planned_once_with_all_it_says(tmp_path: Path) -> None:
    store, rows = FileStore(tmp_path), rows_of(100)
    found = plan(store, rows)
    assert found.rows == 100
    planned = {row["id"].rpartition("-")[0]: row for row in content(store, found)}
    assert set(planned) == {row.digest for row in rows}
    for row in rows:
        kept = planned[row.digest]
        assert kept["source_error"] == row.error
        assert kept["turns"] == (row.conversation["turns"] if row.conversation else [])
        assert kept["born"] == 1
    assert [item.name for item in found.partitions] == ["p000000", "p000001"]
    assert max(map(len, ids(found))) == 64


def test_the_same_rows_again_are_the_same_plan(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    parent = plan(store, rows_of(100))
    files = store.list("inputs")
    assert plan(store, at_lines(rows_of(100)[::-1]), parent, 2) == parent
    assert store.list("inputs") == files


def test_a_child_keeps_its_parents_membership_and_puts_new_rows_into_new_partitions(
    tmp_path: Path,
) -> None:
    store = FileStore(tmp_path)
    parent = plan(store, rows_of(100))
    child = plan(store, at_lines([*rows_of(90, 100), *rows_of(100)]), parent, 2)
    assert child.partitions[:2] == parent.partitions
    assert [item.name for item in child.partitions[2:]] == ["p000002", "p000003"]
    assert {item.born for item in child.partitions[2:]} == {2}
    assert {row["born"] for row in content(store, child)[100:]} == {2}
    new = {key for item in child.partitions[2:] for key in item.ids}
    assert {key.rpartition("-")[0] for key in new} == {row.digest for row in rows_of(90, 100)}
    grandchild = plan(store, rows_of(200), child, 3)
    assert grandchild.partitions[:4] == child.partitions
    assert [item.born for item in grandchild.partitions] == [1, 1, 2, 2, 3]


def test_a_child_drops_the_rows_that_are_gone_and_moves_no_other(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    parent = plan(store, rows_of(100))
    gone = set(random.Random(1).sample(range(100), 30))
    child = plan(
        store, at_lines([r for n, r in enumerate(rows_of(100)) if n not in gone]), parent, 2
    )
    lost = {row.digest for n, row in enumerate(rows_of(100)) if n in gone}
    expected = [
        tuple(key for key in item if key.rpartition("-")[0] not in lost) for item in ids(parent)
    ]
    assert ids(child) == expected
    assert [item.born for item in child.partitions] == [1, 1]
    assert {row["born"] for row in content(store, child)} == {1}
    assert len(content(store, parent)) == 100  # the parent's own files stand


def test_a_partition_that_lost_every_row_keeps_its_name(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    parent = plan(store, rows_of(100))
    kept = set(ids(parent)[1])
    rows = [row for row in rows_of(100) if f"{row.digest}-0" in kept]
    child = plan(store, rows, parent, 2)
    assert ids(child) == [(), ids(parent)[1]]
    assert load_partition(store, child.partitions[0]).num_rows == 0


def test_one_copy_more_of_a_row_is_one_new_row(tmp_path: Path) -> None:
    store, row = FileStore(tmp_path), source_row(conversation("Hi.", "Hi."))
    parent = plan(store, at_lines([row, row]))
    child = plan(store, at_lines([row, row, row]), parent, 2)
    assert [len(item) for item in ids(child)] == [2, 1]
    assert ids(plan(store, [row], child, 3)) == [(ids(parent)[0][0],), ()]


def test_a_source_that_shares_almost_nothing_is_a_conflict(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    parent = plan(store, rows_of(100))
    with pytest.raises(ConflictError) as caught:
        plan(store, [*rows_of(5), *rows_of(95, 1000)], parent, 2)
    for part in (
        str(tmp_path),
        "of its 100 rows only 5",
        "among the 100",
        "output.same_lineage=true",
    ):
        assert part in str(caught.value)
    child = plan(store, [*rows_of(5), *rows_of(95, 1000)], parent, 2, same_lineage=True)
    assert child.rows == 100
    assert plan(store, [*rows_of(10), *rows_of(90, 1000)], parent, 2).rows == 100
    assert plan(store, [*rows_of(100), *rows_of(2000, 1000)], parent, 2).rows == 2100  # it grew
    assert plan(store, rows_of(3), parent, 2).rows == 3  # it shrank


def test_a_refused_source_leaves_nothing_in_the_corpus(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    parent = plan(store, rows_of(100))
    files = store.list("")
    with pytest.raises(ConflictError):
        plan(store, rows_of(100, 1000), parent, 2)
    assert store.list("") == files


def spoil(store: FileStore, path: str, damage: str) -> None:
    data = store.get(path)
    if damage == "gone":
        store.delete(path)
    elif damage == "torn":
        store.put(path, data[: len(data) // 2])
    else:
        store.put(path, data[:99] + bytes([data[99] ^ 1]) + data[100:])


@pytest.mark.parametrize("damage", ["gone", "torn", "one bit"])
def test_a_damaged_input_file_is_written_again(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = FileStore(tmp_path)
    parent = plan(store, rows_of(150))
    expected = content(store, parent)
    spoil(store, parent.partitions[1].file, damage)
    with caplog.at_level(logging.WARNING):
        child = plan(store, rows_of(150), parent, 2)
    assert f"{parent.partitions[1].file} is damaged or gone; it is written again" in caplog.text
    assert child == parent
    assert content(store, child) == expected


def test_a_damaged_input_file_keeps_its_rows_born_and_drops_those_that_are_gone(
    tmp_path: Path,
) -> None:
    store = FileStore(tmp_path)
    parent = plan(store, rows_of(100))
    spoil(store, parent.partitions[0].file, "gone")
    child = plan(store, [*rows_of(80), *rows_of(20, 100)], parent, 2)
    assert [item.born for item in child.partitions] == [1, 1, 2]
    assert set(ids(child)[0]) < set(ids(parent)[0])
    assert sum(map(len, ids(child)[:2])) == 80
    assert ids(child)[0] == tuple(key for key in ids(parent)[0] if key in ids(child)[0])


def covered(found: Plan, split: str) -> list[str]:
    return [name for shard in found.shards if shard.split == split for name in shard.partitions]


@pytest.mark.parametrize(
    ("eval_fraction", "splits"), [(0.0, {"train"}), (0.25, {"train", "eval"}), (1.0, {"eval"})]
)
def test_every_partition_is_in_one_shard_of_each_split_that_has_rows(
    tmp_path: Path, eval_fraction: float, splits: set[str]
) -> None:
    found = plan(FileStore(tmp_path), rows_of(300), eval_fraction=eval_fraction, target_bytes=10**7)
    names = [item.name for item in found.partitions]
    assert {shard.split for shard in found.shards} == splits
    for split in splits:
        assert covered(found, split) == names
        numbers = [shard.number for shard in found.shards if shard.split == split]
        assert numbers == list(range(len(numbers)))


def test_shards_are_runs_of_about_the_wanted_size(tmp_path: Path) -> None:
    found = plan(FileStore(tmp_path), rows_of(640), eval_fraction=0.5, target_bytes=3_000_000)
    seconds = {item.name: item.seconds for item in found.partitions}
    trains = [shard for shard in found.shards if shard.split == "train"]
    sizes = [sum(seconds[name] for name in shard.partitions) * 17_600 / 2 for shard in trains]
    assert len(sizes) > 2
    assert all(len(shard.partitions) > 1 for shard in trains[:-1])
    assert all(size <= 3_000_000 for size in sizes)


def test_shards_inherit(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    parent = plan(store, rows_of(100))
    child = plan(store, rows_of(200), parent, 2)
    assert child.shards[: len(parent.shards)] == parent.shards
    added = child.shards[len(parent.shards) :]
    assert [shard.name for shard in added] == ["train-000001", "eval-000001"]
    assert {name for shard in added for name in shard.partitions} == {"p000002", "p000003"}
    assert plan(store, rows_of(60), child, 3, target_bytes=1).shards == child.shards


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.25), (1.0, 0.25), (0.25, 0.25)])
def test_a_child_with_another_split_has_a_shard_for_every_row(
    tmp_path: Path, before: float, after: float
) -> None:
    """Else its rows would be accepted and in no shard, and the build would end with an error."""
    store = FileStore(tmp_path)
    parent = plan(store, rows_of(100), eval_fraction=before)
    child = plan(store, rows_of(200), parent, 2, eval_fraction=after)
    for split in ("train", "eval"):
        assert sorted(covered(child, split)) == [item.name for item in child.partitions]


def test_a_plan_survives_its_file_and_notices_damage(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    found = plan(store, rows_of(70))
    manifest: Any = {"plan": write_plan(store, found)}
    assert read_plan(store, manifest) == found
    store.put(manifest["plan"]["name"], found.to_bytes().replace(b"p000000", b"p000009", 1))
    with pytest.raises(DamageError, match="its sha256 is not the manifest's"):
        read_plan(store, manifest)


def test_the_digest_is_of_membership_and_shards_and_not_of_files(tmp_path: Path) -> None:
    found = plan(FileStore(tmp_path), rows_of(100))
    moved = [replace(item, file="elsewhere", sha256="0", seconds=9.0) for item in found.partitions]
    assert replace(found, partitions=tuple(moved)).digest == found.digest
    first, *others = found.partitions
    for changed in (
        replace(found, partitions=(replace(first, ids=Packed(first.ids[1:])), *others)),
        replace(found, partitions=(replace(first, born=2), *others)),
        replace(found, partitions=(replace(first, name="p000007"), *others)),
        replace(found, shards=found.shards[1:]),
    ):
        assert changed.digest != found.digest
