"""The nodes that make a pipeline's units: MFCC and k-means, or what the job asks for instead."""

from dataclasses import dataclass

from transforms.fit_centroids import FitCentroids
from transforms.kmeans import FitKmeans
from transforms.step import Node
from transforms.unit_step import UnitStep
from transforms.units import MfccUnits


@dataclass(frozen=True, kw_only=True)
class UnitPlan:
    """A step that makes units, and the fit step whose centroids it takes, if it takes any."""

    step: UnitStep
    fit: FitCentroids | None = None


def mfcc_nodes(
    seed: int, num_clusters: int, max_frames: int, roles: tuple[str, ...]
) -> tuple[FitKmeans, MfccUnits]:
    """The embedded default."""
    fit = FitKmeans(seed=seed, num_clusters=num_clusters, max_frames=max_frames, roles=roles)
    return fit, MfccUnits(roles=roles, num_clusters=num_clusters)


def unit_nodes(plan: UnitPlan) -> tuple[Node, ...]:
    """The nodes of a plan, in order."""
    return (plan.step,) if plan.fit is None else (plan.fit, plan.step)


def unit_step(nodes: tuple[Node, ...]) -> UnitStep:
    """The one among nodes that makes units."""
    (step,) = (node for node in nodes if isinstance(node, UnitStep))
    return step
