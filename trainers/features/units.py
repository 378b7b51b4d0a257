"""Unit targets from the shard's members: collapsed ids and durations, or the raw frames."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.errors import DamageError, SettingsError
from schemas.shard import durations_suffix, read_npy, units_suffix
from schemas.unitset import UnitSet
from trainers.sample import Turn

IGNORE_INDEX = -100  # what torch's cross entropy leaves out

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class UnitTargets:
    """One turn's units: codes [nq, T'], and run lengths [T'] in frames (all 1 if not collapsed)."""

    codes: Ids
    durations: Ids

    def expand(self) -> Ids:
        """The raw codes [nq, T], one per frame: what run-length collapsing started from."""
        raw: Ids = np.repeat(self.codes, self.durations, axis=1)
        return raw


def read_units(turn: Turn, unit_set: UnitSet, name: str) -> UnitTargets:
    """A turn's units, checked against the contract of its unit set; ``name`` is for errors.

    Raises SettingsError where the turn has no units of that set, and DamageError for an id out of
    range (a released "km1000" corpus held ids above 1000), a run shorter than 1, or shapes that do
    not fit each other.
    """
    suffix = units_suffix(turn.turn, turn.role, unit_set.name)
    if suffix not in turn.members:
        raise SettingsError(
            f"{name}: no member {suffix}; the unit set {unit_set.name!r} is for "
            f"{', '.join(unit_set.roles)}; it has {', '.join(turn.members)}"
        )
    codes = read_npy(turn.members[suffix])
    if codes.ndim != 2 or codes.dtype.kind not in "iu" or len(codes) != unit_set.num_codebooks:
        raise DamageError(
            f"{name}.{suffix}: {codes.dtype} {list(codes.shape)}; wanted integers "
            f"[{unit_set.num_codebooks}, T]"
        )
    check_ids(codes, unit_set.codebook_size, f"{name}.{suffix}")
    return UnitTargets(codes.astype(np.int64), _durations(turn, unit_set, codes, name))


def check_ids(ids: npt.NDArray[np.generic], codebook_size: int, name: str) -> None:
    """Raise DamageError unless every id is in [0, codebook_size)."""
    if ids.size and not (ids.min() >= 0 and ids.max() < codebook_size):
        raise DamageError(
            f"{name}: unit ids span {ids.min()}..{ids.max()}, wanted 0..{codebook_size - 1}; the "
            "units are not of the set that the manifest names; extract them again"
        )


def check_padding(value: int, codebook_size: int) -> int:
    """The padding value, if no unit has it. Raises SettingsError for 0 and every other id.

    Padding targets with 0 trains the model to say unit 0 (CTC then hangs near a loss of 3).
    """
    if 0 <= value < codebook_size:
        raise SettingsError(
            f"unit targets padded with {value}, which is one of the units 0..{codebook_size - 1}; "
            f"pad with {IGNORE_INDEX}, which losses leave out"
        )
    return value


def _durations(turn: Turn, unit_set: UnitSet, codes: npt.NDArray[np.generic], name: str) -> Ids:
    if unit_set.collapse == "none":
        return np.ones(codes.shape[1], np.int64)
    suffix = durations_suffix(turn.turn, turn.role, unit_set.name)
    if suffix not in turn.members:
        raise DamageError(f"{name}: has units but no {suffix}; run `voxmill verify` on the corpus")
    durations = read_npy(turn.members[suffix]).astype(np.int64)
    if durations.shape != codes.shape[1:] or (durations.size and durations.min() < 1):
        raise DamageError(
            f"{name}.{suffix}: {list(durations.shape)} run lengths for units "
            f"{list(codes.shape)}; wanted one of at least 1 frame for each"
        )
    return durations
