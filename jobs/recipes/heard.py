"""From the jobs retokenize and check to their pipelines, sources and requests."""

from pathlib import Path
from typing import Any

from jobs.expecting import expectations_of
from jobs.recipes.checks import checks_of
from jobs.recipes.listen import check_listeners, with_listening, without_listeners
from jobs.recipes.unit import told_units, without_unit_places
from jobs.settings.heard import CheckJob, HeardSource, RetokenizeJob
from jobs.sources.open import AUDIO_LAYOUTS
from jobs.sources.read import read_source
from jobs.sources.settings import SourceSettings
from jobs.storage import store_address
from pipelines.check import CheckRecipe, check
from pipelines.graph import Pipeline
from pipelines.request import Request
from pipelines.retokenize import RetokenizeRecipe, retokenize
from schemas.errors import ConflictError, SettingsError
from schemas.snapshot import Manifest, chosen_snapshot
from schemas.store import open_store
from schemas.unitset import UnitSet
from transforms.dedup import FindDuplicates
from transforms.select import Gate

NOT_IN_MANIFEST = {"output", "engine", "limits", "expectations", "estimate", "schedule"}
BOTH_SPLITS = 0.1  # of a corpus with train and eval: what shards are planned for


def heard_request(
    job: RetokenizeJob | CheckJob,
    folder: Path,
    *,
    limit: int | None = None,
    retry_failed: bool = False,
    refit: bool = False,
    check: bool = True,
    absent: list[str] | None = None,
) -> Request:
    """The request that a job makes. Raises SettingsError, DamageError, ConflictError."""
    if job.output.uri is None:
        raise SettingsError("no output: give --output PATH, or set output.uri in the job file")
    output = store_address(job.output.uri, job.output.store)
    work = output.below("work")
    if job.output.work is not None:
        work = store_address(job.output.work, job.output.store)
    place = source_place(job.source.path, folder)
    corpus = None
    if job.source.adapter == "voxmill":
        there = open_store(store_address(str(place), job.source.store))
        if open_store(output).uri == there.uri:
            raise ConflictError(
                f"output {job.output.uri}: it is the source; give another, which then has the same "
                "samples under the same keys"
            )
        corpus = chosen_snapshot(there, job.source.version)
    source = _source(job, place, folder, corpus)
    if isinstance(job, CheckJob):
        job = job.model_copy(update={"checks": with_listening(job.checks, folder)})
        if check:
            check_listeners(checks_of(job.checks))
    if job.units is not None:
        told = told_units(job.units, folder, job.seed, absent).settings
        job = job.model_copy(update={"units": told})
    settings = heard_settings(job, corpus)
    return Request(
        pipeline=heard_pipeline(job, settings, folder, absent),
        rows=lambda: read_source(source, limit),
        output=output,
        work=work,
        settings=settings,
        target_bytes=round(job.shards.target_mb * 1e6),
        rows_per_partition=job.shards.partition_rows,
        eval_fraction=_eval_share(job, corpus),
        limits=job.limits.of_snapshot(),
        same_lineage=job.output.same_lineage,
        expects=expectations_of(job, folder),
        retry_failed=retry_failed,
        refit=refit,
    )


