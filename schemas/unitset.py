"""The contract of a unit set: what a sequence of discrete units means, and how long it must be."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from schemas.errors import SchemaError

# run_length_lost: runs of equal units are one, and nobody kept their lengths
Collapse = Literal["run_length", "run_length_lost", "none"]


@dataclass(frozen=True, kw_only=True)
class UnitSet:
    """A named kind of units. Every id is in [0, codebook_size); codes are [num_codebooks, T]."""

    name: str
    sample_rate_hz: int
    window_samples: int
    hop_samples: int
    num_codebooks: int
    codebook_size: int
    collapse: Collapse
    roles: tuple[str, ...]  # whose turns carry units
    model: str
    model_sha256: str  # of what computes the features; of its parameters where it has no weights
    centroids_sha256: str
    provenance: str = "extracted from the shipped int16 audio"

    @property
    def frame_rate_hz(self) -> float:
        """Frames per second of audio."""
        return self.sample_rate_hz / self.hop_samples

    def frames(self, num_samples: int) -> int:
        """How many frames ``num_samples`` samples have: (n - window) // hop + 1."""
        if num_samples < self.window_samples:
            return 0
        return (num_samples - self.window_samples) // self.hop_samples + 1

    def to_json(self) -> dict[str, object]:
        """Plain JSON values, for the manifest."""
        return {**asdict(self), "roles": list(self.roles)}

    @staticmethod
    def from_json(value: dict[str, object]) -> "UnitSet":
        """The unit set that ``to_json`` wrote. Raises SchemaError for anything else."""
        try:
            roles = value["roles"]
            if not isinstance(roles, list):
                raise TypeError("roles is not a list")
            return UnitSet(**{**value, "roles": tuple(roles)})  # type: ignore[arg-type]
        except (KeyError, TypeError) as error:
            raise SchemaError(f"a manifest's unit set cannot be read: {error}") from error

    def violations(
        self, codes: Sequence[int], durations: Sequence[int] | None, num_samples: int
    ) -> list[str]:
        """Every way in which one utterance's units break the contract; empty if they keep it."""
        found: list[str] = []
        frames = self.frames(num_samples)
        if codes and not (min(codes) >= 0 and max(codes) < self.codebook_size):
            found.append(
                f"unit ids span {min(codes)}..{max(codes)}, wanted 0..{self.codebook_size - 1}"
            )
        if self.collapse == "run_length":
            if durations is None or len(durations) != len(codes):
                found.append(f"{len(codes)} units need as many durations")
            elif durations and min(durations) < 1:
                found.append(f"a duration of {min(durations)} frames, wanted at least 1")
            elif sum(durations) != frames:
                found.append(
                    f"durations sum to {sum(durations)} frames, wanted {frames} for "
                    f"{num_samples} samples"
                )
        elif self.collapse == "run_length_lost":
            if durations is not None:
                found.append("there are durations, wanted none; the collapse is run_length")
            if len(codes) > frames or (frames and not codes):
                found.append(f"{len(codes)} units, wanted 1 to {frames} for {num_samples} samples")
        elif len(codes) != frames:
            found.append(f"{len(codes)} units, wanted {frames} for {num_samples} samples")
        if self.collapse != "none" and any(a == b for a, b in itertools.pairwise(codes)):
            found.append("two neighboring units are equal though runs are collapsed")
        return found
