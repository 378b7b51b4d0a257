"""`voxmill schedule`: from a job file to the objects of a cluster, checked and then shown."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from jobs.recipes.recipe import request_of
from jobs.schedule.bundle import Bundle, bundle_of, check_places, endpoints_of
from jobs.schedule.check import check_objects
from jobs.schedule.manifests import RAY_JOB_FILE, manifests
from jobs.schedule.pods import Object
from jobs.schedule.text import to_yaml
from jobs.settings.job import BaseJob
from jobs.settings.jobfile import load_overridden
from jobs.settings.schedule import ScheduleSettings
from schemas.errors import SettingsError


@dataclass(frozen=True)
class Scheduled:
    """The YAML to apply, figures about it for programs, and what a person should know."""

    text: str
    value: dict[str, Any]
    notes: list[str]


def schedule(
    path: Path,
    changes: list[str],
    *,
    source: str | None,
    output: str | None,
    crd: Path | None,
    kubernetes: str,
) -> Scheduled:
    """The objects that build a job on a schedule. Nothing is sent anywhere.

    Raises SettingsError for a job that cannot run in a cluster, SchemaError for objects that a
    cluster would refuse, BackendError where the checker is not installed.
    """
    job = load_overridden(path, changes, source=source, output=output)
    told = _told(job)
    check_keys(job, told)
    check_places(job)
    bundle = bundle_of(job, path.parent)
    pipeline = request_of(job, path.parent).pipeline
    steps = [step.resources for step in pipeline.memo_steps()]
    objects = manifests(job.name, told, bundle.files, steps)
    held = [item["data"] for item in objects if item["kind"] == "ConfigMap" and "data" in item]
    ray_job: Object = next(
        yaml.safe_load(data[RAY_JOB_FILE]) for data in held if RAY_JOB_FILE in data
    )
    check_objects(objects, ray_job, crd, kubernetes)
    head = (
        f"# Written by `voxmill schedule` for the job {job.name}. Apply it with kubectl apply -f.\n"
    )
    text = head + to_yaml(objects)
    value = {
        "objects": [f"{item['kind']}/{item['metadata']['name']}" for item in objects],
        "namespace": told.namespace,
        "schedule": told.cron,
        "entrypoint": ray_job["spec"]["entrypoint"],
        "files": sorted(bundle.files),
        "checked_by_crd": crd is not None,
    }
    return Scheduled(text, value, _notes(bundle, crd))


def _told(job: BaseJob) -> ScheduleSettings:
    told = job.schedule or ScheduleSettings()
    if told.cron is None:
        raise SettingsError(
            "setting 'schedule.cron' is missing; say when the job is built, such as "
            "--set 'schedule.cron=0 3 * * *' (every night at three)"
        )
    if told.image is None:
        raise SettingsError(
            "setting 'schedule.image' is missing; name the image that the cluster pulls, such as "
            "--set schedule.image=registry.example/voxmill:0.1.0 (docs/operations.md: how to "
            "build it)"
        )
    return told


def check_keys(job: BaseJob, told: ScheduleSettings) -> None:
    """Every key that a model wants has to come from some secret."""
    if told.secrets:
        return
    for place, endpoint in endpoints_of(job):
        variable = endpoint.api_key_env
        if variable is not None and variable not in told.secret_env:
            raise SettingsError(
                f"{place} takes its key from the variable {variable}, and no secret gives it; "
                f"add it to schedule.secret_env: {{{variable}: {{secret: NAME, key: ENTRY}}}}"
            )


def _notes(bundle: Bundle, crd: Path | None) -> list[str]:
    notes = [f"{place} travels as {name}" for name, place in bundle.taken.items()]
    notes += [
        f"{place} is not on this machine: it has to be in the image" for place in bundle.elsewhere
    ]
    if crd is None:
        notes.append(
            "the RayJob's pods were checked, its other fields were not: give --crd "
            "ray.io_rayjobs.yaml, KubeRay's own file"
        )
    return notes
