"""What a job may say: one validated model, a section each. `jobfile` reads it from YAML."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from jobs.settings.chat import ModelSettings, RespondChat, RewriteChat
from jobs.settings.check import Augment, Checks, Synthesize
from jobs.settings.engine import EngineSettings
from jobs.settings.expectations import ExpectationSettings
from jobs.settings.schedule import ScheduleSettings
from jobs.settings.speech import SpeechSettings
from jobs.settings.unit import Role, Units
from pipelines.health import Care

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=1)]


def _unless_off(value: object) -> object:
    """``off`` as YAML reads it, or as a text; ``on`` is the defaults."""
    if value is False or value == "off":
        return None
    return {} if value is True or value == "on" else value


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


class PerLang(BaseModel):
    """A number per language; ``default`` for the languages that are not named."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, Count]
    default: Count

    def pairs(self) -> tuple[tuple[str, int], ...]:
        """As a sorted tuple, which a step can hold."""
        return tuple(sorted({"default": self.default, **self.__pydantic_extra__}.items()))


class StoreSettings(_Model):
    """How an object store is reached: schemas/address.py says what each means. No secrets."""

    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None
    virtual_hosted: bool | None = None
    allow_http: bool | None = None
    anonymous: bool = False
    timeout_s: Annotated[float, Field(gt=0)] = 60.0
    retry_s: Annotated[float, Field(ge=0)] = 120.0


class Source(_Model):
    """Where rows come from. ``path`` is relative to the job file."""

    path: str
    adapter: str
    name: str
    license: str = "unknown"
    lang: str = "auto"
    categories: str | None = None  # of adapter alpaca_eval: relative to the job file, or an address
    store: StoreSettings = StoreSettings()  # of both


class Output(_Model):
    """Where the corpus goes. ``uri`` and ``work`` are relative to the current directory."""

    uri: str | None = None
    work: str | None = None  # where memo packs live; None: work/ inside the output
    store: StoreSettings = StoreSettings()  # of both
    same_lineage: bool = False  # accept a source that shares almost no row with the corpus


class Near(_Model):
    """Near duplicates: the share of shingles from which on two rows are one."""

    threshold: Annotated[float, Field(ge=0.3, lt=1.0)] = 0.8
    num_perm: Annotated[int, Field(ge=16, le=1024)] = 256
    shingle: Annotated[int, Field(ge=1, le=20)] = 3


class Dedup(_Model):
    """Exact duplicates after normalization; near ones too, unless ``near`` is off."""

    enabled: bool = True
    near: Annotated[Near | None, BeforeValidator(_unless_off)] = None
    scope: Literal["conversation", "instruction"] = "conversation"
    ignore: tuple[Literal["case", "punctuation", "spacing"], ...] = (
        "case",
        "punctuation",
        "spacing",
    )

    @model_validator(mode="after")
    def _near_needs_dedup(self) -> Self:
        if self.near is not None and not self.enabled:
            raise ValueError("near is on while enabled is false; set near: off, or enabled: true")
        return self


class Rewrite(_Model):
    """Instructions to spoken style. Lengths in characters."""

    backend: Literal["rules", "chat"] = "rules"
    chat: RewriteChat | None = None
    input_policy: Literal["merge", "reject", "ignore"] = "merge"
    max_input_chars: PerLang = PerLang(default=200, zh=70)  # type: ignore[call-arg]
    max_chars: PerLang = PerLang(default=400, zh=130)  # type: ignore[call-arg]
    filler_rate: Fraction = 0.2


class Respond(_Model):
    """Answers to speech. Lengths in characters. ``none``: only what is asked is spoken."""

    backend: Literal["rules", "chat", "none"] = "rules"
    chat: RespondChat | None = None
    max_chars: PerLang = PerLang(default=260, zh=90)  # type: ignore[call-arg]


class Speakable(_Model):
    """What is rejected before it is spoken."""

    max_chars: Count = 600
    max_word_chars: Count = 40
    max_words: Count = 120
    max_seconds: Annotated[float, Field(gt=0)] = 40.0


class Pick(_Model):
    """Which rows are taken, by their ids in the source, which are read as paths."""

    keep: tuple[str, ...] = ()  # empty: all
    leave: tuple[str, ...] = ()


class Voices(_Model):
    """The voice bank, a YAML file relative to the job file."""

    bank: str


class Splits(_Model):
    """Which share of the rows is kept for evaluation."""

    eval_fraction: Fraction = 0.05


class Gate(_Model):
    """Bounds on a measure, inclusive, or how far from its voice's median it may be."""

    measure: str
    min: float | None = None
    max: float | None = None
    outlier_mad: Annotated[float, Field(gt=0)] | None = None
    per: Literal["voice", "lang"] = "voice"
    side: Literal["both", "low", "high"] = "both"
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    roles: tuple[Role, ...] = ()
    langs: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()


class Shards(_Model):
    """``target_mb`` is the planned size of a shard in MB.

    ``partition_rows`` is how many rows a task takes, of those that are new; None: 8 to 16.
    """

    target_mb: Annotated[float, Field(gt=0)] = 128.0
    partition_rows: Annotated[int, Field(ge=1, le=4096)] | None = None


class Limits(_Model):
    """What the whole build must reach; exit code 3 or 1 otherwise."""

    max_failed_fraction: Fraction = 0.01
    min_accepted_fraction: Fraction = 0.0
    # While it runs: a step of whose rows more than this share failed stops the build, once so many
    # of them have failed. A row that fails retryably is tried so often in all.
    max_step_error_fraction: Fraction = 0.5
    min_step_errors: Count = 20
    row_attempts: Annotated[int, Field(ge=1, le=10)] = 2

    def of_snapshot(self) -> dict[str, float]:
        """What a snapshot must reach before latest.json names it."""
        return self.model_dump(include={"max_failed_fraction", "min_accepted_fraction"})

    def care(self) -> Care:
        """How a build deals with errors while it runs."""
        return Care(
            row_attempts=self.row_attempts,
            max_error_fraction=self.max_step_error_fraction,
            min_rows=self.min_step_errors,
        )


class EstimateSettings(_Model):
    """For estimates alone: seconds a row by step, and a price file relative to the job file."""

    rates: dict[str, Annotated[float, Field(ge=0)]] = {}
    prices: str | None = None


class BaseJob(_Model):
    """What every pipeline's job has; its subclasses name the pipeline and its settings."""

    name: str
    pipeline: str
    seed: int = 0
    output: Output = Output()
    shards: Shards = Shards()
    limits: Limits = Limits()
    expectations: Annotated[ExpectationSettings | None, BeforeValidator(_unless_off)] = None
    engine: EngineSettings = EngineSettings()
    estimate: EstimateSettings = EstimateSettings()
    schedule: ScheduleSettings | None = None  # when and where a cluster builds it


class JobSettings(BaseJob):
    """A job of the main pipeline."""

    pipeline: Literal["instruct_s2s"] = "instruct_s2s"
    source: Source
    pick: Pick = Pick()
    dedup: Dedup = Dedup()
    splits: Splits = Splits()
    models: dict[str, ModelSettings] = {}
    backends: dict[str, SpeechSettings] = {}
    rewrite: Rewrite = Rewrite()
    respond: Respond = Respond()
    speakable: Speakable = Speakable()
    voices: Voices
    synthesize: Synthesize = Synthesize()
    checks: Checks = Checks()
    augment: Augment = Augment()
    units: Units = Units()
    gates: tuple[Gate, ...] = ()
    min_pairs: Count = 1
