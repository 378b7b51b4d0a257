"""Synthesis in batches: rounds of attempts, rows that fail among others, results that stand."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.evaluate import Evaluator
from pipelines.fingerprint import fingerprint
from pipelines.memo import Memo
from pipelines.tables import live
from schemas.errors import SynthesisError
from schemas.store import FileStore
from tests.builders import BANK, corpus, inputs_of, pipeline, planned_table, run_step, utterances
from tests.fakes import Tone
from tests.sound import RATE_HZ, pcm16, sine
from transforms.backends.tts import Said, Say, Speech, VoiceSpec
from transforms.step import Resources, SomeRowsFailed
from transforms.synthesize import Synthesize


@dataclass(frozen=True)
class Choir(Tone):
    """A backend that notes its batches, refuses some texts, and may draw from no seed."""

    refuses: str = "\0"
    unsteady: bool = False
    batches: list[list[str]] = field(default_factory=list, compare=False)

    batch_rows = 8

    @property
    def bit_stable(self) -> bool:
        return not self.unsteady

    @contextmanager
    def open(self) -> Iterator["Choir"]:
        yield self

    def speak(self, text: str, voice: VoiceSpec) -> Speech:
        if self.unsteady:
            voice = replace(voice, seed=len(self.batches))
        return super().speak(text, voice)

    def speak_batch(self, items: Sequence[Say]) -> list[Said]:
        self.batches.append([item.text for item in items])
        found = []
        for item in items:
            if self.refuses in item.text:
                found.append(Said(None, SynthesisError("choir: not that", retryable=True)))
            else:
                found.append(Said(self.speak(item.text, item.voice)))
        return found


ARTIFACTS = inputs_of(pipeline(), planned_table(corpus()), "dedup")[1]
TEXTS = ("One.", "Two of them.", "A bad one.", "And a fourth.")


def step(backend: Choir, **changes: Any) -> Synthesize:
    settings: dict[str, Any] = {"resources": Resources(batch_rows=8), "attempts": 3}
    return Synthesize(bank=BANK, backends=(backend,), sample_rate_hz=RATE_HZ, **settings | changes)


def batch(made: Synthesize, *texts: str) -> pa.RecordBatch:
    rows = [{"id": f"r{n}", "spoken_text": text} for n, text in enumerate(texts)]
    return utterances(made.reads, *rows)


def test_attempts_are_rounds_and_only_what_failed_is_said_again() -> None:
    choir = Choir(refuses="bad")
    with pytest.raises(SomeRowsFailed, match="1 of 4 rows failed; the first: choir: not that"):
        run_step(step(choir), batch(step(choir), *TEXTS))
    assert choir.batches == [list(TEXTS), ["A bad one."], ["A bad one."]]


def test_the_rows_beside_a_failed_one_keep_their_results() -> None:
    choir = Choir(refuses="bad")
    with pytest.raises(SomeRowsFailed) as caught:
        run_step(step(choir), batch(step(choir), *TEXTS))
    alone = [run_step(step(Choir()), batch(step(Choir()), *TEXTS).slice(n, 1)) for n in range(4)]
    for place, row in enumerate(caught.value.rows):
        if isinstance(row, pa.RecordBatch):
            assert row.to_pylist() == alone[place]
        else:
            assert place == 2


def test_an_engine_fails_the_one_row_and_speaks_no_other_again(tmp_path: Path) -> None:
    choir = Choir(refuses="number three")
    nodes = pipeline(backends=(choir,))
    made = next(node for node in nodes.nodes if isinstance(node, Synthesize))
    assert made.resources.batch_rows == 8
    tables, _ = Evaluator(nodes, None, {}, ARTIFACTS).evaluate(
        planned_table(corpus()), "p", "listen"
    )
    table = tables["utterances"]
    errors = [error for error in table.column("synthesize_error").to_pylist() if error]
    assert {error["error_class"] for error in errors} == {"SynthesisError"}
    said = [text for one in choir.batches for text in one]
    spoken = sum(audio is None for audio in table.column("audio").to_pylist())
    assert len(said) == spoken
    assert sum(live(table).to_pylist()) == table.num_rows - len(errors) > 20


def test_of_what_is_not_bit_stable_the_first_committed_result_stands(tmp_path: Path) -> None:
    memo = Memo(FileStore(tmp_path))
    rows = planned_table(corpus()[:4])

    def run(backend: Choir, *, seen: bool) -> list[str]:
        nodes = pipeline(backends=(backend,))
        made = next(node for node in nodes.nodes if isinstance(node, Synthesize))
        assert made.first_counts
        prints = {item.name: fingerprint(item, {}) for item in nodes.memo_steps()[:3]}
        evaluator = Evaluator(nodes, memo, prints, ARTIFACTS)
        if not seen:  # as a driver that looked before the other had committed
            memo.lookup = lambda *a: replace(real(*a), rows={})  # type: ignore[method-assign]
        try:
            tables, _ = evaluator.evaluate(rows, "p", "listen")
        finally:
            memo.lookup = real  # type: ignore[method-assign]
        found: list[str] = tables["utterances"].column("flac_sha256").to_pylist()
        return found

    real = memo.lookup
    first = run(Choir(unsteady=True), seen=True)
    racing = Choir(unsteady=True, batches=[["x"], ["y"]])
    assert run(racing, seen=False) == first
    assert len(racing.batches) > 2  # it did speak, and other samples


def test_a_stable_backend_has_no_need_of_that() -> None:
    assert not step(Choir()).first_counts
    assert step(Choir(unsteady=True)).first_counts


def test_a_finish_is_in_the_identity_only_where_there_is_one() -> None:
    from transforms.finish import Finish

    plain, finished = step(Choir()), step(Choir(), finish=Finish(loudness_lufs=-23.0))
    assert "finish" not in plain.identity()
    assert finished.identity() != plain.identity()
    quiet = pcm16(sine(300.0, 0.6, peak=0.01))
    assert np.abs(quiet).max() < 400
    (row,) = run_step(finished, batch(finished, "Louder."))
    assert row["num_samples"] > 0
