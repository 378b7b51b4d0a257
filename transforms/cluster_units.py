"""Units of the shipped audio: a model's features, nearest centroid, equal neighbors collapsed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from schemas.canonical import sha256_hex
from schemas.errors import BackendError, RowError
from schemas.unitset import Collapse, UnitSet
from schemas.utterance import UNITS
from transforms.backends.units.protocol import FeatureModel, Features
from transforms.clustering.assign import Assigner
from transforms.clustering.files import centroids_of, check_shape
from transforms.fit_centroids import FitCentroids
from transforms.step import Artifacts, BatchFn, Identity, Resources
from transforms.unit_step import NO_UNITS, UnitStep, model_wave, unit_row


@dataclass(frozen=True, kw_only=True)
class ClusterUnits(UnitStep):
    """Units of the turns of ``roles``: ``set_name`` is the unit set's, ``audio_rate_hz`` of FLACs.

    ``units_per_s`` are bounds for an utterance of a second or more.
    """

    model: FeatureModel
    set_name: str
    num_clusters: int
    roles: tuple[str, ...]
    collapse: Collapse = "run_length"
    audio_rate_hz: int = 16000
    units_per_s: tuple[float, float] | None = None
    resources: Resources = Resources(batch_rows=16, memory_mb=2000)

    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = (FitCentroids.name,)

    @property
    def first_counts(self) -> bool:
        return not self.model.bit_stable

    def identity(self) -> Identity:
        return {
            "model": dict(self.model.identity()),
            "set": self.set_name,
            "num_clusters": self.num_clusters,
            "roles": sorted(self.roles),
            "collapse": self.collapse,
            "audio_rate_hz": self.audio_rate_hz,
            "units_per_s": None if self.units_per_s is None else list(self.units_per_s),
        }

    def unit_set(self, centroids_sha256: str) -> UnitSet:
        return self.model.described.unit_set(
            name=self.set_name,
            audio_rate_hz=self.audio_rate_hz,
            roles=self.roles,
            collapse=self.collapse,
            codebook_size=self.num_clusters,
            centroids_sha256=centroids_sha256,
            units_per_s=self.units_per_s,
        )

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        data = artifacts[FitCentroids.name]
        contract, assigner = self.unit_set(sha256_hex(data)), self._assigner(data)
        with self.model.open() as extract:

            def run(batch: pa.RecordBatch) -> pa.RecordBatch:
                rows: list[dict[str, Any]] = [NO_UNITS] * batch.num_rows
                roles, flacs = batch.column("role").to_pylist(), batch.column("flac")
                mine = [n for n, role in enumerate(roles) if role in self.roles]
                if mine and assigner is None:
                    raise RowError(
                        "there are no centroids: no train row was spoken when k-means was fitted; "
                        "build again with --refit"
                    )
                heard = [model_wave(flacs[n].as_py(), contract) for n in mine]
                found = self._units(extract([wave for wave, _ in heard]), assigner)
                for n, codes, (_, length) in zip(mine, found, heard, strict=True):
                    rows[n] = unit_row(codes, length, contract)
                return pa.RecordBatch.from_pylist(rows, schema=UNITS)

            yield run

    def _assigner(self, data: bytes) -> Assigner | None:
        """None where there are no centroids. Raises BackendError for centroids of another kind."""
        who = f"units: centroids of {self.set_name}"
        centroids = centroids_of(data, who)
        if not len(centroids):
            return None
        check_shape(centroids.shape, self.num_clusters, self.model.dimensions, who)
        return Assigner(centroids)

    def _units(
        self, features: Sequence[Features], assigner: Assigner | None
    ) -> Iterator[np.ndarray[Any, np.dtype[np.int32]]]:
        for frames in features:
            assert assigner is not None
            if not np.isfinite(frames).all():
                raise BackendError(
                    f"units: the model of {self.set_name} gives features that are not finite; its "
                    "weights are damaged, or units.dtype is too narrow for it"
                )
            yield assigner.nearest(frames)[None]
