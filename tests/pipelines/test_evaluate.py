"""Evaluation: a row fails alone, the dead are left alone, and nothing is computed twice."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.evaluate import Evaluator
from pipelines.graph import PLANNED, Pipeline
from pipelines.memo import Memo, unpack
from pipelines.tables import Tables
from pipelines.watch import StepStats, Watch
from schemas.columns import field, reason, reasons_field
from schemas.conformance import plain
from schemas.conversation import CONVERSATION
from schemas.errors import BackendError, RowError, SchemaError
from schemas.store import FileStore
from tests.builders import Toy, conversation, corpus, inputs_of, pipeline, planned_table, rowwise
from tests.sound import tone_flac
from transforms.step import Resources
from transforms.synthesize import Synthesize

READS = pa.schema([CONVERSATION.field("source_id")])
SAID = pa.schema([field("said", pa.string(), "")])
Result = tuple[Tables, dict[str, StepStats]]


def words(*names: str) -> pa.Table:
    """Rows that are told apart by their source_id alone."""
    return planned_table([conversation("Hi.", "Hi.", source_id=name) for name in names])


def saying(function: Callable[[str], str], name: str = "toy", **changes: Any) -> Toy:
    """A memo step that says something of each source_id."""
    settings: dict[str, Any] = {"memo": True, "resources": Resources(batch_rows=3)}
    run = rowwise(SAID, lambda row: {"said": function(row["source_id"])})
    return Toy(name=name, reads=READS, writes=SAID, run=run, **settings | changes)


class Counted:
    """Says each word in capitals, raises ``error`` at ``bad``, and remembers what it was shown."""

    def __init__(self, bad: str = "", error: BaseException | None = None) -> None:
        self.seen: list[str] = []
        self.bad, self.error = bad, error

    def __call__(self, word: str) -> str:
        self.seen.append(word)
        if word == self.bad and self.error is not None:
            raise self.error
        return word.upper()


def evaluate(rows: pa.Table, *nodes: Any, store: Path | None = None, **changes: Any) -> Result:
    memo = Memo(FileStore(store)) if store else None
    watch = changes.pop("watch", None)
    steps = Pipeline("test", nodes)
    prints = dict.fromkeys((node.name for node in nodes), "f" * 64)
    return Evaluator(steps, memo, prints, {}, **changes).evaluate(rows, "p000000", None, watch)


def said(result: Result, column: str = "said") -> list[Any]:
    found: list[Any] = result[0]["conversations"][column].to_pylist()
    return found


@pytest.mark.parametrize("batch_rows", [1, 2, 100])
@pytest.mark.parametrize("kept", [True, False], ids=["memo", "no memo"])
def test_a_row_that_raises_fails_alone(tmp_path: Path, batch_rows: int, kept: bool) -> None:
    step = saying(
        Counted("c", ZeroDivisionError("no luck with c")),
        resources=Resources(batch_rows=batch_rows),
    )
    result = evaluate(words(*"abcde"), step, store=tmp_path if kept else None, generation=2)
    assert said(result) == ["A", "B", None, "D", "E"]
    assert said(result, "toy_error") == [
        None,
        None,
        {
            "step": "toy",
            "error_class": "ZeroDivisionError",
            "message": "no luck with c",
            "retryable": True,
            "generation": 2,
        },
        None,
        None,
    ]


@pytest.mark.parametrize("retryable", [True, False])
def test_a_row_error_says_itself_whether_it_may_be_retried(retryable: bool) -> None:
    step = saying(Counted("a", RowError("bad", retryable=retryable)))
    (error, _) = said(evaluate(words("a", "b"), step), "toy_error")
    assert (error["error_class"], error["retryable"]) == ("RowError", retryable)


@pytest.mark.parametrize("error", [BackendError("no library"), KeyboardInterrupt()])
def test_what_is_no_rows_fault_ends_the_evaluation(error: BaseException) -> None:
    with pytest.raises(type(error)):
        evaluate(words("a", "b"), saying(Counted("b", error)))


def test_the_dead_are_not_shown_to_later_steps() -> None:
    rejecting = Toy(
        name="judge",
        reads=READS,
        writes=pa.schema([reasons_field("judge")]),
        run=rowwise(
            pa.schema([reasons_field("judge")]),
            lambda row: {
                "judge_reasons": [reason("judge", "odd")] if row["source_id"] == "b" else None
            },
        ),
    )
    early, late = Counted("c", ValueError("c")), Counted()
    rows = words(*"abcde")
    malformed = {
        "step": "source",
        "error_class": "E",
        "message": "",
        "retryable": False,
        "generation": 0,
    }
    errors = pa.array([None, None, None, malformed, None], PLANNED.field("source_error").type)
    rows = rows.set_column(rows.column_names.index("source_error"), "source_error", errors)
    renamed = pa.schema([field("later", pa.string(), "")])
    last = Toy(
        name="last",
        reads=pa.schema([*READS, *SAID]),
        writes=renamed,
        run=rowwise(renamed, lambda row: {"later": late(row["source_id"])}),
    )
    result = evaluate(rows, rejecting, saying(early), last)
    assert (set(early.seen), late.seen) == (set("ace"), list("ae"))
    assert said(result) == ["A", None, None, None, "E"]
    assert said(result, "later") == ["A", None, None, None, "E"]
    assert result[1]["last"].rows == 2


def test_equal_keys_are_computed_once(tmp_path: Path) -> None:
    speak = Counted()
    result = evaluate(words(*"abacab"), saying(speak), store=tmp_path)
    assert speak.seen == ["a", "b", "c"]
    assert said(result) == ["A", "B", "A", "C", "A", "B"]
    assert (result[1]["toy"].rows, result[1]["toy"].computed) == (6, 3)


@given(st.lists(st.sampled_from("abcdefgh"), max_size=9), st.lists(st.sampled_from("abcdefgh")))
def test_what_comes_from_the_memo_is_what_would_be_computed(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], rows: list[str]
) -> None:
    store, first, second = tmp_path_factory.mktemp("memo"), Counted(), Counted()
    bad = ValueError("d has no sound")
    first.bad = second.bad = "d"
    first.error = second.error = bad
    evaluate(words(*before), saying(first), store=store)
    fresh = evaluate(words(*rows), saying(Counted("d", bad)))
    kept = evaluate(words(*rows), saying(second), store=store)
    assert said(kept) == said(fresh)
    assert said(kept, "toy_error") == said(fresh, "toy_error")
    assert set(second.seen) == set(rows) - set(before)


def test_a_failure_is_kept_until_the_next_generation(tmp_path: Path) -> None:
    for generation, expected in ((0, ["a", "b"]), (0, []), (1, ["b"]), (1, []), (2, ["b"])):
        speak = Counted("b", ValueError("b"))
        evaluate(
            words("a", "b"),
            saying(speak, resources=Resources(batch_rows=1)),
            store=tmp_path,
            generation=generation,
        )
        assert speak.seen == expected


def test_looking_computes_nothing_and_says_what_is_missing(tmp_path: Path) -> None:
    evaluate(words("a", "b"), saying(Counted()), store=tmp_path)
    look, late = Counted(), Counted()
    after = pa.schema([field("later", pa.string(), "")])
    last = Toy(
        name="last",
        reads=SAID,
        writes=after,
        run=rowwise(after, lambda row: {"later": late(row["said"])}),
    )
    result = evaluate(words(*"cabdc"), saying(look), last, store=tmp_path, compute=False)
    assert look.seen == []
    assert (result[1]["toy"].missing, result[1]["toy"].computed) == (3, 0)
    assert said(result) == [None, "A", "B", None, None]
    errors = said(result, "toy_error")
    assert [error and error["error_class"] for error in errors] == [
        "NotComputed",
        None,
        None,
        "NotComputed",
        "NotComputed",
    ]
    assert late.seen == ["A", "B"]
    again = Counted()
    evaluate(words(*"cabdc"), saying(again), store=tmp_path)
    assert again.seen == ["c", "d"]  # a look keeps nothing, and no failure


def test_alone_each_row_is_named_and_kept_at_once(tmp_path: Path) -> None:
    entered: list[tuple[str, str]] = []
    dying = saying(Counted("c", KeyboardInterrupt()))
    watch = Watch(entering=lambda step, key: entered.append((step, key)), solo=True)
    with pytest.raises(KeyboardInterrupt):
        evaluate(words(*"abcde"), dying, store=tmp_path, watch=watch)
    packs = FileStore(tmp_path).list("memo")
    kept = [unpack(FileStore(tmp_path).get(path), path)["key"].to_pylist() for path in packs]
    assert sorted(kept) == sorted([key] for _, key in entered[:2])
    assert len(entered) == 3
    assert all(step == "toy" and key for step, key in entered)
    speak = Counted()
    result = evaluate(words(*"abcde"), saying(speak), store=tmp_path)
    assert speak.seen == ["c", "d", "e"]
    assert said(result) == list("ABCDE")


def test_together_a_batch_is_entered_without_a_name_and_all_rows_are_done(tmp_path: Path) -> None:
    entered: list[str] = []
    done: list[int] = []
    watch = Watch(
        entering=lambda step, key: entered.append(key), done=lambda step, rows: done.append(rows)
    )
    evaluate(words(*"abcdefg"), saying(Counted()), store=tmp_path, watch=watch)
    assert done == [3, 3, 1]
    assert entered[:2] == ["", ""]
    assert entered[2] != ""


@pytest.mark.parametrize("solo", [True, False])
def test_a_poisonous_row_fails_without_being_run(tmp_path: Path, solo: bool) -> None:
    entered: list[str] = []
    watch = Watch(entering=lambda step, key: entered.append(key), solo=True)
    evaluate(words(*"abc"), saying(Counted()), store=tmp_path / "scout", watch=watch)
    speak = Counted()
    poison = {("toy", entered[1]): ("worker_died", "toy ended its process: SIGSEGV")}
    watch = Watch(solo=solo, poison=poison)
    result = evaluate(words(*"abc"), saying(speak), store=tmp_path / "real", watch=watch)
    assert speak.seen == ["a", "c"]
    assert said(result) == ["A", None, "C"]
    error = said(result, "toy_error")[1]
    assert (error["error_class"], error["retryable"]) == ("worker_died", True)
    assert error["message"] == "toy ended its process: SIGSEGV"


def test_a_step_that_loses_rows_is_a_fault_of_the_step() -> None:
    step = Toy(
        name="thief",
        reads=READS,
        writes=SAID,
        run=lambda batch: rowwise(SAID, lambda row: {"said": ""})(batch.slice(1)),
    )
    with pytest.raises(SchemaError, match="thief got 3 rows and returned 2"):
        evaluate(words(*"abc"), step)


@pytest.mark.parametrize(
    ("column", "value", "said_"),
    [
        (pa.field("said", pa.int32()), 1, "toy writes column 'said': expected string, found int32"),
        (pa.field("other", pa.string()), "x", r"toy writes the columns \['other'\]; expected"),
        (pa.field("said", pa.string()), None, "toy writes column 'said': expected no nulls"),
    ],
    ids=["type", "name", "null"],
)
def test_a_step_that_breaks_its_word_is_a_fault_of_the_step(
    column: pa.Field, value: Any, said_: str
) -> None:
    run = rowwise(pa.schema([column]), lambda row: {column.name: value})
    with pytest.raises(SchemaError, match=said_):
        evaluate(words("a"), Toy(reads=READS, writes=SAID, run=run))


def test_steps_are_opened_once_and_only_if_there_is_something_to_do(tmp_path: Path) -> None:
    step = saying(Counted())
    nodes = Pipeline("test", (step,))
    evaluator = Evaluator(nodes, Memo(FileStore(tmp_path)), {"toy": "f" * 64}, {})
    evaluator.evaluate(words("a"), "p000000", None)
    opened = dict(evaluator._open)
    evaluator.evaluate(words("b"), "p000001", None)
    assert evaluator._open == opened
    evaluator.close()
    again = Evaluator(nodes, Memo(FileStore(tmp_path)), {"toy": "f" * 64}, {})
    again.evaluate(words("a"), "p000000", None)
    assert again._open == {}


def whole(rows: pa.Table, store: Path | None = None, **settings: Any) -> pa.Table:
    """The main pipeline's conversations, by id."""
    nodes = pipeline(**settings)
    _, artifacts = inputs_of(nodes, planned_table(corpus()), "units")
    prints = dict.fromkeys((step.name for step in nodes.steps()), "f" * 64)
    memo = Memo(FileStore(store)) if store else None
    tables, _ = Evaluator(nodes, memo, prints, artifacts).evaluate(rows, "p000000", None)
    return tables["conversations"].sort_by("id")


