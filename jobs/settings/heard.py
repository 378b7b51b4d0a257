"""Job models of the pipelines that start from audio: retokenize and check."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from jobs.settings.check import Checks
from jobs.settings.job import (
    BaseJob,
    Count,
    Dedup,
    Gate,
    Limits,
    Splits,
    StoreSettings,
    _Model,
)
from jobs.settings.unit import Role, Units
from schemas.unitset import Collapse, UnitSet


class Members(_Model):
    """Which members of a WebDataset sample hold a pair; a text may be ``json:field``."""

    question_audio: str | None = None
    question_text: str | None = None
    answer_audio: str | None = None
    answer_text: str | None = None


class Columns(_Model):
    """The names of the columns of an audio Parquet, where they are not the usual ones."""

    id: str = "id"
    round: str = "round"
    question: str = "question"
    question_audio: str = "question_audio"
    answer: str = "answer"
    answer_audio: str = "answer_audio"
    units: str = "speech_token"


class ImportedSet(_Model):
    """The contract of the units that a source brings, as only its maker knows it."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    codebook_size: Count
    sample_rate_hz: Count = 16000
    window_samples: Count = 400
    hop_samples: Count = 320
    collapse: Collapse = "run_length_lost"
    roles: tuple[Role, ...] = ("assistant",)
    model: str = "unknown"

    def unit_set(self) -> UnitSet:
        """The contract in the form that the manifest holds."""
        return UnitSet(
            **self.model_dump(),
            num_codebooks=1,
            model_sha256="",
            centroids_sha256="",
            provenance="imported",
        )


class HeardSource(_Model):
    """Where spoken rows come from. ``path`` is relative to the job file, or an address."""

    path: str
    adapter: str
    name: str = "unnamed"
    license: str = "unknown"
    lang: str = "auto"
    version: Count | None = None  # of a Voxmill corpus; None: the current one
    members: Members | None = None  # of a WebDataset sample
    columns: Columns = Columns()  # of an audio Parquet
    audio_folder: str | None = None  # to which paths in rows are relative; None: the rows' folder
    units: ImportedSet | None = None  # None: units that rows bring are not carried
    store: StoreSettings = StoreSettings()  # of an address


class CorpusSource(_Model):
    """A Voxmill corpus, and which of its snapshots."""

    path: str
    adapter: Literal["voxmill"] = "voxmill"
    version: Count | None = None
    store: StoreSettings = StoreSettings()  # of an address


class Audio(_Model):
    """What audio must be like to ship as it is: mono 16-bit FLAC at this rate."""

    sample_rate_hz: Annotated[int, Field(ge=8000, le=48000)] = 16000


class RetokenizeJob(BaseJob):
    """A corpus again, with one more unit set."""

    pipeline: Literal["retokenize"]
    source: CorpusSource
    units: Units = Units()


class CheckJob(BaseJob):
    """Measures and gates on audio that others made."""

    pipeline: Literal["check"]
    source: HeardSource
    audio: Audio = Audio()
    texts: Literal["required", "optional"] = "required"
    dedup: Dedup = Dedup()
    splits: Splits = Splits(eval_fraction=0.0)
    units: Units | None = None  # None: no units are extracted
    checks: Checks = Checks()
    gates: tuple[Gate, ...] = ()
    min_pairs: Count = 1
    limits: Limits = Limits(max_failed_fraction=1.0, max_step_error_fraction=1.0)

    @model_validator(mode="after")
    def _members_of_tars(self) -> "CheckJob":
        if self.source.members is not None and self.source.adapter != "webdataset":
            raise ValueError("source.members are of adapter webdataset; remove them")
        return self
