"""From a job's section engine.ray to what the Ray engine takes."""

from jobs.settings.job import BaseJob
from pipelines.engines.pieces import Pool
from pipelines.engines.ray_cluster import RayOptions
from schemas.errors import SettingsError


def options_of(job: BaseJob) -> RayOptions:
    """The options. Raises SettingsError where the fewest workers are more than the most."""
    told, workers = job.engine.ray, job.engine.workers
    most = told.max_workers or workers
    if most is not None and most < told.min_workers:
        raise SettingsError(
            f"engine.ray.min_workers is {told.min_workers} and at most {most} are wanted "
            "(engine.ray.max_workers, or --workers); lower it"
        )
    return RayOptions(
        address=told.address,
        cpus=workers,
        min_workers=told.min_workers,
        max_workers=most,
        pools={step: Pool(**pool.model_dump()) for step, pool in told.pools.items()},
        wait_s=told.wait_s,
        object_store_mb=told.object_store_mb,
    )
