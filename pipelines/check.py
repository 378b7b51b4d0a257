"""Measures and gates on speech that others made: accepted or rejected, with every reason.

    duplicates -> dedup -> split -> take_heard -> explode -> conform -> ship -> listen
    -> (transcribe) -> (rate) -> (compare) -> pace -> measure -> (kmeans -> units)
    -> measure_units -> (norms) -> gather -> import_units -> measure_pairs -> select

Audio that conforms ships as it came; what the corpus is gains no text and no voice here.
"""

from dataclasses import dataclass

from pipelines.graph import Pipeline
from pipelines.listening import listening
from pipelines.retokenize import check_new_set
from pipelines.unit_nodes import UnitPlan, mfcc_nodes, unit_nodes, unit_step
from schemas.unitset import UnitSet
from transforms.checks import NO_CHECKS, Checks, check_gates
from transforms.conform import Conform, Ship
from transforms.dedup import Dedup, FindDuplicates
from transforms.explode_heard import ExplodeHeard
from transforms.gate import Gate
from transforms.import_units import ImportUnits, NoUnits
from transforms.keep_split import KeepSplit
from transforms.measure import Measured
from transforms.measure_pairs import MeasurePairs
from transforms.measure_units import MeasureUnits
from transforms.pace import FitPace
from transforms.select import GATHER, norms_for, selecting
from transforms.split import Split
from transforms.step import Node
from transforms.take_heard import TakeHeard

NAME = "check"


@dataclass(frozen=True, kw_only=True)
class CheckRecipe:
    """What the steps are told. ``kept`` are the unit sets that the source brings.

    ``clusters`` is None where no units are to be extracted.
    """

    seed: int
    duplicates: FindDuplicates
    eval_fraction: float
    need_texts: bool
    sample_rate_hz: int
    clusters: int | None
    max_frames: int
    unit_roles: tuple[str, ...]
    kept: tuple[UnitSet, ...]
    gates: tuple[Gate, ...]
    min_pairs: int
    checks: Checks = NO_CHECKS
    units: UnitPlan | None = None  # in the place of MFCC


def check(recipe: CheckRecipe) -> Pipeline:
    """The checked DAG. Raises SettingsError for a gate that cannot work."""
    roles = () if recipe.clusters is None and recipe.units is None else recipe.unit_roles
    check_gates(recipe.gates, recipe.checks, unit_roles=roles)
    split = Split(seed=recipe.seed, eval_fraction=recipe.eval_fraction)
    return Pipeline(
        NAME,
        (
            recipe.duplicates,
            Dedup(),
            KeepSplit(otherwise=split),
            TakeHeard(min_pairs=recipe.min_pairs, need_texts=recipe.need_texts),
            ExplodeHeard(),
            Conform(sample_rate_hz=recipe.sample_rate_hz),
            Ship(),
            *listening(recipe.checks, recipe.seed),
            FitPace(seed=recipe.seed),
            Measured(),
            *_units(recipe),
            MeasureUnits(),
            *norms_for(recipe.gates, recipe.seed),
            GATHER,
            ImportUnits(sets=recipe.kept),
            MeasurePairs(),
            selecting(recipe.gates, recipe.min_pairs),
        ),
    )


def _units(recipe: CheckRecipe) -> tuple[Node, ...]:
    if recipe.units is not None:
        units = unit_nodes(recipe.units)
    elif recipe.clusters is not None:
        units = mfcc_nodes(recipe.seed, recipe.clusters, recipe.max_frames, recipe.unit_roles)
    else:
        return (NoUnits(),)
    check_new_set(unit_step(units).unit_set("").name, recipe.kept)
    return units
