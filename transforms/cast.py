"""Casts a voice for every utterance: one per speaker of a conversation, stable within it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import pyarrow as pa

from schemas.utterance import MANNER, UTTERANCE, VOICE
from transforms.backends.tts import SpeechBackend, honored
from transforms.randomness import draw
from transforms.step import Artifacts, BatchFn, Identity, Step, TableName
from transforms.voices import VoiceBank, choose, voice_digest

NO_MANNER: Final[dict[str, Any]] = {"style": "", "emotion": "", "manner_ignored": []}


@dataclass(frozen=True, kw_only=True)
class Cast(Step):
    """Draws from the bank by weight and quota, from (seed, row id, role).

    Source audio keeps its speaker.
    """

    seed: int
    bank: VoiceBank
    backends: tuple[SpeechBackend, ...]

    name: ClassVar[str] = "cast"
    table: ClassVar[TableName] = "utterances"
    reads: ClassVar[pa.Schema] = pa.schema(
        [UTTERANCE.field(name) for name in ("id", "role", "lang", "split", "audio_sha256")]
    )
    writes: ClassVar[pa.Schema] = pa.schema([*VOICE, *MANNER])

    def identity(self) -> Identity:
        digests = self.digests()
        bank = [{**voice.facts(), "digest": digests[voice.id]} for voice in self.bank.voices]
        told: dict[str, Any] = {"seed": self.seed, "bank": bank}
        if self.bank.quotas:  # a bank without any keeps its fingerprint
            told["quotas"] = [quota.facts() for quota in self.bank.quotas]
        return told

    def digests(self) -> dict[str, str]:
        """For each voice of the bank, the hash of all that its sound depends on."""
        backends = {backend.name: backend for backend in self.backends}
        return {
            voice.id: voice_digest(voice, backends[voice.backend].identity(voice.spec))
            for voice in self.bank.voices
        }

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        digests = self.digests()
        honors = {backend.name: honored(backend) for backend in self.backends}

        def cast(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows = []
            for row in batch.to_pylist():
                if row["audio_sha256"]:
                    rows.append({"voice": "", "speaker_id": "", "voice_digest": "", **NO_MANNER})
                    continue
                voice = choose(
                    self.bank,
                    role=row["role"],
                    lang=row["lang"],
                    split=row["split"],
                    draw=draw(self.seed, "cast", row["id"], row["role"]),
                )
                rows.append(
                    {
                        "voice": voice.id,
                        "speaker_id": voice.speaker_id,
                        "voice_digest": digests[voice.id],
                        "style": voice.style,
                        "emotion": voice.emotion,
                        "manner_ignored": voice.ignored(honors[voice.backend]),
                    }
                )
            return pa.RecordBatch.from_pylist(rows, schema=self.writes)

        yield cast
