"""The section `units` of a job: which units, of which model, under which name."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

Role = Literal["user", "assistant"]
Count = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Backend = Literal["mfcc", "hubert", "codec", "s3", "own"]

MFCC_CLUSTERS: Final = 100
MAX_FRAMES: Final = {"mfcc": 100_000, "hubert": 1_000_000}
MOST_MFCC_FRAMES: Final = 1_000_000

# which settings mean something for which backend, besides roles
SETTINGS: Final[dict[str, frozenset[str]]] = {
    name: frozenset(("backend", "roles", *words.split()))
    for name, words in {
        "mfcc": "clusters max_frames",
        "hubert": """name model layer normalize centroids clusters max_frames fit collapse
            audio_rate_hz frame_rate_hz units_per_s device dtype model_sha256 centroids_sha256""",
        "codec": "name model codebooks audio_rate_hz frame_rate_hz device model_sha256",
        "s3": "name model codebook_size frame_rate_hz collapse audio_rate_hz model_sha256",
        "own": "name model codebooks codebook_size frame_rate_hz slack_frames model_sha256",
    }.items()
}
NEEDED: Final = {
    "hubert": ("name", "model", "layer"),
    "codec": ("name", "model"),
    "s3": ("name", "model"),
    "own": ("name",),  # the rest is the voices' model's: what is given must be that
}


class Units(BaseModel):
    """``backend: mfcc`` needs nothing; the others a ``name`` for the unit set, and a model's path.

    Paths are relative to the job file. What the job leaves out is None, and in no manifest;
    ``model_sha256`` and ``centroids_sha256`` are filled in when the files are found.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    backend: Backend = "mfcc"
    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")] | None = None
    model: str | None = None  # a folder of transformers; an .onnx file; the contract of a program
    layer: Count | None = None  # of a HuBERT, from 1
    normalize: bool | None = None  # the waveform; None: as preprocessor_config.json says
    centroids: str | None = None  # a file; None: fitted on the corpus
    clusters: Annotated[int, Field(ge=2, le=65536)] | None = None
    max_frames: Annotated[int, Field(ge=1000, le=10_000_000)] | None = None  # of the fit's sample
    fit: Literal["torch", "scikit-learn"] | None = None
    collapse: Literal["run_length", "none"] | None = None
    codebooks: Count | None = None  # the first ones of a codec; None: all, for Mimi 8
    codebook_size: Count | None = None
    frame_rate_hz: Annotated[float, Field(gt=0)] | None = None  # what the model must come to
    slack_frames: Annotated[int, Field(ge=0)] | None = None
    audio_rate_hz: Annotated[int, Field(ge=8000, le=48000)] | None = None  # that ships; 16000
    units_per_s: tuple[float, float] | None = None  # bounds for an utterance of a second or more
    device: Annotated[str, Field(pattern=r"^(cpu|cuda(:\d+)?)$")] | None = None
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    roles: tuple[Role, ...] = ("assistant",)
    model_sha256: Sha256 | None = None
    centroids_sha256: Sha256 | None = None

    @model_validator(mode="after")
    def _fits_the_backend(self) -> Self:
        given = {name for name in self.model_fields_set if getattr(self, name) is not None}
        odd = sorted(given - SETTINGS[self.backend])
        if odd:
            known = ", ".join(sorted(SETTINGS[self.backend]))
            raise ValueError(
                f"backend {self.backend} does not know {', '.join(odd)}; it has {known}"
            )
        missing = [name for name in NEEDED.get(self.backend, ()) if getattr(self, name) is None]
        if "model" in missing and self.model_sha256 is not None:
            missing.remove("model")  # a manifest's: its place is told by VOXMILL_UNITS_MODEL
        if missing:
            raise ValueError(f"backend {self.backend} needs {', '.join(missing)} too")
        return self._checked()

    def _checked(self) -> Self:
        if self.backend == "mfcc" and (self.max_frames or 0) > MOST_MFCC_FRAMES:
            raise ValueError(f"max_frames of mfcc is at most {MOST_MFCC_FRAMES}")
        if self.backend == "hubert":
            if self.centroids is None and self.clusters is None:
                raise ValueError(
                    "give centroids, a file, or clusters, to fit as many on the corpus"
                )
            if self.device in (None, "cpu") and self.dtype not in (None, "float32"):
                raise ValueError(f"dtype {self.dtype} is for device cuda; a CPU takes float32")
        bounds = self.units_per_s
        if bounds is not None and not 0 <= bounds[0] <= bounds[1]:
            raise ValueError(f"units_per_s {bounds} are no bounds; wanted [least, most]")
        return self

    @model_serializer(mode="plain")
    def _as_given(self) -> dict[str, Any]:
        """What says something: a manifest holds no row of nulls, and MFCC's as it ever did."""
        if self.backend == "mfcc":
            return {
                "clusters": self.num_clusters,
                "max_frames": self.num_frames,
                "roles": list(self.roles),
            }
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in found.items()
            if value is not None
        }

    @property
    def num_clusters(self) -> int:
        """Of mfcc, or of a fit."""
        return self.clusters or MFCC_CLUSTERS

    @property
    def num_frames(self) -> int:
        """Of the sample that centroids are fitted on."""
        return self.max_frames or MAX_FRAMES.get(self.backend, MOST_MFCC_FRAMES)
