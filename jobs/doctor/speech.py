"""The doctor's look at speech: each backend's files or server, and one clip through each voice."""

import asyncio
import json
import math
from collections.abc import Container, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final, Literal

from jobs.doctor.models import get_text
from jobs.recipes.chat import missing_key, read_keys
from jobs.settings.chat import EndpointSettings
from jobs.settings.job import JobSettings
from jobs.settings.speech import SpeechEndpointSettings
from pipelines.instruct_s2s import own_voices
from schemas.errors import BackendError, RowError, VoxmillError
from transforms.backends.chat.secret import Secret
from transforms.backends.tts import (
    Say,
    Speaker,
    Speech,
    SpeechBackend,
    honored,
    speak_all,
    spoken,
)
from transforms.backends.tts_endpoint import SpeechEndpoint, SpeechService
from transforms.backends.tts_wire import listed_voices
from transforms.pitch import median_pitch_hz
from transforms.tries import check_speech
from transforms.voices import Voice, VoiceBank

TEXTS: Final = {
    "en": "The river is wide and calm, and the old bridge leads over it.",
    "zh": "这条河又宽又静，一座老桥通向对岸。",
    "de": "Der Fluss ist breit und ruhig, und die alte Brücke führt hinüber.",
}
PATIENCE_S: Final = 5.0
ALIKE: Final = 0.01  # of the pitch: speakers that are closer are not told apart by it


@dataclass(frozen=True)
class Heard:
    """One thing that was looked at; as jobs.doctor.doctor.Finding."""

    what: str
    state: Literal["ok", "warning", "failed"]
    told: str
    cure: str = ""


@dataclass(frozen=True)
class Clip:
    """What a voice said."""

    voice: Voice
    speech: Speech
    pitch_hz: float | None


def look_at_speech(
    job: JobSettings, bank: VoiceBank, backends: Sequence[SpeechBackend]
) -> Iterator[Heard]:
    """Every backend that the bank's voices need, every voice, and how they differ."""
    by_name = {backend.name: backend for backend in backends}
    own: set[str] = set()  # whose tokens become units
    if job.units.backend == "own":
        own = {voice.id for voice in own_voices(bank, job.units.roles)}
    yield from endpoints(job, bank)
    good: dict[str, list[Voice]] = {}
    bad: dict[tuple[str, str], list[str]] = {}
    for voice in bank.voices:
        try:
            _known(by_name, voice).check(voice.spec)
        except VoxmillError as error:
            bad.setdefault((str(error), voice.backend), []).append(voice.id)
        else:
            good.setdefault(voice.backend, []).append(voice)
    for (message, _), ids in bad.items():
        yield _broken(_which(ids), message)
    clips: list[Clip] = []
    for name, voices in good.items():
        for item in _spoken(by_name[name], voices, own):
            if isinstance(item, Clip):
                clips.append(item)
            else:
                yield item
    yield Heard("voices", "ok" if clips else "failed", *_summary(clips, len(bank.voices)))
    yield from _manners(bank, by_name)
    yield from _alike(clips)


def _known(by_name: dict[str, SpeechBackend], voice: Voice) -> SpeechBackend:
    if voice.backend not in by_name:
        raise BackendError(
            f"no backend '{voice.backend}', there are {sorted(by_name)}; describe it in the job's "
            "section backends"
        )
    return by_name[voice.backend]


def _spoken(
    backend: SpeechBackend, voices: list[Voice], own: Container[str]
) -> Iterator[Clip | Heard]:
    """One clip of each voice; a backend that cannot be opened is one finding."""
    if isinstance(backend, SpeechEndpoint) and isinstance(backend.service, SpeechService):
        backend = replace(backend, service=replace(backend.service, patience_s=PATIENCE_S))
    with ExitStack() as stack:
        try:
            speaker: Speaker = stack.enter_context(backend.open())
        except VoxmillError as error:
            yield _broken(f"speech backend {backend.name}", str(error))
            return
        rates: set[int] = set()
        for voice in voices:
            try:
                text = TEXTS.get(voice.lang.split("-")[0], TEXTS["en"])
                say = Say(text, replace(voice.spec, seed=1), voice.id in own)
                speech = spoken(speak_all(speaker, [say])[0])
                check_speech(speech, voice.id)
            except (VoxmillError, RowError) as error:
                yield _broken(f"voice {voice.id}", str(error))
                continue
            if speech.tokens is not None:
                count = speech.tokens.codes.shape[1]
                seconds = len(speech.samples) / speech.sample_rate_hz
                yield Heard(f"voice {voice.id}", "ok", f"gave {count} tokens for {seconds:.2f} s")
            rates.add(speech.sample_rate_hz)
            pitch = median_pitch_hz(speech.samples, speech.sample_rate_hz)
            yield Clip(voice, speech, pitch)
        if rates:
            told = f"opens, and speaks at {', '.join(map(str, sorted(rates)))} Hz"
            yield Heard(f"speech backend {backend.name}", "ok", told)


