"""What a scheduled job takes along: the job file with its paths turned, and the files it names.

A pod has no folder of this machine. Small files that a job names (voices, prompts, a list of rows)
travel in a ConfigMap beside it; what is large has to be in a bucket or in the image.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from jobs.schedule.text import to_yaml
from jobs.settings.chat import EndpointSettings
from jobs.settings.job import BaseJob, JobSettings
from jobs.settings.jobfile import validate
from schemas.address import OBJECT_SCHEMES, scheme_of
from schemas.errors import SettingsError

MAX_BYTES: Final = 900_000  # of a ConfigMap, which may have 1 MiB with its names
JOB_FILE: Final = "job.yaml"
MODEL_PLACES: Final = ("backends.", "rewrite.chat.similarity.", "units.", "checks.")
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1", "0.0.0.0")


@dataclass
class Bundle:
    """The files of a scheduled job by the name that each has in its one folder."""

    files: dict[str, bytes] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)  # from where, by name
    elsewhere: list[str] = field(default_factory=list)  # paths that must be in the image

    def take(self, place: str, given: str, folder: Path) -> str:
        """The path of a file as a pod sees it. Raises SettingsError for what cannot travel."""
        here = folder / given
        if place.startswith(MODEL_PLACES):
            if not Path(given).is_absolute():
                raise SettingsError(
                    f"setting '{place}': {given} is a model beside the job file, which no pod "
                    "has; put the model into the image and give its absolute path there"
                )
            self.elsewhere.append(given)
            return given
        if "://" in given or (Path(given).is_absolute() and not here.exists()):
            if "://" not in given:
                self.elsewhere.append(given)
            return given
        if here.is_dir() or "{" in given or "*" in given:
            raise SettingsError(
                f"setting '{place}': {given} is a folder or a pattern of this machine, which no "
                "pod has; put it into a bucket and give its address, such as s3://BUCKET/rows/"
            )
        try:
            data = here.read_bytes()
        except OSError as error:
            raise SettingsError(f"setting '{place}': {here}: {error.strerror}") from error
        if place == "voices.bank" and b"reference:" in data:
            raise SettingsError(
                f"setting '{place}': {here} names reference clips, which are read from beside it; "
                "put the bank and its clips into the image and give the bank's absolute path there"
            )
        return self._named(here, data)

    def _named(self, here: Path, data: bytes) -> str:
        name, number = here.name, 1
        while name == JOB_FILE or self.files.get(name, data) != data:
            number += 1
            name = f"{here.stem}-{number}{here.suffix}"
        self.files[name], self.taken[name] = data, str(here)
        return name

    def check_size(self) -> None:
        """Raise SettingsError if it is more than a ConfigMap holds, naming the largest."""
        total = sum(map(len, self.files.values()))
        if total > MAX_BYTES:
            largest = max(self.files, key=lambda name: len(self.files[name]))
            raise SettingsError(
                f"the files that the job names take {total:,} bytes and a ConfigMap holds "
                f"{MAX_BYTES:,}; the largest is {self.taken.get(largest, largest)}: put it into a "
                "bucket and give its address, or into the image and give its absolute path"
            )


def bundle_of(job: BaseJob, folder: Path) -> Bundle:
    """The job as its pods will read it. ``folder`` is the job file's.

    Raises SettingsError for what cannot work in a pod, naming the setting and the cure.
    """
    check_places(job)
    document = job.model_dump(mode="json", exclude_unset=True, exclude={"schedule"})
    document["pipeline"] = job.pipeline
    bundle = Bundle()
    for place, holder, key in _paths(document):
        holder[key] = bundle.take(place, str(holder[key]), folder)
    text = to_yaml([document])
    validate(yaml.safe_load(text), "the scheduled job")
    bundle.files[JOB_FILE] = text.encode("utf-8")
    bundle.check_size()
    return bundle


def check_places(job: BaseJob) -> None:
    """Raise SettingsError for addresses that mean something else, or nothing, in a pod."""
    for name, uri in (("output.uri", job.output.uri), ("output.work", job.output.work)):
        if uri is not None and scheme_of(uri) not in OBJECT_SCHEMES:
            raise SettingsError(
                f"setting '{name}': {uri} is a folder, and every pod would have its own; give a "
                "bucket that all of them reach, such as s3://BUCKET/FOLDER"
            )
    if job.output.uri is None:
        raise SettingsError("no output: give --output s3://BUCKET/FOLDER, or set output.uri")
    for name, url in _addresses(job):
        if urlsplit(url).hostname in LOOPBACK:
            raise SettingsError(
                f"setting '{name}': {url} is the pod itself; give the address of a service of the "
                "cluster, such as http://SERVICE.NAMESPACE:8000/v1"
            )
    if job.output.store.profile is not None:
        raise SettingsError(
            f"setting 'output.store.profile': {job.output.store.profile} is of this machine's "
            "~/.aws, which no pod has; name a Kubernetes secret in schedule.secrets, or a "
            "schedule.service_account with a role"
        )


def _addresses(job: BaseJob) -> Iterator[tuple[str, str]]:
    if job.output.store.endpoint:
        yield "output.store.endpoint", job.output.store.endpoint
    for place, endpoint in endpoints_of(job):
        for url in endpoint.urls:
            yield f"{place}.endpoint.urls", url


def endpoints_of(job: BaseJob) -> Iterator[tuple[str, EndpointSettings]]:
    """Every server that a job asks, by the setting that names it."""
    if isinstance(job, JobSettings):
        for section, held in (("models", job.models), ("backends", job.backends)):
            for name, item in held.items():
                if (endpoint := getattr(item, "endpoint", None)) is not None:
                    yield f"{section}.{name}", endpoint
    checks = getattr(job, "checks", None)
    for name in ("asr", "second"):
        if (endpoint := getattr(getattr(checks, name, None), "endpoint", None)) is not None:
            yield f"checks.{name}", endpoint


def _paths(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Every path in a job: its setting, what holds it, and under which key."""
    for section, key in (
        ("source", "path"),
        ("source", "categories"),
        ("source", "audio_folder"),
        ("voices", "bank"),
        ("estimate", "prices"),
        ("expectations", "suite"),
    ):
        holder = document.get(section)
        if isinstance(holder, dict) and holder.get(key) is not None:
            yield f"{section}.{key}", holder, key
    yield from _model_paths(document)
    for step in ("rewrite", "respond"):
        chat = (document.get(step) or {}).get("chat") or {}
        tables = [(f"{step}.chat.prompts", chat.get("prompts") or {})]
        for source, prompts in (chat.get("source_prompts") or {}).items():
            tables.append((f"{step}.chat.source_prompts.{source}", prompts))
        for place, prompts in tables:
            for lang, text in prompts.items():
                if "\n" not in text:
                    yield f"{place}.{lang}", prompts, lang
        similarity = chat.get("similarity") or {}
        if similarity.get("model"):
            yield f"{step}.chat.similarity.model", similarity, "model"


def _model_paths(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Where models are: of speech, of units, of listening."""
    checks, units = document.get("checks") or {}, document.get("units") or {}
    held = [(f"backends.{name}", item) for name, item in (document.get("backends") or {}).items()]
    held += [(f"checks.{name}", checks.get(name) or {}) for name in ("asr", "second", "mos")]
    for place, item in (*held, ("units", units)):
        for key in ("path", "checkout", "model", "centroids"):
            # the model of an endpoint is a name
            if item.get(key) and not (key == "model" and "endpoint" in item):
                yield f"{place}.{key}", item, key
