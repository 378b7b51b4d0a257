"""`voxmill doctor`: every backend, voice and endpoint, the source and the store, with the cures.

The quick part (keys, addresses, models served) runs before each build that may ask something.
"""

import importlib.util
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from jobs.doctor.listen import listening_endpoints, look_at_listeners
from jobs.doctor.models import Asked, try_endpoint, try_model
from jobs.doctor.speech import endpoints, look_at_speech
from jobs.doctor.units import try_units
from jobs.recipes.chat import backend_of, chats_of, missing_key, models_of, read_keys, with_prompts
from jobs.recipes.listen import with_listening
from jobs.recipes.own import units_of
from jobs.recipes.recipe import BACKENDS, pipeline_of, request_of, source_of
from jobs.recipes.similarity import (
    settings_of,
    try_similarity,
    with_similarity,
    without_similarity,
)
from jobs.recipes.speech import speech_backends, with_speech
from jobs.recipes.unit import ToldUnits, told_units
from jobs.settings.chat import ModelSettings
from jobs.settings.heard import CheckJob
from jobs.settings.job import BaseJob, JobSettings
from jobs.settings.jobfile import load_overridden
from jobs.settings.unit import Units
from jobs.sources.read import read_source
from jobs.storage import store_address
from pipelines.probe import check_conditional_puts
from schemas.errors import VoxmillError
from schemas.store import open_store
from transforms.ask import AskingStep
from transforms.backends.tts import SpeechBackend
from transforms.voice_file import load_bank
from transforms.voices import VoiceBank

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``cure`` is empty where all is well."""

    what: str
    state: State
    told: str
    cure: str = ""

    def line(self) -> str:
        """For a terminal."""
        marks = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}
        cure = f"\n           cure: {self.cure}" if self.cure else ""
        return f"{marks[self.state]}  {self.what}: {self.told}{cure}"


def doctor(
    path: Path, changes: list[str], *, source: str | None = None, output: str | None = None
) -> list[Finding]:
    """Look at everything that a build of this job needs. A broken job file is an error as ever."""
    job = load_overridden(path, changes, source=source, output=output)
    findings = [Finding("job file", "ok", str(path))]
    if not isinstance(job, JobSettings):
        findings += _listeners(job, path.parent, ())
        return [*findings, _heard(job, path.parent), *_units(job, path.parent), _store(job)]
    bank: VoiceBank | None = None
    job, likeness = _similarity(job, path.parent)
    try:
        bank = load_bank(path.parent / job.voices.bank)
        job = with_speech(with_prompts(job, path.parent), path.parent)
        pipeline = pipeline_of(job, bank, check=False)
    except VoxmillError as error:
        findings.append(_failed("job", error, "mend what it names in the job file"))
        pipeline = None
    findings += likeness
    findings += _speech(job, bank) if bank is not None else []
    findings += _listeners(job, path.parent, () if bank is None else bank.langs)
    findings += _units(job, path.parent, bank)
    findings.append(_source(job, path.parent))
    findings.append(_store(job))
    if pipeline is not None:
        findings += quick(job)
        reached = all(item.state != "failed" for item in findings if item.what.startswith("model "))
        steps = [step for step in pipeline.steps() if isinstance(step, AskingStep)]
        findings += list(_round_trips(job, steps)) if reached else []
    return findings


def quick(job: JobSettings) -> list[Finding]:
    """The cheap part: keys there and accepted, addresses answering, models served."""
    found: list[Finding] = []
    keys = read_keys(job)
    for name, model in models_of(job).items():
        who = f"model {name}"
        if model.backend == "vllm":
            there = importlib.util.find_spec("vllm") is not None
            cure = "pip install 'vllm>=0.12' on the GPU machine, or use backend: endpoint"
            told = "vllm is installed" if there else "vllm is not installed"
            found.append(Finding(who, "ok" if there else "failed", told, "" if there else cure))
            continue
        if model.endpoint is None:
            cure = f"set models.{name}.endpoint.urls to the server's address, which ends in /v1"
            found.append(Finding(who, "failed", "no endpoint is named", cure))
            continue
        env = model.endpoint.api_key_env
        if env and env not in keys:
            found.append(Finding(who, "failed", f"no API key in {env}", missing_key(env)))
            continue
        for url in model.endpoint.urls:
            asked = try_endpoint(url, model, keys.get(env) if env else None)
            found.append(_finding(f"{who} at {url}", asked))
    return found


def quick_speech(job: JobSettings, bank: VoiceBank) -> list[Finding]:
    """The cheap part of servers of speech and of those that hear it."""
    found = [*endpoints(job, bank), *listening_endpoints(job.checks)]
    return [Finding(**asdict(item)) for item in found]


def quick_heard(job: CheckJob) -> list[Finding]:
    """The cheap part of a job that only listens."""
    return [Finding(**asdict(item)) for item in listening_endpoints(job.checks)]


def _listeners(job: BaseJob, folder: Path, langs: tuple[str, ...]) -> list[Finding]:
    """What a job names under checks; the embedded recognizer needs no look."""
    if not isinstance(job, JobSettings | CheckJob):
        return []
    named = job.checks
    if not (named.asr or named.second or named.mos):
        return []
    try:
        checks = with_listening(named, folder)
        return [Finding(**asdict(item)) for item in look_at_listeners(checks, langs)]
    except VoxmillError as error:
        return [_failed("checks", error, "mend what it names in the job file")]


def _similarity(job: JobSettings, folder: Path) -> tuple[JobSettings, list[Finding]]:
    """The sentence model, loaded and tried; a job whose model is of no use goes on without it."""
    if settings_of(job) is None:
        return job, []
    try:
        told = with_similarity(job, folder)
        return told, [Finding("similarity", "ok", try_similarity(told))]
    except VoxmillError as error:
        cure = "mend what it names, or leave rewrite.chat.similarity out"
        return without_similarity(job), [_failed("similarity", error, cure)]


def _round_trips(job: JobSettings, steps: list[AskingStep]) -> Iterator[Finding]:
    keys = read_keys(job)
    for step in steps:
        name = chats_of(job)[step.name].model
        model: ModelSettings = models_of(job)[name]
        if model.backend == "vllm":
            told = "not tried: loading it is the build's business"
            yield Finding(f"{step.name} by {name}", "warning", told)
            continue
        for asked in try_model(step, model, backend_of(name, model, keys)):
            yield _finding(f"{step.name} by {name}", asked)


def _finding(what: str, asked: Asked) -> Finding:
    return Finding(what, asked.state, asked.told, asked.cure)


def _speech(job: JobSettings, bank: VoiceBank) -> list[Finding]:
    return [Finding(**asdict(item)) for item in look_at_speech(job, bank, _speaking(job))]


def _speaking(job: JobSettings) -> tuple[SpeechBackend, ...]:
    return (*BACKENDS, *speech_backends(job, read_keys(job)))


def _units(job: BaseJob, folder: Path, bank: VoiceBank | None = None) -> list[Finding]:
    """The model behind the units, tried; a job of other pipelines may have none."""
    units = getattr(job, "units", None)
    if not isinstance(units, Units):
        return []

    def tell() -> ToldUnits:
        if isinstance(job, JobSettings) and bank is not None:
            return units_of(job, bank, _speaking(job), folder)
        return told_units(units, folder, job.seed)

    if isinstance(job, JobSettings) and bank is None and units.backend == "own":
        return []  # they are the voices'
    return [_finding("units", asked) for asked in try_units(units, tell)]


def _heard(job: BaseJob, folder: Path) -> Finding:
    """The source of a job that starts from audio, by the request that a build would make."""
    try:
        next(iter(request_of(job, folder, limit=1).rows()), None)
    except VoxmillError as error:
        return _failed("source", error, "give the rows with --input PATH, or mend source.path")
    return Finding("source", "ok", "it can be read")


def _source(job: JobSettings, folder: Path) -> Finding:
    try:
        rows = list(read_source(source_of(job, folder), 1))
    except VoxmillError as error:
        return _failed("source", error, "give the rows with --input PATH, or mend source.path")
    if not rows:
        return Finding("source", "failed", "it holds no row", "give a source with rows")
    if rows[0].error is not None:
        told = f"its first row cannot be read: {rows[0].error['message'][:200]}"
        return Finding("source", "warning", told, "check source.adapter")
    return Finding("source", "ok", "its first row can be read")


def _store(job: BaseJob) -> Finding:
    if job.output.uri is None:
        return Finding("store", "warning", "no output is named", "give --output, or set output.uri")
    try:
        output = store_address(job.output.uri, job.output.store)
        work = store_address(job.output.work, job.output.store) if job.output.work else output
        for address in dict.fromkeys((output, work)):
            store, probe = open_store(address), f"doctor-{secrets.token_hex(4)}"
            check_conditional_puts(store)
            new = store.put_new(probe, b"voxmill") and not store.put_new(probe, b"again")
            whole = store.get(probe) == b"voxmill"
            store.delete(probe)
            if not (new and whole):
                told = f"{address.uri}: what was written does not come back, or is not created once"
                return Finding("store", "failed", told, "choose another --output")
    except VoxmillError as error:
        return _failed("store", error, "do as it says, or choose another --output")
    return Finding("store", "ok", f"{job.output.uri} can be written and read")


def _failed(what: str, error: VoxmillError, cure: str) -> Finding:
    return Finding(what, "failed", str(error), cure)


def as_json(findings: list[Finding]) -> dict[str, Any]:
    """What --json prints."""
    return {
        "ok": all(item.state != "failed" for item in findings),
        "findings": [asdict(item) for item in findings],
    }
