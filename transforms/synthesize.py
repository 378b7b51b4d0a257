"""Speaks every utterance with its voice; audio that the source carries is only re-encoded."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pyarrow as pa

from schemas.errors import RowError
from schemas.utterance import OWN_UNITS, SPEECH, UTTERANCE, VOICE
from transforms.attempts import Variation, variation
from transforms.backends.listening import Aligner
from transforms.backends.tts import (
    Paid,
    Say,
    Speaker,
    SpeechBackend,
    bit_stable,
    speak_all,
)
from transforms.environment import versions
from transforms.finish import Finish
from transforms.step import (
    Artifacts,
    BatchFn,
    Identity,
    Resources,
    SomeRowsFailed,
    Step,
    TableName,
)
from transforms.tries import Judge, Tries
from transforms.voices import FACTORS, VoiceBank


@dataclass(frozen=True, kw_only=True)
class Synthesize(Step):
    """Spoken text becomes the FLAC that ships, at ``sample_rate_hz``.

    What the sound depends on (voice, backend, library checksums) is in ``voice_digest``, a column
    that the step reads, so a changed voice redoes its own utterances and no others. Each result is
    checked, and tried again with another rate, seed and spelling while its score is under
    ``retry_below`` (transforms/attempts.py); all attempts are kept with their measures.

    Of ``own_voices``, ids, the tokens are kept from which their models made the speech. These are
    the tokens of one rate, so attempts of these voices differ in seed and spelling alone.
    """

    bank: VoiceBank
    backends: tuple[SpeechBackend, ...]
    sample_rate_hz: int
    seed: int = 0
    attempts: int = 1
    retry_below: float = 0.0
    aligner: Aligner | None = None  # None: attempts are judged by their sound alone
    finish: Finish | None = None  # None: what the voice said ships as it is
    own_voices: tuple[str, ...] = ()

    name: ClassVar[str] = "synthesize"
    version: ClassVar[int] = 2
    table: ClassVar[TableName] = "utterances"
    memo: ClassVar[bool] = True
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            *(UTTERANCE.field(name) for name in ("id", "turn", "lang")),
            *(UTTERANCE.field(name) for name in ("spoken_text", "audio", "audio_sha256")),
            UTTERANCE.field("provenance"),
            *VOICE,
        ]
    )
    resources: Resources = Resources(batch_rows=1)

    @property
    def writes(self) -> pa.Schema:
        """Of a pipeline that keeps no tokens, none."""
        return pa.schema([*SPEECH, *(OWN_UNITS if self.own_voices else ())])

    def identity(self) -> Identity:
        return {
            "sample_rate_hz": self.sample_rate_hz,
            "seed": self.seed,
            "attempts": self.attempts,
            "retry_below": self.retry_below,
            "aligner": None if self.aligner is None else self.aligner.identity(),
            **({} if self.finish is None else {"finish": self.finish.identity()}),
            **({"own_voices": sorted(self.own_voices)} if self.own_voices else {}),
            **versions("soundfile", "soxr", "numpy"),
        }

    @property
    def first_counts(self) -> bool:
        used = {voice.backend for voice in self.bank.voices}
        return any(not bit_stable(item) for item in self.backends if item.name in used)

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        with self._opened(self.backends) as (speakers, judge):

            def synthesize(batch: pa.RecordBatch) -> pa.RecordBatch:
                rows = [settled for settled, _ in self._spoken(batch.to_pylist(), speakers, judge)]
                return _whole(rows, self.writes)

            yield synthesize

    @contextmanager
    def _opened(
        self, backends: Iterable[SpeechBackend]
    ) -> Iterator[tuple[dict[str, Speaker], Judge]]:
        """The speakers that the bank's voices need, by backend; and what judges an attempt."""
        import soundfile  # noqa: F401 - slow to load, so not on the first row's time
        import soxr  # noqa: F401

        used = {voice.backend for voice in self.bank.voices}
        with ExitStack() as stack:
            speakers: dict[str, Speaker] = {
                backend.name: stack.enter_context(backend.open())
                for backend in backends
                if backend.name in used
            }
            aligner = None if self.aligner is None else stack.enter_context(self.aligner.open())
            finish = None if self.finish is None else stack.enter_context(self.finish.open())
            yield (
                speakers,
                Judge(
                    sample_rate_hz=self.sample_rate_hz,
                    retry_below=self.retry_below,
                    langs=() if self.aligner is None else self.aligner.langs,
                    unrecognizable=self.bank.unrecognizable,
                    aligner=aligner,
                    finish=finish,
                ),
            )

    def _spoken(
        self, rows: list[dict[str, Any]], speakers: Mapping[str, Speaker], judge: Judge
    ) -> list[tuple[dict[str, Any] | RowError, list[tuple[int, Paid]]]]:
        """For each row its columns or its error, and the calls (attempt, paid) behind it.

        Attempts are made in rounds, so that those of many rows are one batch of a model.
        """
        tries = [Tries(row) for row in rows]
        for item in tries:
            if item.row["audio"] is not None:
                item.take_source(self.sample_rate_hz)
        for number in range(self.attempts):
            for backend, batch in self._round(tries, number).items():
                results = speak_all(speakers[backend], [say for _, _, say in batch])
                for (item, how, _), said in zip(batch, results, strict=True):
                    item.attempted(how, said, judge)
        return [(item.settled(self.sample_rate_hz), item.paid) for item in tries]

    def _round(
        self, tries: Iterable[Tries], number: int
    ) -> dict[str, list[tuple[Tries, Variation, Say]]]:
        """What the attempt ``number`` of those that still wait is to say, by backend."""
        voices = {voice.id: voice for voice in self.bank.voices}
        batches: dict[str, list[tuple[Tries, Variation, Say]]] = {}
        for item in tries:
            if item.waiting:
                row = item.row
                lang, text = row["lang"], row["spoken_text"]
                how = variation(number, text, lang, self.seed, row["id"], row["turn"])
                voice = voices[row["voice"]]
                own = voice.id in self.own_voices
                how = replace(how, rate=1.0) if own else how
                rate = min(FACTORS[1], max(FACTORS[0], voice.spec.rate * how.rate))
                say = Say(how.text, replace(voice.spec, rate=rate, seed=how.seed), own)
                batches.setdefault(voice.backend, []).append((item, how, say))
        return batches


def _whole(rows: list[dict[str, Any] | RowError], schema: pa.Schema) -> pa.RecordBatch:
    """The rows as one batch; their errors, where there are any."""
    if not any(isinstance(row, RowError) for row in rows):
        return pa.RecordBatch.from_pylist(rows, schema=schema)
    if len(rows) == 1:
        assert isinstance(rows[0], RowError)
        raise rows[0]
    raise SomeRowsFailed(
        [
            row if isinstance(row, RowError) else pa.RecordBatch.from_pylist([row], schema=schema)
            for row in rows
        ]
    )
