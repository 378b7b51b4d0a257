"""The section ``engine`` of a job: where the work is done. Nothing in it changes a byte."""

import difflib
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
ENGINES: Final = ("local", "ray", "beam")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PoolSettings(_Model):
    """One memo step's workers on a cluster; what is not given is the step's own."""

    cpus: Annotated[float, Field(ge=0)] | None = None
    gpus: Annotated[float, Field(ge=0)] | None = None
    memory_mb: Count | None = None
    min_workers: Count | None = None
    max_workers: Count | None = None


class RaySettings(_Model):
    """How Ray is reached and how many of its workers are used.

    ``address`` is ``auto`` (the cluster that this machine belongs to, and in a submitted job) or
    HOST:PORT of a head node; without one a Ray of this machine's own is started, and ended with
    the build. ``wait_s`` is how long a cluster is waited for, and for machines that it adds.
    """

    address: str | None = None
    min_workers: Count = 1
    max_workers: Count | None = None  # None: as many as the cluster has room for at the start
    pools: dict[str, PoolSettings] = {}
    wait_s: Seconds = 30.0
    object_store_mb: Annotated[int, Field(ge=80)] = 200  # of a Ray that the build starts


class BeamSettings(_Model):
    """What Beam is told: ``options`` are its own pipeline options, the runner among them.

    ``accelerator`` is the resource hint of steps that need a GPU, such as
    ``type:nvidia-l4;count:1;install-nvidia-driver``. ``wait_s`` is how long the server that the
    options name is waited for.
    """

    options: tuple[str, ...] = ()
    accelerator: str | None = None
    wait_s: Seconds = 30.0


class EngineSettings(_Model):
    """How the work is done. Nothing here changes a byte of the corpus.

    ``row_timeout_s`` is of one row in one step, ``open_timeout_s`` of a step, a model or a worker
    until it is ready for rows.
    """

    name: str = "local"
    workers: Annotated[int, Field(ge=0)] | None = None  # None: one per core; 0: in this process
    row_timeout_s: Seconds = 120.0
    open_timeout_s: Seconds = 1200.0
    ray: RaySettings = RaySettings()
    beam: BeamSettings = BeamSettings()

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in ENGINES:
            near = difflib.get_close_matches(name, ENGINES, n=1, cutoff=0.4)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise ValueError(f"{hint}wanted one of {', '.join(ENGINES)}")
        return name
