"""The section ``schedule`` of a job: when and where a cluster builds it. Nothing changes a byte."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from jobs.settings.secret import check_env

DNS_LABEL: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
Name = Annotated[str, Field(pattern=DNS_LABEL, max_length=63)]
EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[int, Field(ge=1)]

MACROS: Final = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
MONTHS: Final = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
DAYS: Final = "SUN MON TUE WED THU FRI SAT".split()
# field, least, most, names of its numbers
CRON_FIELDS: Final[tuple[tuple[str, int, int, dict[str, int]], ...]] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number + 1 for number, name in enumerate(MONTHS)}),
    ("day of the week", 0, 7, {name: number for number, name in enumerate(DAYS)}),
)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SecretKey(_Model):
    """One entry of a Kubernetes secret, by its names. The value is never read here."""

    secret: Annotated[str, Field(min_length=1)]
    key: Annotated[str, Field(min_length=1)]


class HeadSettings(_Model):
    """The pod of Ray's head, which runs the driver of the build and no step."""

    cpus: Annotated[float, Field(gt=0)] = 2.0
    memory_mb: Annotated[int, Field(ge=1024)] = 4096


class PodSettings(_Model):
    """A group of pods that do the work; what is not given follows from the pipeline's steps."""

    min: Annotated[int, Field(ge=0)] = 1
    max: Count = 1
    cpus: Annotated[float, Field(gt=0)] | None = None
    gpus: Count | None = None
    memory_mb: Annotated[int, Field(ge=512)] | None = None
    node_selector: dict[str, str] = {}

    @model_validator(mode="after")
    def _least_under_most(self) -> "PodSettings":
        if self.min > self.max:
            raise ValueError(f"min is {self.min} and max {self.max}; wanted min at most max")
        return self


class ScheduleSettings(_Model):
    """When a cluster builds the job, in which image, with what. Secrets are named and never held.

    ``secrets`` are Kubernetes secrets all of whose entries become environment variables;
    ``secret_env`` are single ones. ``deadline_s`` is of one run with all its retries. A finished
    Ray cluster is kept ``keep_s`` for its logs.
    """

    cron: str | None = None
    time_zone: str = "Etc/UTC"
    image: str | None = None
    namespace: Name = "default"
    service_account: Name | None = None  # of the Ray pods: how they reach the bucket by a role
    image_pull_secrets: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    secret_env: dict[EnvName, SecretKey] = {}
    env: Annotated[dict[EnvName, str], AfterValidator(check_env)] = {}
    concurrency: Literal["Forbid", "Replace"] = "Forbid"
    retries: Annotated[int, Field(ge=0, le=20)] = 2
    deadline_s: Seconds = 172_800
    start_within_s: Seconds = 3600
    keep_s: Annotated[int, Field(ge=0)] = 600
    suspend: bool = False
    head: HeadSettings = HeadSettings()
    workers: PodSettings = PodSettings()
    gpu_workers: PodSettings = PodSettings()  # made only if a step wants a GPU

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, cron: str | None) -> str | None:
        if cron is not None and cron not in MACROS:
            check_cron(cron)
        return cron

    @field_validator("image")
    @classmethod
    def _pinned(cls, image: str | None) -> str | None:
        if image is None or "@sha256:" in image:
            return image
        tag = image.rpartition("/")[2].partition(":")[2]
        if not tag or tag == "latest":
            raise ValueError(
                "an image that can change between two runs; wanted NAME:VERSION or "
                "NAME@sha256:DIGEST, such as registry.example/voxmill:0.1.0"
            )
        return image


def check_cron(cron: str) -> None:
    """Raise ValueError, naming the field, unless this is what a Kubernetes CronJob takes."""
    given = cron.split()
    if len(given) != len(CRON_FIELDS):
        raise ValueError(
            f"{len(given)} fields; wanted 5 (minute hour day month weekday), such as '0 3 * * *', "
            f"or one of {', '.join(MACROS)}"
        )
    for text, (name, least, most, names) in zip(given, CRON_FIELDS, strict=True):
        for part in text.split(","):
            if not _is_part(part, least, most, names):
                raise ValueError(
                    f"{name} '{text}'; wanted *, */N, N, N-M or a list, {least}-{most}"
                )


def _is_part(part: str, least: int, most: int, names: dict[str, int]) -> bool:
    span, slash, step = part.partition("/")
    if slash and not (step.isdecimal() and int(step) > 0):
        return False
    if span in ("*", "?"):
        return True
    if not re.fullmatch(r"\w+(-\w+)?", span):
        return False
    bounds = [
        names.get(item.upper(), int(item) if item.isdecimal() else -1) for item in span.split("-")
    ]
    return all(least <= bound <= most for bound in bounds) and bounds == sorted(bounds)
