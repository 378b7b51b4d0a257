"""What is asked ahead, in which order, by how many threads; and that nothing else is done there."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.asking import HELD_BYTES, num_threads, rounds
from pipelines.engines.pieces import Pool, pieces_of
from pipelines.evaluate import Evaluator
from pipelines.fingerprint import fingerprint
from pipelines.graph import Pipeline
from pipelines.memo import Memo
from pipelines.packed import Packed
from pipelines.plan import FLAC_BYTES_PER_S, Partition
from pipelines.replies import StoreDesk
from pipelines.task import RunPartition, RunSteps, State
from pipelines.watch import Watch
from schemas.store import FileStore
from tests.builders import checking, conversation, pipeline, planned_table
from tests.fakes import ears_endpoint, tone_endpoint
from transforms.ask_synthesize import AskSynthesize
from transforms.ask_transcribe import AskTranscribe
from transforms.backends.chat.protocol import ChatError, RequestRefused
from transforms.checks import Checks

ROWS = planned_table(
    [conversation(f"Tell me about the number {n}.", f"It follows {n - 1}.") for n in range(1, 7)]
)


def asking() -> Pipeline:
    """Voices and ears behind services."""
    checks = Checks(recognizer=ears_endpoint(), asr_fraction=1.0)
    return pipeline(backends=(tone_endpoint(),), checks=checks, augment=None)


def partition(rows: int = 16, seconds: float = 100.0) -> Partition:
    ids = Packed(str(n) for n in range(rows))
    return Partition(name="p0", file="inputs/p0", sha256="", ids=ids, born=1, seconds=seconds)


def shown(nodes: Pipeline, until: str | None = None) -> list[tuple[Any, ...]]:
    found = rounds(nodes, until)
    return [(one.name, [s.name for s in one.steps], one.after, one.waits_for) for one in found]


def test_what_needs_speech_is_a_round_of_its_own_after_a_pass() -> None:
    assert shown(asking()) == [
        ("ask to synthesize", ["synthesize"], "listen", None),
        ("ask to transcribe", ["transcribe"], "compare", "transcribe"),
    ]
    assert shown(asking(), "transcribe") == shown(asking())[:1]
    assert shown(asking(), "synthesize") == []
    heard = pipeline(checks=Checks(recognizer=ears_endpoint(), asr_fraction=1.0))
    assert shown(heard) == shown(asking())[1:]


def test_a_pass_that_only_makes_speech_leaves_what_stands_alone_on_every_engine() -> None:
    task = RunPartition(
        state=State(artifacts={}, fingerprints={}),
        partition=partition(),
        until="transcribe",
        num_partitions=1,
        fresh_only=True,
    )
    first, *rest = pieces_of(asking(), task, {"synthesize": Pool(gpus=1)})
    cut = first.of([task])
    assert isinstance(cut, RunSteps)
    assert cut.fresh_only
    assert rest[-1].of([task]) == task
    assert task.fresh
    assert not replace(task, fresh_only=False).fresh
    assert replace(task, fresh_only=False, until=None).fresh


def test_a_pipeline_that_asks_nobody_has_no_round() -> None:
    assert shown(pipeline()) == []
    assert shown(checking()) == []


def step_of(kind: type[Any]) -> Any:
    return next(node for node in asking().nodes if isinstance(node, kind))


def test_threads_keep_the_requests_in_flight_and_memory_bounded() -> None:
    speak, hear = step_of(AskSynthesize), step_of(AskTranscribe)
    many = [partition()] * 1000
    assert num_threads([speak], [partition(rows=1)] * 1000) == 8  # 2 x 8 in flight over 2 turns
    assert num_threads([speak], many[:1]) == 1
    rarely = replace(hear, fraction=0.01)
    assert num_threads([rarely], [partition(rows=4)] * 1000) == 16
    for seconds in (10.0, 1000.0, 1e6):
        held = num_threads([rarely], [partition(4, seconds)] * 1000) * seconds * FLAC_BYTES_PER_S
        assert held <= HELD_BYTES or seconds == 1e6  # one partition at a time, whatever it holds
    assert num_threads([rarely], [partition(4, 1e6)] * 1000) == 1


def evaluator(nodes: Pipeline, folder: Path, scratch: str = "run") -> Evaluator:
    store = FileStore(folder)
    prints = {step.name: fingerprint(step, {}) for step in nodes.steps() if not step.uses}
    return Evaluator(
        nodes,
        Memo(store),
        prints,
        {},
        desk=lambda name: StoreDesk(store, name, scratch=scratch),
    )


def kept(folder: Path, under: str) -> set[str]:
    return {path.stem for path in (folder / under).rglob("*") if path.is_file()}


def test_speech_is_asked_for_ahead_and_made_of_the_same_replies_later(tmp_path: Path) -> None:
    nodes = asking()
    ahead, plain = evaluator(nodes, tmp_path / "a"), evaluator(nodes, tmp_path / "b")
    artifacts = {"duplicates": _duplicates(nodes)}
    ahead.artifacts = plain.artifacts = artifacts
    prints = {step.name: fingerprint(step, {"duplicates": "x"}) for step in nodes.steps()[:9]}
    ahead.fingerprints = plain.fingerprints = prints
    tables, stats = ahead.evaluate(ROWS, "p0", "listen", Watch(ahead=True))
    assert stats["synthesize"].computed == 0
    assert not (tmp_path / "a" / "memo").exists() or "synthesize" not in str(
        list((tmp_path / "a" / "memo").iterdir())
    )
    sent = kept(tmp_path / "a", "replies")
    assert len(sent) == 12
    errors = tables["utterances"].column("synthesize_error").to_pylist()
    assert {error["error_class"] for error in errors} == {"NotComputed"}
    made, _ = ahead.evaluate(ROWS, "p0", "listen", Watch())
    other, _ = plain.evaluate(ROWS, "p0", "listen", Watch())
    assert kept(tmp_path / "a", "replies") == sent == kept(tmp_path / "b", "replies")
    assert made["utterances"].equals(other["utterances"])
    ahead.close()
    plain.close()


def _duplicates(nodes: Pipeline) -> bytes:
    fit = nodes.fits()[0]
    tables, _ = Evaluator(nodes, None, {}, {}).evaluate(ROWS, "p0", fit.name)
    batch = pa.Table.to_batches(tables[fit.table].select(fit.reads.names).combine_chunks())[0]
    return fit.finalize(fit.merge([fit.partial(batch, 1)]))


def test_a_failure_is_known_to_its_own_run_alone(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    error = RequestRefused("not this one")
    StoreDesk(store, "p0", scratch="builds/one").fail("k", error)
    StoreDesk(store, "p0", scratch="builds/one").fail("m", ChatError("late", retryable=True))
    again = StoreDesk(store, "p0", scratch="builds/one")
    found = again.failure("k")
    assert type(found) is RequestRefused
    assert (str(found), found.retryable) == ("not this one", False)
    other = again.failure("m")
    assert other is not None
    assert other.retryable
    assert again.failure("n") is None
    assert StoreDesk(store, "p1", scratch="builds/one").failure("k") is None
    assert StoreDesk(store, "p0", scratch="builds/two").failure("k") is None
    assert StoreDesk(store, "p0").failure("k") is None


@pytest.mark.parametrize("name", ["synthesize", "transcribe"])
def test_the_memo_says_which_partitions_it_knows(tmp_path: Path, name: str) -> None:
    store = FileStore(tmp_path)
    store.put(f"memo/{name}-{'f' * 16}/p000001/a.pack", b"x")
    store.put(f"memo/{name}-{'e' * 16}/p000002/a.pack", b"x")
    assert Memo(store).partitions(name, "f" * 64) == {"p000001"}
