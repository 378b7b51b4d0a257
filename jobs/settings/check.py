"""The sections `checks`, `synthesize` and `augment` of a job."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from jobs.settings.listen import MosSettings, RecognizerSettings
from transforms.augment import NOISES

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


class Checks(_Model):
    """What listens to the speech. docs/checks.md has the measures, docs/listeners.md the listeners.

    ``asr_rule`` is what two recognizers say together: transforms/hearing.py.
    """

    align: bool = True
    vad: bool = True
    asr_fraction: Fraction = 0.1
    asr: RecognizerSettings | None = None  # None: pocketsphinx
    second: RecognizerSettings | None = None
    asr_rule: Literal["agree", "both", "either"] = "agree"
    asr_agree_max: Fraction = 0.3
    mos: MosSettings | None = None


class Synthesize(_Model):
    """How often an utterance may be said again, and with what score one is content.

    ``pad_s``: so much silence before and after speech, found by voice activity; ``loudness_lufs``:
    the integrated loudness to bring a clip to. Both off (null): what the voice said ships.
    """

    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    retry_below: Fraction = 0.5
    pad_s: Annotated[float, Field(ge=0, le=5)] | None = None
    loudness_lufs: Annotated[float, Field(ge=-60, le=-5)] | None = None


_Range = tuple[float, float]


class Augment(_Model):
    """How often (0 to 1) each effect is applied, and the range that its values are drawn from."""

    roles: tuple[Literal["user", "assistant"], ...] = ("user",)
    speed: Fraction = 0.0
    speed_factor: tuple[
        Annotated[float, Field(ge=0.5, le=2)], Annotated[float, Field(ge=0.5, le=2)]
    ] = (0.95, 1.05)
    room: Fraction = 0.0
    rt60_s: tuple[Annotated[float, Field(gt=0, le=5)], Annotated[float, Field(gt=0, le=5)]] = (
        0.2,
        0.6,
    )
    drr_db: _Range = (0.0, 10.0)
    noise: Fraction = 0.0
    noise_kinds: tuple[str, ...] = NOISES
    snr_db: _Range = (10.0, 25.0)
    telephone: Fraction = 0.0
    gain: Fraction = 0.0
    gain_db: _Range = (-6.0, 3.0)
