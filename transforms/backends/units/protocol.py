"""What a model of units is: frames of features that centroids cut up, or codes of its own.

A backend is a frozen, picklable dataclass that knows its model by checksums; nothing heavy is
loaded before ``open``. Waves are float32 [N] in [-1, 1) at the model's rate.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from schemas.unitset import EXTRACTED, Collapse, Grid, UnitSet

Wave: TypeAlias = npt.NDArray[np.float32]
Features: TypeAlias = npt.NDArray[np.float32]
Codes: TypeAlias = npt.NDArray[np.int32]
Extract: TypeAlias = Callable[[Sequence[Wave]], list[Features]]  # [T, D] each
Encode: TypeAlias = Callable[[Sequence[Wave]], list[Codes]]  # [nq, T] each


@dataclass(frozen=True, kw_only=True)
class Described:
    """What of a unit set its model decides: schemas/unitset.py says what each field means."""

    model: str
    model_sha256: str
    sample_rate_hz: int
    hop_samples: int
    window_samples: int = 0
    grid: Grid = "window"
    chunk_samples: int = 0
    num_codebooks: int = 1
    codebook_size: int = 0  # 0: as many as there are centroids
    layer: int | None = None
    normalization: str = ""

    def unit_set(
        self,
        *,
        name: str,
        audio_rate_hz: int,
        roles: tuple[str, ...],
        collapse: Collapse,
        codebook_size: int,
        centroids_sha256: str = "",
        units_per_s: tuple[float, float] | None = None,
        provenance: str = EXTRACTED,
    ) -> UnitSet:
        """The whole contract, for audio that ships at ``audio_rate_hz``."""
        return UnitSet(
            name=name,
            sample_rate_hz=audio_rate_hz,
            window_samples=self.window_samples,
            hop_samples=self.hop_samples,
            num_codebooks=self.num_codebooks,
            codebook_size=codebook_size,
            collapse=collapse,
            roles=tuple(sorted(roles)),
            model=self.model,
            model_sha256=self.model_sha256,
            centroids_sha256=centroids_sha256,
            provenance=provenance,
            grid=self.grid,
            model_rate_hz=0 if self.sample_rate_hz == audio_rate_hz else self.sample_rate_hz,
            chunk_samples=self.chunk_samples,
            layer=self.layer,
            normalization=self.normalization,
            units_per_s=units_per_s,
        )


class FeatureModel(Protocol):
    """A model whose features are clustered."""

    @property
    def described(self) -> Described:
        """Its part of the contract."""

    @property
    def dimensions(self) -> int:
        """Of a frame."""

    @property
    def gpus(self) -> float:
        """Of a worker that opens it."""

    @property
    def bit_stable(self) -> bool:
        """Whether the same audio always gives the same; otherwise the first result counts."""

    def identity(self) -> Mapping[str, object]:
        """What its features depend on besides the audio."""

    def open(self) -> AbstractContextManager[Extract]:
        """Load it. Raises BackendError for weights that are not what was described."""


class CodeModel(Protocol):
    """A model that gives codes itself."""

    @property
    def described(self) -> Described:
        """Its part of the contract, ``codebook_size`` included."""

    @property
    def gpus(self) -> float:
        """Of a worker that opens it."""

    @property
    def bit_stable(self) -> bool:
        """Whether the same audio always gives the same; otherwise the first result counts."""

    def identity(self) -> Mapping[str, object]:
        """What its codes depend on besides the audio."""

    def open(self) -> AbstractContextManager[Encode]:
        """Load it. Raises BackendError for weights that are not what was described."""
