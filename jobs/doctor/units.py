"""Tries a job's units: the files, what they say of themselves, and one clip through the model."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa

from jobs.doctor.models import Asked
from jobs.recipes.unit import ToldUnits, contract_words
from jobs.settings.unit import Units
from pipelines.unit_nodes import UnitPlan
from schemas.errors import BackendError, VoxmillError
from transforms.audio import encode_flac
from transforms.cluster_units import ClusterUnits
from transforms.clustering.files import centroid_bytes
from transforms.codec_units import CodecUnits
from transforms.fit_centroids import FitCentroids
from transforms.step import Artifacts

CLIP_S: Final = 2.0
CURE: Final = "mend what it names; docs/units.md says where models come from"


def try_units(units: Units, tell: Callable[[], ToldUnits]) -> list[Asked]:
    """What came of each look. ``tell`` reads what the job names. Nothing is raised."""
    if units.backend == "mfcc":
        return [Asked("ok", f"MFCC and {units.num_clusters} clusters, fitted on the corpus")]
    try:
        plan = tell().plan
        if plan is None:
            return [Asked("ok", "no turn that is spoken has units")]
        found = [Asked("ok", contract_words(plan))]
    except VoxmillError as error:
        return [Asked("failed", str(error), CURE)]
    try:
        return [*found, Asked("ok", try_plan(plan))]
    except VoxmillError as error:
        return [*found, Asked("failed", str(error), CURE)]


def try_plan(plan: UnitPlan) -> str:
    """Load the model and make the units of one clip; what came of it. Raises BackendError.

    Centroids that are yet to be fitted are stood in for by random ones.
    """
    step = plan.step
    if isinstance(step, ClusterUnits):  # the clip is no speech, and the centroids may be drawn
        step = replace(step, units_per_s=None)
    if not isinstance(step, ClusterUnits | CodecUnits):
        return "the voices' own tokens: see what these said"
    flac = encode_flac(_clip(step.audio_rate_hz), step.audio_rate_hz)
    row = {
        "role": step.roles[0],
        "flac": flac,
        "flac_sha256": "",
        "sample_rate_hz": step.audio_rate_hz,
    }
    batch = pa.RecordBatch.from_pylist([row], schema=step.reads)
    started = time.perf_counter()
    with step.open(_artifacts(plan)) as run:
        loaded = time.perf_counter()
        try:
            (made,) = run(batch).to_pylist()
        except VoxmillError as error:
            raise BackendError(f"units of one clip: {error}") from error
        took = time.perf_counter() - loaded
    codes = made["codes"]
    return (
        f"loaded in {loaded - started:.1f} s; a clip of {CLIP_S:g} s gave {made['num_frames']} "
        f"frames, {made['num_units']} units, {len(set(codes))} different ones, in {took:.2f} s"
    )


def _artifacts(plan: UnitPlan) -> Artifacts:
    if plan.fit is None:
        return {}
    if plan.fit.given is not None and plan.fit.given.path:
        return {FitCentroids.name: plan.fit.finalize(plan.fit.merge([]))}
    shape = (plan.fit.num_clusters, plan.fit.model.dimensions)
    drawn = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    return {FitCentroids.name: centroid_bytes(drawn)}


def _clip(rate_hz: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """A gliding voice-like tone over faint noise: no two frames alike."""
    times = np.arange(round(CLIP_S * rate_hz)) / rate_hz
    phase = 2 * np.pi * np.cumsum(140 + 60 * np.sin(2 * np.pi * 1.3 * times)) / rate_hz
    wave = sum(np.sin(k * phase) / k for k in range(1, 9))
    noise = np.random.default_rng(0).standard_normal(len(times))
    loud = np.clip(np.sin(2 * np.pi * 2.1 * times), 0.1, 1)
    return np.asarray(3000 * wave * loud + 60 * noise, np.int16)