def _summary(clips: list[Clip], count: int) -> tuple[str, str]:
    if not clips:
        return f"none of {count} can speak here", "see the findings about backends and voices"
    pitches = sorted(clip.pitch_hz for clip in clips if clip.pitch_hz is not None)
    shown = f", at median pitches of {pitches[0]:.0f} to {pitches[-1]:.0f} Hz" if pitches else ""
    return f"{len(clips)} of {count} speak here{shown}", ""


def _manners(bank: VoiceBank, by_name: dict[str, SpeechBackend]) -> Iterator[Heard]:
    for voice in bank.voices:
        if voice.backend in by_name:
            ignored = voice.ignored(honored(by_name[voice.backend]))
            if ignored:
                yield Heard(
                    f"voice {voice.id}",
                    "warning",
                    f"its backend {voice.backend} does not follow {', '.join(ignored)}; each "
                    "utterance will say so",
                    "leave them out, or take a backend that takes instructions",
                )


def _alike(clips: list[Clip]) -> Iterator[Heard]:
    """Voices that sound the same, and speakers that their median pitch does not tell apart."""
    close = []
    for one, other in combinations(clips, 2):
        names = f"{one.voice.id} and {other.voice.id}"
        same = one.speech.samples.tobytes() == other.speech.samples.tobytes()
        both_eval = set(one.voice.roles) & set(other.voice.roles)
        if same and both_eval and one.voice.lang == other.voice.lang:
            yield Heard(
                f"voices {names}",
                "warning",
                "they say the very same samples",
                "give one of them another speaker, rate or pitch, or drop it",
            )
        elif (
            one.pitch_hz is not None
            and other.pitch_hz is not None
            and one.voice.speaker_id != other.voice.speaker_id
            and one.voice.lang == other.voice.lang
            and abs(math.log(one.pitch_hz / other.pitch_hz)) < ALIKE
        ):
            close.append(names)
    if close:
        yield Heard(
            "voices told apart",
            "ok",
            f"median pitch does not tell apart {'; '.join(close[:5])}"
            + (f" and {len(close) - 5} more pairs" if len(close) > 5 else "")
            + ", though they are different speakers",
        )


def endpoints(job: JobSettings, bank: VoiceBank) -> Iterator[Heard]:
    """The servers of speech: an address, a key, an answer, and its voices where it lists them."""
    keys = read_keys(job)
    for name, told in job.backends.items():
        if not isinstance(told, SpeechEndpointSettings):
            continue
        who = f"speech backend {name}"
        if told.endpoint is None:
            cure = f"set backends.{name}.endpoint.urls to the server's address, which ends in /v1"
            yield Heard(who, "failed", "no endpoint is named", cure)
            continue
        env = told.endpoint.api_key_env
        if env and env not in keys:
            yield Heard(who, "failed", f"no API key in {env}", missing_key(env))
            continue
        wanted = [
            voice.name
            for voice in bank.voices
            if voice.backend == name and not (voice.reference_sha256 or voice.task)
        ]
        key = keys.get(env) if env else None
        yield from _reached(who, told, told.endpoint, key, wanted)


def _reached(
    who: str,
    told: SpeechEndpointSettings,
    reached: EndpointSettings,
    key: Secret | None,
    wanted: list[str],
) -> Iterator[Heard]:
    for url in reached.urls:
        what, base = f"{who} at {url}", url.rstrip("/")
        try:
            status, text = asyncio.run(get_text(base + "/audio/voices", key))
        except ImportError:
            cure = "pip install -c constraints.txt -e '.[speech]'"
            yield Heard(what, "failed", "the endpoint client needs aiohttp", cure)
            continue
        except (OSError, TimeoutError) as error:
            cure = f"start the server (such as vllm serve {told.model} --omni), or correct the urls"
            yield Heard(what, "failed", f"no answer: {type(error).__name__}: {error}", cure)
            continue
        if status in (401, 403):
            cure = "set endpoint.api_key_env to the variable that holds a key of this server"
            yield Heard(what, "failed", f"the key is refused, HTTP {status}", cure)
            continue
        voices = _voices(text) if status == 200 else []
        lacking = [name for name in wanted if voices and name not in voices]
        if lacking:
            cure = f"take one of {', '.join(voices[:12])} in the bank, or add it to the server"
            yield Heard(what, "failed", f"it has no voice {', '.join(lacking)}", cure)
            continue
        lists = f"lists {len(voices)} voices: {', '.join(voices[:12])}" if voices else "answers"
        yield Heard(what, "ok", f"{lists} (of the model {told.model})")


def _voices(text: str) -> list[str]:
    try:
        return listed_voices(json.loads(text))
    except ValueError:
        return []


def _which(ids: list[str]) -> str:
    return f"voice {ids[0]}" if len(ids) == 1 else f"voices {', '.join(ids)}"


def _broken(what: str, message: str) -> Heard:
    """An error as a finding; what follows its last semicolon-led clause is the cure."""
    told, _, cure = message.partition("; ")
    return Heard(what, "failed", told, cure or "see the message")
