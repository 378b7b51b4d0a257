"""Transcription where a recognizer is behind an endpoint: its replies are committed first."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import pyarrow as pa

from schemas.columns import error_field, failure, field
from transforms.ask import CALLS_SUFFIX
from transforms.asks import AskFn, AsksSpeech, SendFn
from transforms.backends.asr_endpoint import ALL_ROWS, TranscriptionEndpoint
from transforms.backends.chat.desk import Desk
from transforms.backends.chat.office import Office
from transforms.backends.chat.protocol import ChatBackend
from transforms.backends.listening import Transcript
from transforms.step import Resources
from transforms.transcribe import TRANSCRIPTS, Transcribe

HEARING_CALL: Final = pa.struct(
    [
        field("turn", pa.int32(), "the turn that was heard", unit="turns"),
        field("attempt", pa.int32(), "0", unit="attempts"),
        field("key", pa.string(), "the request's key, under which the reply is kept"),
        field("asked", pa.string(), "the recognizer, by its part of the job: asr or second"),
        field("prompt_tokens", pa.int64(), "as the server counts; 0: not told", unit="tokens"),
        field("completion_tokens", pa.int64(), "as the server counts; 0: not told", unit="tokens"),
        field("audio_ms", pa.int64(), "of the clip", unit="milliseconds"),
    ]
)


@dataclass(frozen=True, kw_only=True)
class AskTranscribe(AsksSpeech, Transcribe):
    """As Transcribe. It writes its own error column: what was asked for a failed row is kept."""

    writes: ClassVar[pa.Schema] = pa.schema(
        [
            *TRANSCRIPTS,
            field(
                "transcribe" + CALLS_SUFFIX,
                pa.list_(pa.field("item", HEARING_CALL, nullable=False)),
                "what was asked for the row, in the order of the recognizers",
            ),
            error_field("transcribe"),
        ]
    )
    resources: Resources = Resources(batch_rows=ALL_ROWS)

    @property
    def services(self) -> tuple[ChatBackend, ...]:
        return tuple(dict.fromkeys(item.service for _, item in self._endpoints()))

    @property
    def requests_per_row(self) -> float:
        return super().requests_per_row * self.fraction * len(self._endpoints())

    def _endpoints(self) -> list[tuple[int, TranscriptionEndpoint]]:
        """With their places among the recognizers."""
        return [
            (place, item)
            for place, item in enumerate(self.recognizers)
            if isinstance(item, TranscriptionEndpoint)
        ]

    @contextmanager
    def open_ahead(self, office: Office) -> Iterator[SendFn]:
        """What sends the clips that servers are to hear."""

        def send(batch: pa.RecordBatch, desk: Desk) -> None:
            office.send(
                (item.service, desk, item.requests(self.clips(batch, item)))
                for _, item in self._endpoints()
            )

        yield send

    @contextmanager
    def open_asking(self, office: Office) -> Iterator[AskFn]:
        """The batch function, which takes the desk of the rows' partition too."""
        with ExitStack() as stack:
            local = {
                place: stack.enter_context(item.open())
                for place, item in enumerate(self.recognizers)
                if not isinstance(item, TranscriptionEndpoint)
            }

            def run(batch: pa.RecordBatch, desk: Desk) -> pa.RecordBatch:
                ears = [
                    item.ears(office, desk)
                    if isinstance(item, TranscriptionEndpoint)
                    else local[place]
                    for place, item in enumerate(self.recognizers)
                ]
                rows = batch.to_pylist()
                heard = self.heard(rows, ears)
                return pa.RecordBatch.from_pylist(
                    [self._written(row, found) for row, found in zip(rows, heard, strict=True)],
                    schema=self.writes,
                )

            yield run

    def _written(self, row: dict[str, Any], found: list[Transcript]) -> dict[str, Any]:
        calls = [
            {
                "turn": row["turn"],
                "attempt": 0,
                "key": request.key,
                "asked": getattr(recognizer, "setting", "").removeprefix("checks."),
                "prompt_tokens": request.prompt_tokens,
                "completion_tokens": request.completion_tokens,
                "audio_ms": request.audio_ms,
            }
            for recognizer, item in zip(self.recognizers, found, strict=True)
            for request in item.requests
        ]
        problem = next((item.error for item in found if item.error is not None), None)
        error = None
        if problem is not None:
            kind, told = type(problem).__name__, str(problem)[:500]
            error = failure(self.name, kind, told, retryable=problem.retryable)
        return {
            **self.columns(row, found),
            "transcribe" + CALLS_SUFFIX: calls,
            "transcribe_error": error,
        }
