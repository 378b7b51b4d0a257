"""The memo: keys of what a step reads, packs that notice their own damage, failures that expire."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.evaluate import Evaluator
from pipelines.graph import Pipeline
from pipelines.memo import KEY, Memo, pack_bytes, row_keys, unpack
from schemas.columns import error_field, failure
from schemas.conversation import Conversation
from schemas.errors import DamageError
from schemas.store import FileStore
from tests.builders import conversation, heard, pipeline, planned_table
from tests.fakes import Tone
from transforms.respond import Respond

SCHEMA = pa.schema(
    [KEY, pa.field("said", pa.string()), pa.field("toy_error", error_field("").type)]
)
WHERE = ("toy", "f" * 64, "p000000")


def pack(**rows: Any) -> pa.Table:
    """A pack of the step "toy": by key a text, or the error that the row ended with."""
    return pa.Table.from_pylist(
        [
            {"key": key, "said": None, "toy_error": value}
            if isinstance(value, dict)
            else {"key": key, "said": value, "toy_error": None}
            for key, value in rows.items()
        ],
        schema=SCHEMA,
    )


def failed(generation: int = 0, *, retryable: bool = True) -> Any:
    return failure("toy", "Odd", "it was odd", retryable=retryable, generation=generation)


@pytest.fixture
def memo(tmp_path: Path) -> Memo:
    return Memo(FileStore(tmp_path))


def held(memo: Memo, generation: int = 0, where: tuple[str, str, str] = WHERE) -> dict[str, Any]:
    """What a lookup finds, by key."""
    found = memo.lookup(*where, SCHEMA, generation)
    said, errors = found.table["said"].to_pylist(), found.table["toy_error"].to_pylist()
    return {key: said[row] or errors[row] for key, row in found.rows.items()}


def batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows)


ROW = {"id": "a", "size": 1, "ratio": 0.5, "audio": b"x", "turns": [{"text": "t", "audio": b"y"}]}


def test_every_column_that_is_read_counts() -> None:
    rows = [
        ROW,
        ROW | {"id": "b"},
        ROW | {"id": None},
        ROW | {"size": 2},
        ROW | {"ratio": 0.25},
        ROW | {"audio": b"z"},
        ROW | {"audio": None},
        ROW | {"turns": [{"text": "u", "audio": b"y"}]},
        ROW | {"turns": [{"text": "t", "audio": b"z"}]},
        ROW | {"turns": [{"text": "t", "audio": None}]},
        ROW | {"turns": []},
    ]
    assert len(set(row_keys(batch(rows)))) == len(rows)


def test_a_key_is_of_the_row_alone_wherever_it_stands() -> None:
    rows = [ROW | {"id": letter} for letter in "abcd"]
    keys = row_keys(batch(rows))
    assert row_keys(batch(rows[::-1])) == keys[::-1]
    assert row_keys(batch(rows).slice(2, 1)) == keys[2:3]
    names = list(ROW)[::-1]
    assert row_keys(batch(rows).select(names)) == keys
    assert row_keys(batch(rows).slice(0, 0)) == []


def test_columns_do_not_run_together() -> None:
    rows = [{"a": "1", "b": "2"}, {"a": "2", "b": "1"}, {"a": "12", "b": ""}, {"a": "", "b": "12"}]
    assert len(set(row_keys(batch(rows)))) == 4
    assert row_keys(batch([{"a": "1"}])) != row_keys(batch([{"b": "1"}]))


def test_a_binary_column_counts_by_the_checksum_beside_it() -> None:
    sha256 = hashlib.sha256(b"x").hexdigest()
    beside = row_keys(batch([{"flac": b"x", "flac_sha256": sha256}]))
    assert beside == row_keys(batch([{"flac": b"not read", "flac_sha256": sha256}]))
    assert beside != row_keys(batch([{"flac": b"x", "flac_sha256": "0" * 64}]))


def computed(store: FileStore, rows: list[Conversation], **settings: Any) -> dict[str, int]:
    """How many rows each memo step computes."""
    nodes = pipeline(eval_fraction=0.0, **settings)
    short = Pipeline("short", nodes.nodes[2:10])  # split to listen: no fit step's artifact is read
    prints = dict.fromkeys((step.name for step in short.memo_steps()), "f" * 64)
    _, stats = Evaluator(short, Memo(store), prints, {}).evaluate(
        planned_table(rows), "p000000", None
    )
    return {step.name: stats[step.name].computed for step in short.memo_steps()}


FIRST = [conversation("Name a color.", "Blue."), conversation("Name an animal.", "A cat.")]
NOTHING = {"rewrite": 0, "respond": 0, "synthesize": 0, "listen": 0}


def test_keys_depend_on_the_columns_that_are_read_and_on_no_others(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    assert computed(store, FIRST) == {"rewrite": 2, "respond": 2, "synthesize": 4, "listen": 4}
    assert computed(store, FIRST) == NOTHING
    assert computed(store, FIRST[::-1]) == NOTHING  # another origin
    relabeled = [{**row, "license": "MIT", "source_id": "7"} for row in FIRST]
    # Another id, which rewrite reads for its fillers and cast for its voices; nobody else.
    again = computed(store, relabeled)  # type: ignore[arg-type]
    assert (again["rewrite"], again["respond"]) == (2, 0)
    assert computed(store, [FIRST[0], conversation("Name an animal.", "A dog.")])["respond"] == 1


def test_a_changed_backend_computes_speech_and_what_hears_it(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    computed(store, FIRST)
    again = computed(store, FIRST, backends=(Tone(salt="new"),))
    assert again == {"rewrite": 0, "respond": 0, "synthesize": 4, "listen": 4}


@given(st.data())
def test_a_damaged_pack_is_noticed_wherever_it_is_damaged(data: st.DataObject) -> None:
    good = bytes(pack_bytes(pack(a="1", b=failed())))
    assert unpack(good, "x").equals(pack(a="1", b=failed()))
    place = data.draw(st.integers(0, len(good) - 1), label="place")
    spoiled = bytearray(good)
    spoiled[place] ^= data.draw(st.integers(1, 255), label="bits")
    for broken in (bytes(spoiled), good[:place], good + b"\0", b""):
        with pytest.raises(DamageError, match="x: damaged; its checksum does not hold"):
            unpack(broken, "x")


def test_a_damaged_pack_is_removed_said_and_its_rows_computed_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FileStore(tmp_path)
    computed(store, FIRST)
    folder = Memo(store).folder("respond", "f" * 64, "p000000")
    (path,) = store.list(folder)
    good = store.get(path)
    store.put(path, good[:-1] + bytes([good[-1] ^ 1]))
    with caplog.at_level(logging.WARNING):
        assert computed(store, FIRST) == NOTHING | {"respond": 2}
    assert path in caplog.text
    assert "its rows are computed again" in caplog.text
    assert store.get(path) == good
    assert computed(store, FIRST) == NOTHING


def test_one_damaged_pack_costs_only_its_own_rows(memo: Memo) -> None:
    memo.put(*WHERE, pack(a="1", b="2"))
    memo.put(*WHERE, pack(c="3"))
    memo.put(*WHERE, pack(d="4"))
    damaged = memo.store.list("memo")[1]
    lost = unpack(memo.store.get(damaged), "x")["key"].to_pylist()
    memo.store.put(damaged, b"torn")
    assert held(memo) == {
        k: v for k, v in {"a": "1", "b": "2", "c": "3", "d": "4"}.items() if k not in lost
    }
    assert damaged not in memo.store.list("memo")


@pytest.mark.parametrize("name", ["step", "fingerprint", "partition"])
def test_packs_of_another_step_fingerprint_or_partition_are_not_seen(memo: Memo, name: str) -> None:
    memo.put(*WHERE, pack(a="1"))
    other = {
        "step": ("other", *WHERE[1:]),
        "fingerprint": ("toy", "e" * 64, WHERE[2]),
        "partition": (*WHERE[:2], "p000001"),
    }[name]
    schema = pa.schema(
        [
            item.with_name(f"{other[0]}_error") if item.name == "toy_error" else item
            for item in SCHEMA
        ]
    )
    assert memo.lookup(*other, schema, 0).rows == {}
    assert held(memo) == {"a": "1"}


def test_packs_of_another_schema_are_not_used(memo: Memo) -> None:
    memo.put(*WHERE, pack(a="1").drop_columns("said"))
    memo.put(*WHERE, pack(b="2"))
    assert held(memo) == {"b": "2"}


def test_a_retryable_failure_holds_within_its_generation_only(memo: Memo) -> None:
    memo.put(*WHERE, pack(a=failed(0), b="fine", c=failed(0, retryable=False), d=failed(1)))
    assert set(held(memo, 0)) == {"a", "b", "c", "d"}
    assert set(held(memo, 1)) == {"b", "c", "d"}
    assert set(held(memo, 2)) == {"b", "c"}


def test_a_retried_row_takes_the_place_of_its_old_failure(memo: Memo) -> None:
    for order, (first, second) in enumerate([("abc", "a"), ("a", "abc"), ("a", "a")]):
        where = (*WHERE[:2], f"p00000{order}")
        memo.put(*where, pack(**dict.fromkeys(first, failed(0))))
        memo.put(*where, pack(**dict.fromkeys(second, "at last")))
        assert held(memo, 1, where) == dict.fromkeys(second, "at last")


def test_two_runs_of_the_same_rows_agree_on_their_pack(memo: Memo) -> None:
    memo.put(*WHERE, pack(a="1", b="2"))
    memo.put(*WHERE, pack(a="1", b="2"))
    assert len(memo.store.list("memo")) == 1
    assert held(memo) == {"a": "1", "b": "2"}


def test_a_turns_audio_is_part_of_the_key() -> None:
    rows = [conversation(heard("Hi.", clip), "Hello.") for clip in (b"1", b"2")]
    table = planned_table(rows).select(Respond.reads.names).combine_chunks()
    assert len(set(row_keys(table.to_batches()[0]))) == 2
