"""Synthesis where some voices are behind an endpoint: the replies are committed, and counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from schemas.columns import error_field, failure, field
from schemas.errors import RowError
from transforms.ask import CALLS_SUFFIX
from transforms.asks import AskFn, AsksSpeech, SendFn
from transforms.backends.chat.desk import Desk
from transforms.backends.chat.office import Office
from transforms.backends.chat.protocol import ChatBackend
from transforms.backends.tts import Paid
from transforms.backends.tts_endpoint import ALL_ROWS, SpeechEndpoint
from transforms.step import Resources
from transforms.synthesize import Synthesize
from transforms.tries import Tries

SPEECH_CALL: Final = pa.struct(
    [
        field("turn", pa.int32(), "the turn it was asked for", unit="turns"),
        field("attempt", pa.int32(), "0, or the number of the attempt", unit="attempts"),
        field("key", pa.string(), "the request's key, under which the reply is kept"),
        field("asked", pa.string(), "the backend, by its name in the job"),
        field("characters", pa.int64(), "of the text", unit="characters"),
        field("prompt_tokens", pa.int64(), "as the server counts; 0: not told", unit="tokens"),
        field("completion_tokens", pa.int64(), "as the server counts; 0: not told", unit="tokens"),
        field("audio_ms", pa.int64(), "of the speech that came", unit="milliseconds"),
    ]
)
ASKED: Final = pa.schema(
    [
        field(
            "synthesize" + CALLS_SUFFIX,
            pa.list_(pa.field("item", SPEECH_CALL, nullable=False)),
            "what was asked for the row, in order",
        ),
        error_field("synthesize"),
    ]
)
NOTHING: Final[dict[str, Any]] = {
    "flac": b"",
    "flac_sha256": "",
    "sample_rate_hz": 0,
    "num_samples": 0,
    "audio_provenance": "",
    "attempts": [],
    "words": [],
    "augmentation": "",
    "own_codes": None,
}


@dataclass(frozen=True, kw_only=True)
class AskSynthesize(AsksSpeech, Synthesize):
    """As Synthesize. It writes its own error column: what was paid for a failed row is kept too."""

    resources: Resources = Resources(batch_rows=ALL_ROWS)

    @property
    def writes(self) -> pa.Schema:
        """Of a pipeline that keeps no tokens, none."""
        return pa.schema([*super().writes, *ASKED])

    @property
    def services(self) -> tuple[ChatBackend, ...]:
        return tuple(dict.fromkeys(item.service for item in self._endpoints()))

    def _endpoints(self) -> list[SpeechEndpoint]:
        used = {voice.backend for voice in self.bank.voices}
        return [
            item for item in self.backends if isinstance(item, SpeechEndpoint) and item.name in used
        ]

    @contextmanager
    def open_ahead(self, office: Office) -> Iterator[SendFn]:
        """What sends the first attempt of each row; whether there is another is not known yet."""
        asking = {item.name: item for item in self._endpoints()}

        def send(batch: pa.RecordBatch, desk: Desk) -> None:
            wanted = self._round([Tries(row) for row in batch.to_pylist()], 0)
            office.send(
                (asking[name].service, desk, asking[name].requests([say for _, _, say in says]))
                for name, says in wanted.items()
                if name in asking
            )

        yield send

    @contextmanager
    def open_asking(self, office: Office) -> Iterator[AskFn]:
        """The batch function, which takes the desk of the rows' partition too."""
        asking = self._endpoints()
        others = [item for item in self.backends if not isinstance(item, SpeechEndpoint)]
        backend = {voice.id: voice.backend for voice in self.bank.voices}
        with self._opened(others) as (speakers, judge):

            def run(batch: pa.RecordBatch, desk: Desk) -> pa.RecordBatch:
                here = {item.name: item.speaker(office, desk) for item in asking}
                rows = batch.to_pylist()
                done = self._spoken(rows, {**speakers, **here}, judge)
                return pa.RecordBatch.from_pylist(
                    [
                        _columns(row["turn"], backend.get(row["voice"], ""), *one)
                        for row, one in zip(rows, done, strict=True)
                    ],
                    schema=self.writes,
                )

            yield run


def _columns(
    turn: int,
    asked: str,
    settled: dict[str, Any] | RowError,
    paid: list[tuple[int, Paid]],
) -> dict[str, Any]:
    calls = [
        {
            "turn": turn,
            "attempt": attempt,
            "key": call.key,
            "asked": asked,
            "characters": call.characters,
            "prompt_tokens": call.prompt_tokens,
            "completion_tokens": call.completion_tokens,
            "audio_ms": call.audio_ms,
        }
        for attempt, call in paid
    ]
    error = None
    if isinstance(settled, RowError):
        kind = type(settled).__name__
        error = failure("synthesize", kind, str(settled)[:500], retryable=settled.retryable)
        settled = NOTHING
    return {**settled, "synthesize_calls": calls, "synthesize_error": error}
