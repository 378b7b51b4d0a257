"""What every step that makes units shares: its name, what it writes, the contract it keeps."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.errors import RowError
from schemas.unitset import UnitSet, resampled_length
from schemas.utterance import SPEECH, UNITS, UTTERANCE
from transforms.audio import decode_flac, resample, to_float
from transforms.backends.units.protocol import Codes, Wave
from transforms.step import Step, TableName

NO_UNITS: dict[str, Any] = {"codes": None, "durations": None, "num_frames": 0, "num_units": 0}


class UnitStep(Step):
    """A step "units". Its units are checked against ``unit_set`` before they leave it."""

    name: ClassVar[str] = "units"
    table: ClassVar[TableName] = "utterances"
    memo: ClassVar[bool] = True
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            UTTERANCE.field("role"),
            *(SPEECH.field(name) for name in ("flac", "flac_sha256", "sample_rate_hz")),
        ]
    )
    writes: ClassVar[pa.Schema] = UNITS

    @abstractmethod
    def unit_set(self, centroids_sha256: str) -> UnitSet:
        """The contract that this step's units keep, with the artifact's checksum in it."""


def model_wave(flac: bytes, contract: UnitSet) -> tuple[Wave, int]:
    """The shipped audio as its model reads it, and its length [N] as it ships.

    Raises RowError for audio at another rate than the contract's.
    """
    samples, rate = decode_flac(flac)
    if rate != contract.sample_rate_hz:
        raise RowError(
            f"{contract.name} wants audio at {contract.sample_rate_hz} Hz, this is at {rate}; set "
            "units.audio_rate_hz"
        )
    wave = to_float(samples)
    if contract.model_rate_hz:
        length = resampled_length(len(wave), rate, contract.model_rate_hz)
        wave = resample(wave, rate, contract.model_rate_hz)[:length]
        wave = np.pad(wave, (0, length - len(wave)))
    return wave, len(samples)


def collapse(
    units_T: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Runs of equal units: their ids [T'] and lengths [T'] in frames. np.repeat undoes it."""
    if not len(units_T):
        return units_T, np.zeros(0, np.int32)
    starts = np.flatnonzero(np.concatenate([[True], units_T[1:] != units_T[:-1]]))
    lengths = np.diff(np.concatenate([starts, [len(units_T)]]))
    return units_T[starts], lengths.astype(np.int32)


def unit_row(codes: Codes, num_samples: int, contract: UnitSet) -> dict[str, Any]:
    """Codes [nq, T] as a row of UNITS. Raises RowError where they break the contract."""
    durations: npt.NDArray[np.int32] | None = None
    kept, num_frames = codes, codes.shape[1]
    if contract.collapse == "run_length":
        ids, durations = collapse(codes[0])
        kept = ids[None]
    checked_row(kept.reshape(-1).tolist(), durations, num_samples, contract)
    return {
        "codes": kept.reshape(-1),
        "durations": durations,
        "num_frames": num_frames,
        "num_units": kept.shape[1],
    }


def checked_row(
    codes: Sequence[int],
    durations: npt.NDArray[np.int32] | None,
    num_samples: int,
    contract: UnitSet,
) -> None:
    """Raise RowError where units [nq * T] break the contract."""
    lengths = None if durations is None else durations.tolist()
    broken = contract.violations(codes, lengths, num_samples)
    if broken:
        raise RowError(f"units break the contract of {contract.name}: {'; '.join(broken)}")
