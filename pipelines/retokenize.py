"""A corpus again, with one more unit set: audio and texts stay as they are, byte for byte.

    split (kept) -> take_heard -> explode -> conform -> ship -> measure (kept) -> kmeans -> units
    -> gather -> import_units -> select

Fit step is ``kmeans``, which codecs do without. Every sample keeps its key, its KEY.json, its FLAC
files and its unit sets.
"""

from dataclasses import dataclass

from pipelines.graph import Pipeline
from pipelines.unit_nodes import UnitPlan, mfcc_nodes, unit_nodes, unit_step
from schemas.errors import SettingsError
from schemas.unitset import UnitSet
from transforms.conform import Conform, Ship
from transforms.explode_heard import ExplodeHeard, KeepMeasures
from transforms.import_units import ImportUnits
from transforms.keep_split import KeepSplit
from transforms.select import GATHER, Select
from transforms.split import Split
from transforms.take_heard import TakeHeard

NAME = "retokenize"


@dataclass(frozen=True, kw_only=True)
class RetokenizeRecipe:
    """What the steps are told. ``kept`` are the unit sets of the corpus that is read."""

    seed: int
    clusters: int
    max_frames: int
    unit_roles: tuple[str, ...]
    kept: tuple[UnitSet, ...]
    units: UnitPlan | None = None  # None: MFCC, by clusters, max_frames and unit_roles


def retokenize(recipe: RetokenizeRecipe) -> Pipeline:
    """The checked DAG. Raises SettingsError for a unit set that the corpus has already."""
    units = (
        unit_nodes(recipe.units)
        if recipe.units is not None
        else mfcc_nodes(recipe.seed, recipe.clusters, recipe.max_frames, recipe.unit_roles)
    )
    check_new_set(unit_step(units).unit_set("").name, recipe.kept)
    return Pipeline(
        NAME,
        (
            KeepSplit(otherwise=Split(seed=recipe.seed, eval_fraction=0.0)),
            TakeHeard(min_pairs=1, need_texts=False),
            ExplodeHeard(),
            Conform(sample_rate_hz=None),
            Ship(),
            KeepMeasures(),
            *units,
            GATHER,
            ImportUnits(sets=recipe.kept),
            Select(gates=(), min_pairs=1),
        ),
    )


def check_new_set(name: str, kept: tuple[UnitSet, ...]) -> None:
    """Raise SettingsError if the source brings a unit set of the name that is to be made."""
    if name in {item.name for item in kept}:
        raise SettingsError(
            f"units: the source has a unit set '{name}' already, and sets are told apart by name; "
            "choose another number of units.clusters, or another units.name"
        )