def heard_pipeline(
    job: RetokenizeJob | CheckJob,
    settings: dict[str, Any],
    folder: Path = Path(),
    absent: list[str] | None = None,
) -> Pipeline:
    """The pipeline. ``settings`` are those of the manifest, which know the source's unit sets.

    ``folder`` is what paths of models are relative to.
    """
    kept = tuple(UnitSet.from_json(value) for value in settings["kept_sets"])
    told = None if job.units is None else told_units(job.units, folder, job.seed, absent)
    units = None if told is None else told.plan
    if isinstance(job, RetokenizeJob):
        return retokenize(
            RetokenizeRecipe(
                seed=job.seed,
                clusters=job.units.num_clusters,
                max_frames=job.units.num_frames,
                unit_roles=job.units.roles,
                kept=kept,
                units=units,
            )
        )
    return check(
        CheckRecipe(
            seed=job.seed,
            duplicates=FindDuplicates(
                enabled=job.dedup.enabled, scope=job.dedup.scope, ignore=job.dedup.ignore
            ),
            eval_fraction=job.splits.eval_fraction,
            need_texts=job.texts == "required",
            sample_rate_hz=job.audio.sample_rate_hz,
            clusters=None if job.units is None else job.units.num_clusters,
            max_frames=100_000 if job.units is None else job.units.num_frames,
            unit_roles=() if job.units is None else job.units.roles,
            kept=kept,
            gates=tuple(Gate(**gate.model_dump()) for gate in job.gates),
            min_pairs=job.min_pairs,
            checks=checks_of(job.checks),
            units=units,
        )
    )


def heard_settings(job: RetokenizeJob | CheckJob, corpus: Manifest | None) -> dict[str, Any]:
    """What the manifest keeps: no path, the source's snapshot, and the unit sets it brings."""
    if job.units is not None:
        job = job.model_copy(update={"units": without_unit_places(job.units)})
    settings = job.model_dump(mode="json", exclude=NOT_IN_MANIFEST)
    for name in ("path", "store", "audio_folder"):
        settings["source"].pop(name, None)
    if "checks" in settings:
        without_listeners(settings["checks"])
    if corpus is not None:
        settings["source"]["snapshot"] = {
            "version": corpus["version"],
            "identity": corpus["identity"],
        }
        settings["kept_sets"] = corpus["unit_sets"]
    else:
        units = job.source.units if isinstance(job.source, HeardSource) else None
        settings["kept_sets"] = [] if units is None else [units.unit_set().to_json()]
    return settings


def job_document(settings: dict[str, Any]) -> dict[str, Any]:
    """The job file that ``heard_settings`` was made of; paths are placeholders."""
    source = {key: value for key, value in settings["source"].items() if key != "snapshot"}
    rest = {key: value for key, value in settings.items() if key != "kept_sets"}
    return {**rest, "source": {**source, "path": ""}}


def source_place(path: str, folder: Path) -> Path | str:
    """A source's path, relative to the job file; an address or a brace pattern as a text."""
    if "://" in path:
        return path
    return str(folder / path) if "{" in path else folder / path


def _source(
    job: RetokenizeJob | CheckJob, place: Path | str, folder: Path, corpus: Manifest | None
) -> SourceSettings:
    source = job.source
    options = store_address(str(place), source.store).options
    if isinstance(source, HeardSource):
        if source.adapter not in AUDIO_LAYOUTS and source.adapter != "messages":
            raise SettingsError(
                f"source adapter '{source.adapter}': pipeline {job.pipeline} reads audio; wanted "
                f"one of {', '.join([*AUDIO_LAYOUTS, 'messages'])}"
            )
        audio = (
            None if source.audio_folder is None else str(source_place(source.audio_folder, folder))
        )
        members = {} if source.members is None else source.members.model_dump(exclude_none=True)
        return SourceSettings(
            path=place,
            adapter=source.adapter,
            name=source.name,
            license=source.license,
            lang=source.lang,
            version=None if corpus is None else corpus["version"],
            members=members,
            columns=source.columns.model_dump(),
            audio_folder=audio,
            unit_set=None if source.units is None else source.units.unit_set(),
            options=options,
        )
    return SourceSettings(
        path=place,
        adapter=source.adapter,
        name="unnamed",
        license="unknown",
        version=None if corpus is None else corpus["version"],
        options=options,
    )


def _eval_share(job: RetokenizeJob | CheckJob, corpus: Manifest | None) -> float:
    if corpus is None:
        return job.splits.eval_fraction if isinstance(job, CheckJob) else 0.0
    splits = {shard["split"] for shard in corpus["shards"]}
    return {frozenset(["eval"]): 1.0, frozenset(["train"]): 0.0}.get(frozenset(splits), BOTH_SPLITS)
