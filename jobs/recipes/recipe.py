"""From a validated job to what pipelines understand: the recipe, the source, the request."""

from pathlib import Path
from typing import Any

from jobs.expecting import expectations_of
from jobs.recipes.chat import Keys, ask_respond, ask_rewrite, with_prompts, without_addresses
from jobs.recipes.checks import augment_of, checks_of, finish_of
from jobs.recipes.heard import heard_pipeline, heard_request, job_document, source_place
from jobs.recipes.listen import check_listeners, with_listening, without_listeners
from jobs.recipes.own import units_of
from jobs.recipes.similarity import try_similarity, with_similarity, without_place
from jobs.recipes.speech import speech_backends, with_clip, with_speech, without_places
from jobs.recipes.unit import without_unit_places
from jobs.settings.heard import CheckJob, RetokenizeJob
from jobs.settings.job import BaseJob, JobSettings
from jobs.sources.read import read_source
from jobs.sources.settings import SourceSettings
from jobs.storage import store_address
from pipelines.graph import Pipeline
from pipelines.instruct_s2s import Recipe, instruct_s2s
from pipelines.request import Request
from pipelines.unit_nodes import UnitPlan
from schemas.errors import SettingsError
from transforms.ask_respond import AskRespond
from transforms.ask_rewrite import AskRewrite
from transforms.backends.espeak import Espeak
from transforms.backends.flite import Flite
from transforms.backends.tts import SpeechBackend
from transforms.dedup import FindDuplicates, Near
from transforms.no_answers import NoAnswers
from transforms.pick import Pick
from transforms.quotas import quota_from
from transforms.respond import Respond
from transforms.rewrite import Rewrite
from transforms.select import Gate
from transforms.text.rules import InputPolicy
from transforms.text.speakable import Limits
from transforms.voice_file import load_bank
from transforms.voices import Voice, VoiceBank

BACKENDS: tuple[SpeechBackend, ...] = (Flite(), Espeak())
NOT_IN_MANIFEST = {"output", "engine", "limits", "expectations", "estimate", "schedule"}
HEARD: dict[str, type[RetokenizeJob | CheckJob]] = {
    "retokenize": RetokenizeJob,
    "check": CheckJob,
}


def pipeline_of(
    job: JobSettings,
    bank: VoiceBank,
    backends: tuple[SpeechBackend, ...] = BACKENDS,
    keys: Keys | None = None,
    units: UnitPlan | None = None,
    *,
    check: bool = True,
) -> Pipeline:
    """The pipeline of a job. Raises SettingsError or BackendError, with the cure.

    ``check``: that every voice can be used here; a plan needs no weights.
    ``units`` are those of jobs/recipes/unit.py; None for MFCC.
    """
    given = {backend.name for backend in backends}
    made = (item for item in speech_backends(job, keys or {}) if item.name not in given)
    backends = (*backends, *made)
    check_voices(bank, backends, try_them=check)
    ears = checks_of(job.checks, job.synthesize)
    if check:
        check_listeners(ears)
    return instruct_s2s(
        Recipe(
            seed=job.seed,
            pick=Pick(**job.pick.model_dump()) if job.pick.keep or job.pick.leave else None,
            duplicates=FindDuplicates(
                enabled=job.dedup.enabled,
                scope=job.dedup.scope,
                ignore=job.dedup.ignore,
                near=None if job.dedup.near is None else Near(**job.dedup.near.model_dump()),
            ),
            eval_fraction=job.splits.eval_fraction,
            rewrite=_rewrite(job, keys or {}),
            respond=_respond(job, keys or {}),
            limits=Limits(**job.speakable.model_dump()),
            bank=bank,
            backends=backends,
            checks=ears,
            augment=augment_of(job.augment, job.seed),
            finish=finish_of(job.synthesize),
            clusters=job.units.num_clusters,
            max_frames=job.units.num_frames,
            unit_roles=job.units.roles,
            units=units,
            gates=tuple(Gate(**gate.model_dump()) for gate in job.gates),
            min_pairs=job.min_pairs,
        )
    )


def _rewrite(job: JobSettings, keys: Keys) -> Rewrite | AskRewrite:
    rewrite = job.rewrite
    if rewrite.backend == "chat":
        return ask_rewrite(job, keys)
    return Rewrite(
        seed=job.seed,
        input_policy=InputPolicy(rewrite.input_policy),
        max_input_chars=rewrite.max_input_chars.pairs(),
        max_chars=rewrite.max_chars.pairs(),
        filler_rate=rewrite.filler_rate,
    )


def _respond(job: JobSettings, keys: Keys) -> Respond | AskRespond | NoAnswers:
    if job.respond.backend == "none":
        return NoAnswers()
    if job.respond.backend == "chat":
        return ask_respond(job, keys)
    return Respond(max_chars=job.respond.max_chars.pairs())


