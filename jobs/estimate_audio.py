"""A guess of what services that speak and hear will be asked: calls, characters, audio, tokens."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from jobs.spending import HEARD, SPEECH
from pipelines.asking import BY, HEARING, SPEAKING
from pipelines.graph import Pipeline
from pipelines.planning import turn_seconds
from transforms.backends.asr_endpoint import TranscriptionEndpoint
from transforms.backends.tts_endpoint import SpeechEndpoint
from transforms.no_answers import NoAnswers
from transforms.split import Split
from transforms.synthesize import Synthesize
from transforms.text.language import base_code, is_known
from transforms.transcribe import Transcribe
from transforms.voices import Role, Voice, VoiceBank, lineup


@dataclass
class Asked:
    """What one service is asked for, in all. Attempts after the first are left aside."""

    calls: float = 0.0
    characters: float = 0.0
    audio_ms: float = 0.0

    def counted(self, factor: float, before: Mapping[str, Any] | None) -> dict[str, float]:
        """So many times that, with tokens by what the last run counted for a second of audio.

        ``before`` is the service's part of its run.json. Without tokens there, none are told.
        """
        found = {
            "calls": self.calls * factor,
            "characters": self.characters * factor,
            "audio_ms": self.audio_ms * factor,
        }
        if before is not None and before.get("audio_ms"):
            for name in ("prompt_tokens", "completion_tokens"):
                found[name] = found["audio_ms"] * before.get(name, 0) / before["audio_ms"]
        return found


@dataclass
class AudioCount:
    """Adds up what the rows that it sees ask of every service of a pipeline."""

    pipeline: Pipeline
    asked: dict[str, Asked] = field(default_factory=dict)  # as the ledger names services

    def __post_init__(self) -> None:
        nodes = self.pipeline.nodes
        self._speaking = next((node for node in nodes if isinstance(node, Synthesize)), None)
        self._hearing = next((node for node in nodes if isinstance(node, Transcribe)), None)
        self._eval = next((node.eval_fraction for node in nodes if isinstance(node, Split)), 0.0)
        self._answers = not any(isinstance(node, NoAnswers) for node in nodes)
        self._shares: dict[tuple[str, str], list[tuple[Voice, float]]] = {}

    def see(self, row: Mapping[str, Any]) -> None:
        """Add a row of the plan: its turns as they stand in the source."""
        for turn in row["turns"]:
            if turn["role"] == "system" or (turn["role"] == "assistant" and not self._answers):
                continue
            audio_ms = 1000 * turn_seconds(turn, row["lang"])
            if self._speaking is not None and not turn["audio"]:
                self._speak(self._speaking, turn, row["lang"], audio_ms)
            if self._hearing is not None:
                self._hear(self._hearing, turn, row["lang"], audio_ms)

    def _speak(self, step: Synthesize, turn: Mapping[str, Any], lang: str, audio_ms: float) -> None:
        characters = len(turn["text"]) + len(turn["input"])
        shares = self._voices(step.bank, turn["role"], lang)
        for backend in step.backends:
            share = math.fsum(share for v, share in shares if v.backend == backend.name)
            if isinstance(backend, SpeechEndpoint) and share:
                asked = self.asked.setdefault(f"{SPEAKING}{BY}{backend.name}", Asked())
                asked.calls += share * max(1, math.ceil(characters / backend.max_chars))
                asked.characters += share * characters
                asked.audio_ms += share * audio_ms

    def _hear(self, step: Transcribe, turn: Mapping[str, Any], lang: str, audio_ms: float) -> None:
        heard = step.fraction
        if self._speaking is not None and not turn["audio"]:
            voices = self._voices(self._speaking.bank, turn["role"], lang)
            heard *= math.fsum(s for v, s in voices if v.id not in step.unrecognizable)
        for recognizer in step.recognizers:
            known = base_code(lang) in recognizer.langs and is_known(lang)
            if isinstance(recognizer, TranscriptionEndpoint) and known and heard:
                part = recognizer.setting.removeprefix("checks.")
                asked = self.asked.setdefault(f"{HEARING}{BY}{part}", Asked())
                asked.calls += heard
                asked.audio_ms += heard * audio_ms

    def _voices(self, bank: VoiceBank, role: str, lang: str) -> list[tuple[Voice, float]]:
        """The voices that may speak there, with what part of the draws each gets."""
        if (role, lang) not in self._shares:
            found = []
            for split, part in (("train", 1 - self._eval), ("eval", self._eval)):
                here = lineup(bank, cast("Role", role), lang, split)  # type: ignore[arg-type]
                shares = zip(here.voices, here.shares, strict=True)
                found += [(voice, share * part) for voice, share in shares]
            self._shares[role, lang] = found
        return self._shares[role, lang]


def counted_before(run: Mapping[str, Any] | None, service: str) -> Mapping[str, Any] | None:
    """A service's part of run.json, if it has one."""
    step, _, name = service.partition(BY)
    section = (run or {}).get(SPEECH if step == SPEAKING else HEARD, {})
    found = section.get("by", {}).get(name)
    return found if isinstance(found, Mapping) else None


def words(service: str) -> str:
    """How figures name a service."""
    step, _, name = service.partition(BY)
    return f"{'speech by' if step == SPEAKING else 'hearing by'} {name}"


def setting(service: str) -> str:
    """The setting that describes a service."""
    step, _, name = service.partition(BY)
    return f"backends.{name}" if step == SPEAKING else f"checks.{name}"
