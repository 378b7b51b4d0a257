"""What a source has in common with a parent, found one bucket at a time."""

from dataclasses import replace
from pathlib import Path

from pipelines.before import Before, overlap
from pipelines.plan import Plan
from pipelines.planning import make_plan
from pipelines.spool import BUCKETS, spool
from schemas.store import FileStore
from tests.builders import Row, conversation, source_row

ROWS = [source_row(conversation(f"Question {n}?", f"Answer {n}.")) for n in range(100)]


def plan(tmp_path: Path, rows: list[Row]) -> Plan:
    return make_plan(rows, FileStore(tmp_path), None, 1, target_bytes=10**9, eval_fraction=0.0)


def test_every_row_is_found_where_it_stands_and_no_other(tmp_path: Path) -> None:
    parent = plan(tmp_path, ROWS)
    before = Before(parent)
    for partition in parent.partitions:
        for key in partition.ids:
            standing = before.find(key)
            assert standing is not None
            assert standing.partition == partition.name
    assert before.find(f"{ROWS[0].digest}-1") is None
    assert Before(None).find(f"{ROWS[0].digest}-0") is None


def test_buckets_part_the_rows(tmp_path: Path) -> None:
    before = Before(plan(tmp_path, ROWS))
    sizes = [len(before.rows_of(bucket)) for bucket in range(BUCKETS)]
    assert sum(sizes) == len(ROWS)
    assert max(sizes) < 10


def test_what_is_gone_counts_though_its_bucket_is_empty(tmp_path: Path) -> None:
    before = Before(plan(tmp_path, ROWS))
    folder = tmp_path / "spool"
    folder.mkdir()
    new = source_row(conversation("New?", "Yes."))
    spool([*ROWS[:3], new], folder)
    found = overlap(folder, before)
    assert (found.familiar, found.present) == (3, 3)
    assert found.gone == {f"{row.digest}-0" for row in ROWS[3:]}


def test_an_id_that_says_something_else_is_familiar_and_gone(tmp_path: Path) -> None:
    key = f"{ROWS[0].digest}-0"
    before = Before(plan(tmp_path, [replace(ROWS[1], key=key), ROWS[2]]))
    folder = tmp_path / "spool"
    folder.mkdir()
    spool([replace(ROWS[3], key=key), ROWS[2]], folder)
    found = overlap(folder, before)
    assert (found.familiar, found.present, found.gone) == (2, 1, {key})
