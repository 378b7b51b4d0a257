"""`voxmill build`: from a job file to a snapshot, a table and a report."""

import os
from collections.abc import Callable
from pathlib import Path

from jobs.progress import ProgressView
from jobs.recipe import request_of
from jobs.settings import JobSettings, load_job
from pipelines.build import Result, build
from pipelines.engines.engine import Engine, Listener
from pipelines.engines.local import InlineEngine, LocalEngine
from pipelines.request import prepare
from pipelines.task import Job


def build_job(
    path: Path,
    changes: list[str],
    *,
    source: str | None = None,
    output: str | None = None,
    workers: int | None = None,
    limit: int | None = None,
    retry_failed: bool = False,
    refit: bool = False,
    quiet: bool = False,
) -> tuple[JobSettings, Result]:
    """Load, check, plan and build a job; the options stand above the file's settings."""
    overrides = list(changes)
    if source is not None:
        overrides.append(f"source.path={Path(source).absolute()}")
    if output is not None:
        overrides.append(f"output.uri={output}")
    if workers is not None:
        overrides.append(f"engine.workers={workers}")
    job = load_job(path, overrides)
    request = request_of(job, path.parent, limit=limit, retry_failed=retry_failed, refit=refit)
    with ProgressView(quiet=quiet) as view:
        view.stage("plan", 1)
        planned = prepare(request)
        view.finished()
        result = build(planned, engine_of(job, view), view)
    return job, result


def engine_of(job: JobSettings, listener: Listener) -> Callable[[Job], Engine]:
    """What starts the job's engine."""
    workers = job.engine.workers
    count = os.cpu_count() or 1 if workers is None else workers

    def start(work: Job) -> Engine:
        if count == 0:
            return InlineEngine(work, listener)
        return LocalEngine(work, count, job.engine.row_timeout_s, listener)

    return start
