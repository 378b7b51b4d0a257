"""The OpenAI speech format on the wire: request bodies, and what a response means.

``/v1/audio/speech`` as OpenAI documents it, with the further fields of vLLM-Omni's server
(``instructions``, ``language``, ``task_type``, ``ref_audio``, ``ref_text``), its usage headers, its
batches (``/v1/audio/speech/batch``) and its list of voices (``/v1/audio/voices``).
"""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from schemas.canonical import digest
from schemas.errors import SynthesisError
from transforms.audio import encode_flac
from transforms.backends.chat.protocol import KEY_DIGITS, Ask, Reply
from transforms.backends.chat.wire import Outcome, understand
from transforms.backends.tts import Speech, VoiceSpec
from transforms.backends.tts_sound import SoundLimits, as_speech, letters
from transforms.wav import with_length

SPOKEN: Final = "speech"  # the finish_reason of a kept reply that holds audio
HELD_BYTES_PER_S: Final = 48_000
HELD_SPARE_S, HELD_S_PER_LETTER = 0.5, 0.1
FORMATS: Final = ("wav", "flac", "pcm", "mp3", "opus")


@dataclass(frozen=True, kw_only=True)
class SpeechForm:
    """What a speech model is and how it is asked: all of it changes replies.

    ``languages`` are the server's words for ours; a language without one is not sent.
    ``sample_rate_hz`` is what is wanted of the audio; 0: whatever comes (pcm needs it).
    ``extra`` is a JSON object of further request fields.
    """

    model: str
    revision: str = ""
    response_format: str = "wav"
    sample_rate_hz: int = 0
    languages: tuple[tuple[str, str], ...] = ()
    send_seed: bool = False
    send_speed: bool = True
    extra: str = "{}"


@dataclass(frozen=True, kw_only=True)
class SpeechAsk(Ask):
    """One request for speech: ``text`` in the manner of ``voice``."""

    text: str
    voice: VoiceSpec
    messages: tuple[tuple[str, str], ...] = ()
    answer_key: str = ""
    seed: int = 0

    @property
    def held_bytes(self) -> int:
        """The body and what is made of it: PCM at 24 kHz of somebody who speaks slowly."""
        seconds = HELD_SPARE_S + HELD_S_PER_LETTER * letters(self.text) / self.voice.rate
        return round(2 * seconds * HELD_BYTES_PER_S)

    def key(self, identity: Mapping[str, object]) -> str:
        """The digest under which the reply is kept: of all that determines it, of no path."""
        voice = asdict(self.voice)
        if self.voice.reference is not None:
            voice["reference"].pop("path")
        return digest({"speech": dict(identity), "text": self.text, "voice": voice})[:KEY_DIGITS]


def speech_fields(form: SpeechForm, ask: SpeechAsk) -> dict[str, Any]:
    """The fields of a request."""
    voice = ask.voice
    fields: dict[str, Any] = {
        "model": form.model,
        "input": ask.text,
        "voice": voice.name,
        "response_format": form.response_format,
    }
    if form.send_speed and voice.rate != 1.0:
        fields["speed"] = round(voice.rate, 4)
    if form.send_seed:
        fields["seed"] = voice.seed
    optional = {
        "instructions": instructions(voice),
        "language": dict(form.languages).get(voice.lang, ""),
        "task_type": voice.task,
    }
    fields |= {name: value for name, value in optional.items() if value}
    if voice.reference is not None:
        fields["ref_audio"] = data_url(Path(voice.reference.path))
        if voice.reference.text:
            fields["ref_text"] = voice.reference.text
    return {**fields, **json.loads(form.extra)}


def instructions(voice: VoiceSpec) -> str:
    """The manner of a voice in words."""
    said = [
        voice.instruction,
        f"Emotion: {voice.emotion}." if voice.emotion else "",
        f"Style: {voice.style}." if voice.style else "",
    ]
    return " ".join(part for part in said if part)


