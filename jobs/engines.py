"""From a job's section ``engine`` to what starts that engine, or an error that names the cure."""

import importlib.util
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from jobs.settings.job import BaseJob
from pipelines.engines.clocks import Timeouts
from pipelines.engines.engine import Engine, Listener
from pipelines.engines.local import InlineEngine, LocalEngine
from pipelines.task import Job
from schemas.errors import BackendError, SettingsError

if TYPE_CHECKING:
    from pipelines.engines.beam_options import BeamOptions

MODULES = {"ray": "ray", "beam": "apache_beam"}  # what an engine's extra installs


def num_workers(job: BaseJob) -> int:
    """How many workers the job asks for; 0 is this very process."""
    count = job.engine.workers
    if count == 0 and job.engine.name != "local":
        raise SettingsError(
            f"engine.workers: 0 is this process, and the engine is {job.engine.name}; give "
            "--workers 1 or more, or --engine local"
        )
    return os.cpu_count() or 1 if count is None else count


def check_engine(job: BaseJob) -> None:
    """Raise BackendError for an engine that is not installed, before anything is planned."""
    name = job.engine.name
    module = MODULES.get(name)
    if module is not None and importlib.util.find_spec(module) is None:
        raise BackendError(
            f"the engine {name} is not installed: there is no package {module}; run pip install "
            f"-c constraints.txt -e '.[{name}]', on every machine that is to work"
        )
    if name == "beam":
        options = _beam_options(job)
        from pipelines.engines.beam_reach import check_listening

        check_listening(options, job.engine.beam.wait_s)


def start_engine(job: BaseJob, listener: Listener) -> Callable[[Job], Engine]:
    """What starts the job's engine, which ``check_engine`` has found installed."""
    starters = {"local": _local, "ray": _ray, "beam": _beam}
    return starters[job.engine.name](job, listener)


def _timeouts(job: BaseJob) -> Timeouts:
    return Timeouts(row_s=job.engine.row_timeout_s, open_s=job.engine.open_timeout_s)


def _local(job: BaseJob, listener: Listener) -> Callable[[Job], Engine]:
    workers = num_workers(job)

    def start(work: Job) -> Engine:
        if workers == 0:
            return InlineEngine(work, listener)
        return LocalEngine(work, workers, _timeouts(job), listener)

    return start


def _ray(job: BaseJob, listener: Listener) -> Callable[[Job], Engine]:
    # Ray reads it when it starts, and would phone home; what the user has set stands
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from jobs.ray_pools import options_of
    from pipelines.engines.ray_engine import RayEngine

    options = options_of(job)
    return lambda work: RayEngine(work, options, _timeouts(job), listener)


def _beam(job: BaseJob, listener: Listener) -> Callable[[Job], Engine]:
    options = _beam_options(job)
    from pipelines.engines.beam import BeamEngine

    return lambda work: BeamEngine(work, options, _timeouts(job), listener)


def _beam_options(job: BaseJob) -> "BeamOptions":
    logging.disable(logging.WARNING)  # of Beam's import: it would say that Google's clients lack
    try:
        from pipelines.engines.beam_options import check_runner, options_from
    finally:
        logging.disable(logging.NOTSET)
    told = job.engine.beam
    options = options_from(told.options, num_workers(job), told.accelerator, job.output.uri or "")
    check_runner(options.runner)
    return options