def test_the_order_of_rows_changes_nothing_in_the_main_pipeline(tmp_path: Path) -> None:
    rows = planned_table(corpus())
    shuffled = rows.take(random.Random(5).sample(range(rows.num_rows), rows.num_rows))
    expected = whole(rows)
    assert whole(shuffled).equals(expected)
    assert whole(shuffled.slice(0, 9), tmp_path).num_rows == 9
    assert whole(rows, tmp_path).equals(expected)  # nine of them from the memo


def test_a_partition_without_a_living_row_goes_through_the_main_pipeline() -> None:
    assert whole(plain(PLANNED).empty_table()).num_rows == 0
    dead = whole(planned_table([conversation("", "")]))
    assert dead["kept_turns"].to_pylist() == [None]


def test_a_dialogue_keeps_its_pairs_before_a_turn_that_cannot_be_said() -> None:
    row = conversation(
        "Say a word.", "A word.", "And some code?", "```\nx = f(y)\n```", "Again?", "Yes."
    )
    (found,) = whole(planned_table([row])).to_pylist()
    assert [item["code"] for item in found["dropped"] or []][:1] == ["code"]
    assert found["kept_turns"] == [0, 1]


def test_the_first_failed_utterance_fails_its_conversation_and_no_other() -> None:
    broken = {"role": "", "text": "Hi.", "input": "", "audio": b"no file", "provenance": "human"}
    good = {**broken, "audio": tone_flac()}
    rows = [
        conversation(good, "One."),  # type: ignore[arg-type]
        conversation(good, broken, broken, "Two."),  # type: ignore[arg-type]
        conversation("Three?", "Three."),
    ]
    table = planned_table(rows)
    states = {row["id"]: row for row in whole(table).to_pylist()}
    found = [states[key] for key in table["id"].to_pylist()]
    assert [row["kept_turns"] for row in found] == [[0, 1], None, [0, 1]]
    error = found[1]["gather_error"]
    assert (error["step"], error["error_class"]) == (Synthesize.name, "RowError")
    assert [row["gather_error"] for row in (found[0], found[2])] == [None, None]
    assert [item["turn"] for item in found[1]["utterances"]] == [0, 1, 2, 3]
