"""The parts `asr`, `second` and `mos` of a job's section `checks`: who hears, and who rates.

checks:
  asr: { kind: whisper, path: models/whisper-large-v3, device: cuda, batch_items: 16 }
  second: { kind: transcriptions, model: whisper-1, endpoint: { urls: ["http://asr1:8000/v1"] } }
  mos: { path: models/utmos.yaml }
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from jobs.settings.chat import EndpointSettings
from jobs.settings.price import AudioPrice
from jobs.settings.secret import ExtraTexts

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Device = Annotated[str, Field(pattern=r"^(cpu|cuda(:\d+)?)$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PocketsphinxSettings(_Model):
    """The embedded recognizer of English."""

    kind: Literal["pocketsphinx"]


class LocalRecognizer(_Model):
    """A model's folder, relative to the job file, and where it runs.

    ``files`` are the checksums of its files; they are filled in, and those given must hold.
    ``langs`` are the languages that it is asked for. ``gpus`` is the share of a GPU that one worker
    needs; by default one where ``device`` is a GPU. ``max_new_tokens`` are of a window of 30 s.
    """

    path: str = ""  # empty in a manifest, which holds no path
    files: dict[str, str] = {}
    langs: tuple[str, ...] = ()
    device: Device = "cpu"
    threads: Count = 1
    gpus: Annotated[float, Field(ge=0)] | None = None
    max_new_tokens: Annotated[int, Field(ge=1, le=444)] = 224


class WhisperSettings(LocalRecognizer):
    """Whisper by transformers. ``langs`` empty: those of the model that have text rules."""

    kind: Literal["whisper"]
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    batch_items: Count = 1


class FasterWhisperSettings(LocalRecognizer):
    """Whisper by faster-whisper. ``langs`` empty: English."""

    kind: Literal["faster_whisper"]
    compute_type: Literal["float32", "float16", "bfloat16", "int8", "int8_float16"] = "float32"


class TranscriptionSettings(_Model):
    """A server of ``/v1/audio/transcriptions``. ``endpoint`` and ``price`` are in no manifest.

    ``langs`` empty: all that have text rules. ``endpoint.max_in_flight`` is of one worker here: of
    each of ``endpoint.processes`` that ask ahead.
    """

    kind: Literal["transcriptions"]
    model: str
    revision: str = ""
    temperature: Annotated[float, Field(ge=0, le=1)] = 0.0
    prompt: str = ""
    langs: tuple[str, ...] = ()
    languages: dict[str, str] = {}
    extra: ExtraTexts = {}
    endpoint: EndpointSettings | None = None
    price: AudioPrice | None = None


RecognizerSettings: TypeAlias = Annotated[
    PocketsphinxSettings | WhisperSettings | FasterWhisperSettings | TranscriptionSettings,
    Field(discriminator="kind"),
]


class MosSettings(_Model):
    """A predictor of opinion: the YAML file that describes its program, relative to the job file.

    ``sha256`` of the program and ``feeding``, what the YAML file says, are filled in.
    """

    path: str = ""  # empty in a manifest
    fraction: Fraction = 1.0
    sha256: str = ""
    threads: Count = 1
    feeding: dict[str, str | int | float | bool | list[float]] = {}
