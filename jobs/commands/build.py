"""`voxmill build`: from a job file to a snapshot, a table and a report."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobs.cards.card import render_card
from jobs.cards.croissant import croissant
from jobs.cards.license import granted_of
from jobs.doctor.doctor import quick, quick_heard, quick_speech
from jobs.doctor.units import try_plan
from jobs.engines import check_engine, num_workers, start_engine
from jobs.estimate import estimate
from jobs.guess import FILE as ESTIMATE
from jobs.guess import Guess, with_truth
from jobs.metrics import LOOPBACK, serving
from jobs.prices import with_prices
from jobs.progress import ProgressView
from jobs.recipes.chat import read_keys
from jobs.recipes.recipe import request_of
from jobs.report.data import gather
from jobs.report.render import render_report
from jobs.settings.heard import CheckJob
from jobs.settings.job import BaseJob, JobSettings
from jobs.settings.jobfile import load_overridden
from jobs.summary import host_facts, run_record
from pipelines.build import Result, build
from pipelines.engines.engine import Engine, Listener
from pipelines.lease import planning
from pipelines.probe import check_conditional_puts
from pipelines.request import Planned, prepare
from pipelines.task import Job
from pipelines.telemetry import Telemetry
from pipelines.unit_nodes import UnitPlan
from schemas.address import scheme_of
from schemas.canonical import pretty_json
from schemas.errors import BackendError, SettingsError
from schemas.snapshot import current_version, read_pointer
from schemas.store import Store, open_store
from transforms.cluster_units import ClusterUnits
from transforms.codec_units import CodecUnits
from transforms.fit_centroids import FitCentroids
from transforms.synthesize import Synthesize
from transforms.unit_step import UnitStep

RUN, CARD, REPORT = "run.json", "README.md", "report/index.html"
CROISSANT = "croissant.json"


def build_job(
    path: Path,
    changes: list[str],
    *,
    source: str | None = None,
    output: str | None = None,
    engine: str | None = None,
    address: str | None = None,
    workers: int | None = None,
    beam: Sequence[str] = (),
    limit: int | None = None,
    retry_failed: bool = False,
    refit: bool = False,
    quiet: bool = False,
    metrics_port: int | None = None,
    metrics_address: str = LOOPBACK,
) -> tuple[BaseJob, Result, int]:
    """Load, check, plan and build a job; the options stand above the file's settings.

    Gives the job as it was run, what was done, and how many workers did it.
    """
    job = load_overridden(
        path,
        changes,
        source=source,
        output=output,
        engine=engine,
        address=address,
        workers=workers,
        beam=beam,
    )
    job = with_prices(job, path.parent)
    if beam and job.engine.name != "beam":
        raise SettingsError(
            f"-- {' '.join(beam)}: what stands after -- is for Beam, and the engine is "
            f"{job.engine.name}; give --engine beam"
        )
    if address is not None and job.engine.name != "ray":
        raise SettingsError(
            f"--address {address}: only Ray has one, and the engine is {job.engine.name}; give "
            "--engine ray, or leave --address out"
        )
    # workers of other engines start in folders of their own
    here = path if job.engine.name == "local" else path.absolute()
    request = request_of(
        job,
        here.parent,
        limit=limit,
        retry_failed=retry_failed,
        refit=refit,
        keys=read_keys(job) if isinstance(job, JobSettings) else None,
    )
    check_engine(job)
    workers = num_workers(job)
    with ProgressView(quiet=quiet) as view, ExitStack() as alive:
        store = open_store(request.output)
        pointer = read_pointer(store)
        view.stage("plan", 1)
        check_conditional_puts(open_store(request.output))
        planned = prepare(request, writing=lambda: alive.enter_context(planning(store)))
        view.finished()
        if isinstance(job, JobSettings | CheckJob):
            _look_first(job, planned, view)
        _try_units(planned, view)
        if workers and "memory" in (scheme_of(request.output.uri), scheme_of(request.work.uri)):
            raise SettingsError(
                "output memory://: it lives in one process, and workers are others; give "
                "--workers 0, or another --output"
            )
        guess = None
        if not planned.published:
            guess = estimate(planned, store, job, path.parent, workers)
            store.put(ESTIMATE, pretty_json(guess.value()))
        telemetry = Telemetry(view, job.engine.name, workers)
        started = datetime.now(UTC)
        with serving(telemetry, metrics_port, metrics_address):
            start, begun = start_engine(job, telemetry), list[Engine]()

            def started_engine(work: Job) -> Engine:
                begun.append(start(work))
                return begun[0]

            care = job.limits.care()
            result = build(planned, started_engine, telemetry, alive.close, care, telemetry)
        if begun:  # a cluster knows better than the job
            workers = getattr(begun[0], "num_workers", workers)
        moved = read_pointer(store) != pointer
        if (
            not result.unchanged
            or moved
            or any(store.size(name) is None for name in (RUN, CARD, CROISSANT, REPORT))
        ):
            view.stage("report", 1)
            facts = host_facts(started, telemetry)
            _describe(store, job, result, workers, facts, guess)
            view.finished()
    return job, result, workers


def _look_first(job: JobSettings | CheckJob, planned: Planned, listener: Listener) -> None:
    """The doctor's quick part, before anything is spent.

    Where replies are stored already, an endpoint that is gone may not be needed: it is only noted.
    """
    if planned.published:
        return
    if isinstance(job, CheckJob):
        looked = quick_heard(job)
    else:
        nodes = planned.request.pipeline.nodes
        banks = [node.bank for node in nodes if isinstance(node, Synthesize)]
        looked = [*quick(job), *(item for bank in banks for item in quick_speech(job, bank))]
    failed = [item for item in looked if item.state == "failed"]
    if not failed:
        return
    work = open_store(planned.request.work)
    stored = planned.parent is not None or bool(work.list("replies"))
    for item in failed if stored else ():
        listener.note(f"{item.what}: {item.told}; going on with the replies that are stored")
    if failed and not stored:
        raise BackendError("\n  ".join(item.line() for item in failed))


def _try_units(planned: Planned, listener: Listener) -> None:
    """One clip through the model behind the units, before anything is spent on speech.

    Raises BackendError for weights that are partial, or not those of the configuration.
    """
    nodes = planned.request.pipeline.nodes
    step = next((node for node in nodes if isinstance(node, UnitStep)), None)
    if planned.published or not isinstance(step, ClusterUnits | CodecUnits):
        return
    fit = next((node for node in nodes if isinstance(node, FitCentroids)), None)
    listener.note(f"units {step.set_name}: {try_plan(UnitPlan(step=step, fit=fit))}")


def _describe(
    store: Store,
    job: BaseJob,
    result: Result,
    workers: int,
    facts: dict[str, Any],
    guess: Guess | None,
) -> None:
    """Write what people read: run.json, the dataset card, the page to look at and listen to."""
    run = {**run_record(job, result, workers), **facts}
    if guess is not None:  # before the page, which shows it
        told = with_truth(guess, result.manifest, run)
        complete = not any(result.reused.values()) and not result.carried
        store.put(ESTIMATE, pretty_json(told.value(complete=complete)))
    corpus = gather(store, result.manifest)
    page = render_report(store, result.manifest, run, result.exhibits, corpus)
    store.put(REPORT, page.encode("utf-8"))
    if current_version(store) in (None, result.manifest["version"]):  # the card is for readers
        granted = granted_of(result.manifest, corpus)
        store.put(CARD, render_card(store, result.manifest, corpus, granted).encode("utf-8"))
        store.put(CROISSANT, pretty_json(croissant(result.manifest, corpus, granted)))
    store.put(RUN, pretty_json(run))
