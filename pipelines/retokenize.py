"""A corpus again, with one more unit set: audio and texts stay as they are, byte for byte.

    split (kept) -> take_heard -> explode -> conform -> ship -> measure (kept) -> kmeans -> units
    -> gather -> import_units -> select

Fit step is ``kmeans``. Every sample keeps its key, its KEY.json, its FLAC files and its unit sets.
"""

from dataclasses import dataclass

from pipelines.graph import Pipeline
from schemas.errors import SettingsError
from schemas.unitset import UnitSet
from transforms.conform import Conform, Ship
from transforms.explode_heard import ExplodeHeard, KeepMeasures
from transforms.import_units import ImportUnits
from transforms.keep_split import KeepSplit
from transforms.kmeans import FitKmeans
from transforms.select import GATHER, Select
from transforms.split import Split
from transforms.take_heard import TakeHeard
from transforms.units import MfccUnits

NAME = "retokenize"


@dataclass(frozen=True, kw_only=True)
class RetokenizeRecipe:
    """What the steps are told. ``kept`` are the unit sets of the corpus that is read."""

    seed: int
    clusters: int
    max_frames: int
    unit_roles: tuple[str, ...]
    kept: tuple[UnitSet, ...]


def retokenize(recipe: RetokenizeRecipe) -> Pipeline:
    """The checked DAG. Raises SettingsError for a unit set that the corpus has already."""
    units = MfccUnits(roles=recipe.unit_roles, num_clusters=recipe.clusters)
    check_new_set(units.unit_set("").name, recipe.kept)
    return Pipeline(
        NAME,
        (
            KeepSplit(otherwise=Split(seed=recipe.seed, eval_fraction=0.0)),
            TakeHeard(min_pairs=1, need_texts=False),
            ExplodeHeard(),
            Conform(sample_rate_hz=None),
            Ship(),
            KeepMeasures(),
            FitKmeans(
                seed=recipe.seed,
                num_clusters=recipe.clusters,
                max_frames=recipe.max_frames,
                roles=recipe.unit_roles,
            ),
            units,
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
            "choose another number of units.clusters"
        )
