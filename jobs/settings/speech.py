"""The section `backends` of a job: speech backends beside flite and espeak, by the bank's word.

backends:
  ljspeech: { kind: vits, path: models/vits-ljs }
  cosyvoice: { kind: cosyvoice, checkout: CosyVoice, path: models/CosyVoice-300M-SFT }
"""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from jobs.settings.chat import EndpointSettings
from jobs.settings.price import SpeechPrice
from jobs.settings.secret import Extra

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Device = Annotated[str, Field(pattern=r"^(cpu|cuda(:\d+)?)$")]
BUILT_IN = ("flite", "espeak")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SpeechLimits(_Model):
    """Hard limits of what can be speech; transforms/backends/tts_sound.py says what they mean."""

    max_s: Positive = 120.0
    spare_s: Positive = 1.5
    max_s_per_letter: Positive = 0.35
    min_s_per_letter: Annotated[float, Field(ge=0)] = 0.013
    max_clipped: Share = 0.05


class LocalModel(_Model):
    """A model's folder, relative to the job file, and where it runs.

    ``files`` are the checksums of its files; they are filled in, and those given must hold.
    ``gpus`` is the share of a GPU that one worker needs; by default one where ``device`` is a GPU.
    """

    path: str = ""  # empty in a manifest, which holds no path
    files: dict[str, str] = {}
    device: Device = "cpu"
    threads: Count = 1
    gpus: Annotated[float, Field(ge=0)] | None = None
    max_chars: Count = 400
    limits: SpeechLimits = SpeechLimits()


class VitsSettings(LocalModel):
    """VITS by transformers."""

    kind: Literal["vits"]
    speakers: dict[str, Annotated[int, Field(ge=0)]] = {}
    batch_items: Count = 1
    batch_frames: Count = 20_000
    noise_scale: Annotated[float, Field(ge=0)] | None = None
    noise_scale_duration: Annotated[float, Field(ge=0)] | None = None


class CoquiSettings(LocalModel):
    """VITS by coqui-tts. File names are below ``path``."""

    kind: Literal["coqui"]
    checkpoint: str = "model_file.pth"
    config: str = "config.json"
    speakers_file: str = ""
    languages_file: str = ""
    language: str = ""


class CosyvoiceSettings(LocalModel):
    """CosyVoice from an upstream ``checkout``, relative to the job file."""

    kind: Literal["cosyvoice"]
    checkout: str = ""
    code: dict[str, str] = {}  # checksum of the checkout; filled in
    device: Device = "cuda"
    instruct: bool = False
    fp16: bool = False
    max_chars: Count = 240
    wide_chars: Count = 80


class SpeechEndpointSettings(_Model):
    """A server of ``/v1/audio/speech``. ``endpoint`` and ``price`` are in no manifest.

    ``endpoint.max_in_flight`` is of one worker here: of each of ``endpoint.processes`` that ask
    ahead, and of all that ask once more where an attempt was bad.
    """

    kind: Literal["speech_endpoint"]
    model: str
    revision: str = ""
    response_format: Literal["wav", "flac", "pcm", "mp3", "opus"] = "wav"
    sample_rate_hz: Annotated[int, Field(ge=0)] = 0
    languages: dict[str, str] = {}
    send_seed: bool = False
    send_speed: bool = True
    extra: Extra = {}
    batch_items: Count = 1
    max_chars: Count = 4000
    limits: SpeechLimits = SpeechLimits()
    endpoint: EndpointSettings | None = None
    price: SpeechPrice | None = None

    @model_validator(mode="after")
    def _seeds_are_sent_alone(self) -> Self:
        if self.send_seed and self.batch_items > 1:
            raise ValueError(
                "send_seed and batch_items above 1: a request of /v1/audio/speech/batch has no "
                "seed (vLLM-Omni's schema drops it); take out one of the two"
            )
        return self


SpeechSettings: TypeAlias = Annotated[
    VitsSettings | CoquiSettings | CosyvoiceSettings | SpeechEndpointSettings,
    Field(discriminator="kind"),
]