def data_url(path: Path) -> str:
    """A clip as a data URL."""
    kind = {".flac": "flac", ".mp3": "mpeg", ".ogg": "ogg"}.get(path.suffix.lower(), "wav")
    return f"data:audio/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def understand_speech(
    form: SpeechForm,
    limits: SoundLimits,
    ask: SpeechAsk,
    status: int,
    kind: str,
    headers: Mapping[str, str],
    data: bytes,
) -> Outcome:
    """The meaning of a response. A reply's text is its audio, mono FLAC, in base64.

    What is no sound speech is a passing failure: it is asked for again and never kept.
    """
    if status != 200 or "html" in kind or "json" in kind or "event-stream" in kind:
        outcome = understand(status, kind, headers.get("Retry-After"), data, frozenset())
        if outcome.kind != "reply":
            text = outcome.message.replace("a chat completion", "audio")
            return Outcome(outcome.kind, text, None, outcome.retry_after_s)
        return Outcome("passing", f"wanted audio, got {kind}")
    try:
        speech = decoded(form, limits, ask, data, kind)
    except SynthesisError as error:
        return Outcome("passing", str(error))
    if form.sample_rate_hz and speech.sample_rate_hz != form.sample_rate_hz:
        return Outcome(
            "fault",
            f"the audio is at {speech.sample_rate_hz} Hz; wanted {form.sample_rate_hz} Hz, as "
            "sample_rate_hz of the backend says",
        )
    return Outcome("reply", "", speech_reply(form.model, speech, headers))


def decoded(
    form: SpeechForm, limits: SoundLimits, ask: SpeechAsk, data: bytes, kind: str
) -> Speech:
    """The audio of a response body. Raises SynthesisError for what is no sound speech."""
    import soundfile

    who = f"voice {ask.voice.name!r} of {form.model}"
    if not data:
        raise SynthesisError(f"{who}: an empty body of type {kind}", retryable=True)
    if form.response_format == "pcm":
        if len(data) % 2:
            raise SynthesisError(f"{who}: {len(data)} bytes of 16-bit pcm", retryable=True)
        raw, rate = np.frombuffer(data, "<i2"), form.sample_rate_hz
    else:
        try:
            raw, rate = soundfile.read(
                io.BytesIO(with_length(data)), dtype="float32", always_2d=True
            )
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise SynthesisError(
                f"{who}: wanted {form.response_format}, got {len(data)} bytes of type {kind} that "
                f"are none: {data[:40]!r}",
                retryable=True,
            ) from error
        raw = raw.T
    return as_speech(raw, int(rate), who, ask.text, ask.voice, limits)


def speech_reply(model: str, speech: Speech, usage: Mapping[str, object]) -> Reply:
    """What is kept of a response: the samples as they came, and what the server counts."""
    return Reply(
        text=base64.b64encode(encode_flac(speech.samples, speech.sample_rate_hz)).decode(),
        finish_reason=SPOKEN,
        refusal="",
        model=model,
        prompt_tokens=_count(usage, "x-vllm-omni-input-tokens", "input_tokens"),
        completion_tokens=_count(usage, "x-vllm-omni-output-tokens", "output_tokens"),
        attempts=1,
    )


def batch_replies(
    form: SpeechForm, limits: SoundLimits, asks: Sequence[SpeechAsk], data: bytes
) -> dict[int, Reply]:
    """The sound speech in the response of a batch, by place; what is none is left out."""
    found: dict[int, Reply] = {}
    try:
        results = list(json.loads(data)["results"])
    except (ValueError, LookupError, TypeError):
        return found
    for item in results:
        try:
            place = int(item["index"])
            if item.get("status") != "success" or not 0 <= place < len(asks):
                continue
            audio = base64.b64decode(item["audio_data"])
            kind, usage = str(item.get("media_type", "audio")), item.get("usage") or {}
            speech = decoded(form, limits, asks[place], audio, kind)
            if form.sample_rate_hz in (0, speech.sample_rate_hz):
                found[place] = speech_reply(form.model, speech, usage)
        except (ValueError, LookupError, TypeError, AttributeError, SynthesisError):
            continue
    return found


def _count(usage: Mapping[str, object], *names: str) -> int:
    for name in names:
        value = usage.get(name)
        if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()):
            return int(value)
    return 0


def listed_voices(value: object) -> list[str]:
    """The names in a server's list of voices, whichever of the common shapes it has."""
    if isinstance(value, dict):
        value = value.get("voices", value.get("data"))
    if not isinstance(value, list):
        return []
    found = []
    for item in value:
        if isinstance(item, dict):
            item = item.get("name") or item.get("id") or item.get("voice_id")
        if isinstance(item, str):
            found.append(item)
    return found