def check_voices(
    bank: VoiceBank, backends: tuple[SpeechBackend, ...], *, try_them: bool = True
) -> None:
    """Raise SettingsError or BackendError unless every voice of the bank can be used here."""
    by_name = {backend.name: backend for backend in backends}
    for voice in bank.voices:
        if voice.backend not in by_name:
            raise SettingsError(
                f"voice bank: voice '{voice.id}' wants the backend '{voice.backend}'; there are "
                f"{sorted(by_name)}; describe it in the job's section backends"
            )
        if try_them:
            by_name[voice.backend].check(voice.spec)


def request_of(
    job: BaseJob,
    folder: Path,
    *,
    limit: int | None = None,
    retry_failed: bool = False,
    refit: bool = False,
    backends: tuple[SpeechBackend, ...] = BACKENDS,
    keys: Keys | None = None,
    check: bool = True,
    absent: list[str] | None = None,
) -> Request:
    """The request that a job makes. ``folder`` is the job file's: its paths are relative to it.

    ``check``: that its voices can speak here. ``absent`` is jobs/recipes/unit.py's:
    given, models of units that are not here are told in it.
    """
    if isinstance(job, RetokenizeJob | CheckJob):
        return heard_request(
            job,
            folder,
            limit=limit,
            retry_failed=retry_failed,
            refit=refit,
            check=check,
            absent=absent,
        )
    assert isinstance(job, JobSettings)
    if job.output.uri is None:
        raise SettingsError("no output: give --output PATH, or set output.uri in the job file")
    bank = load_bank(folder / job.voices.bank)
    told = with_speech(with_similarity(with_prompts(job, folder), folder), folder)
    told = told.model_copy(update={"checks": with_listening(told.checks, folder)})
    try_similarity(told)
    spoken_by = (*backends, *speech_backends(told, keys or {}))
    units = units_of(job, bank, spoken_by, folder, absent)
    told = told.model_copy(update={"units": units.settings})
    output = store_address(job.output.uri, job.output.store)
    work = output.below("work")
    if job.output.work is not None:
        work = store_address(job.output.work, job.output.store)
    source = source_of(job, folder)
    return Request(
        pipeline=pipeline_of(told, bank, backends, keys, units.plan, check=check),
        rows=lambda: read_source(source, limit),
        output=output,
        work=work,
        settings=manifest_settings(told, bank),
        target_bytes=round(job.shards.target_mb * 1e6),
        rows_per_partition=job.shards.partition_rows,
        eval_fraction=job.splits.eval_fraction,
        limits=job.limits.of_snapshot(),
        same_lineage=job.output.same_lineage,
        expects=expectations_of(job, folder),
        retry_failed=retry_failed,
        refit=refit,
    )


def source_of(job: JobSettings, folder: Path) -> SourceSettings:
    """Where the rows of a job are. ``folder`` is the job file's."""
    categories = job.source.categories
    return SourceSettings(
        path=source_place(job.source.path, folder),
        adapter=job.source.adapter,
        name=job.source.name,
        license=job.source.license,
        lang=job.source.lang,
        categories=None if categories is None else source_place(categories, folder),
        options=store_address(job.source.path, job.source.store).options,
    )


def manifest_settings(job: JobSettings, bank: VoiceBank) -> dict[str, Any]:
    """What the manifest keeps: all that replay needs, no path of this machine, no secret."""
    job = job.model_copy(update={"units": without_unit_places(job.units)})
    settings = job.model_dump(mode="json", exclude=NOT_IN_MANIFEST)
    for name in ("path", "categories", "store"):
        settings["source"].pop(name)
    without_place(settings)
    settings["models"] = without_addresses(settings["models"])
    without_places(settings)
    without_listeners(settings["checks"])
    settings["voices"] = [voice.facts() for voice in bank.voices]
    if bank.quotas:  # a manifest without any stays as it was
        settings["quotas"] = [quota.facts() for quota in bank.quotas]
    return settings


def pipeline_from(settings: dict[str, Any]) -> Pipeline:
    """The pipeline of a snapshot, from the settings in its manifest."""
    job, bank = from_manifest(settings)
    if isinstance(job, RetokenizeJob | CheckJob):
        return heard_pipeline(job, settings)
    assert isinstance(job, JobSettings)
    speaking = (*BACKENDS, *speech_backends(job, {}))
    units = units_of(job, bank, speaking, Path(), kept=True).plan
    given = job.backends or job.checks.asr or job.checks.second or job.checks.mos
    check = not given  # what is stored may stand for them
    return pipeline_of(job, bank, units=units, check=check)


def from_manifest(settings: dict[str, Any]) -> tuple[BaseJob, VoiceBank]:
    """The job and the bank that a manifest's settings hold; paths are placeholders.

    The bank is empty for a pipeline that speaks nothing.
    """
    if settings.get("pipeline") in HEARD:
        return HEARD[settings["pipeline"]].model_validate(job_document(settings)), VoiceBank(())
    voices = tuple(
        with_clip(Voice(**{**item, "roles": tuple(item["roles"]), "splits": tuple(item["splits"])}))
        for item in settings["voices"]
    )
    document = {
        **settings,
        "source": {**settings["source"], "path": ""},
        "voices": {"bank": ""},
    }
    quotas = tuple(quota_from(item) for item in document.pop("quotas", ()))
    return JobSettings.model_validate(document), VoiceBank(voices, quotas)
