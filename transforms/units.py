"""Discrete units of the shipped audio: MFCC frames, nearest centroid, equal neighbors collapsed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.canonical import digest, sha256_hex
from schemas.errors import RowError
from schemas.unitset import UnitSet
from schemas.utterance import UNITS
from transforms.audio import decode_flac
from transforms.backends import mfcc
from transforms.environment import versions
from transforms.kmeans import FitKmeans, load_centroids
from transforms.step import Artifacts, BatchFn, Identity, Resources
from transforms.unit_step import NO_UNITS, UnitStep, collapse


@dataclass(frozen=True, kw_only=True)
class MfccUnits(UnitStep):
    """Units of the turns of ``roles``, under the unit set's contract, which is checked here."""

    roles: tuple[str, ...]
    num_clusters: int

    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = (FitKmeans.name,)
    resources: Resources = Resources(batch_rows=16)

    def identity(self) -> Identity:
        return {
            "roles": sorted(self.roles),
            "num_clusters": self.num_clusters,
            "features": mfcc.PARAMETERS,
            **versions("numpy", "cpu"),
        }

    @contextmanager
    def open(self, artifacts: Artifacts) -> Iterator[BatchFn]:
        data = artifacts[FitKmeans.name]
        centroids = load_centroids(data)
        contract = self.unit_set(sha256_hex(data))

        def extract(batch: pa.RecordBatch) -> pa.RecordBatch:
            rows = [
                self._units(row["flac"], centroids, contract)
                if row["role"] in self.roles
                else NO_UNITS
                for row in batch.to_pylist()
            ]
            return pa.RecordBatch.from_pylist(rows, schema=UNITS)

        yield extract

    def unit_set(self, centroids_sha256: str) -> UnitSet:
        """The contract that this step's units keep."""
        return UnitSet(
            name=f"mfcc{self.num_clusters}",
            sample_rate_hz=mfcc.SAMPLE_RATE_HZ,
            window_samples=mfcc.WINDOW,
            hop_samples=mfcc.HOP,
            num_codebooks=1,
            codebook_size=self.num_clusters,
            collapse="run_length",
            roles=tuple(sorted(self.roles)),
            model="mfcc",
            model_sha256=digest(mfcc.PARAMETERS),
            centroids_sha256=centroids_sha256,
        )

    def _units(
        self, flac: bytes, centroids: npt.NDArray[np.float32], contract: UnitSet
    ) -> dict[str, Any]:
        if not len(centroids):
            raise RowError(
                "there are no centroids: no train row was spoken when k-means was fitted; "
                "build again with --refit"
            )
        samples, rate = decode_flac(flac)
        if rate != contract.sample_rate_hz:
            raise RowError(
                f"{contract.name} wants audio at {contract.sample_rate_hz} Hz, this is at {rate}"
            )
        codes, durations = collapse(nearest(mfcc.mfcc(samples), centroids))
        broken = contract.violations(codes.tolist(), durations.tolist(), len(samples))
        if broken:
            raise RowError(f"units break the contract of {contract.name}: {'; '.join(broken)}")
        return {
            "codes": codes,
            "durations": durations,
            "num_frames": int(durations.sum()),
            "num_units": len(codes),
        }


def nearest(
    frames_TD: npt.NDArray[np.float32], centroids_KD: npt.NDArray[np.float32]
) -> npt.NDArray[np.int32]:
    """The index [T] of the nearest centroid of each frame; the lowest index where two are equal.

    By |c|^2 - 2 x.c in float64, with einsum: BLAS sums change with threads and batch shape.
    """
    wide_KD = centroids_KD.astype(np.float64)
    dots_TK = np.einsum("td,kd->tk", frames_TD.astype(np.float64), wide_KD)
    distances_TK = (wide_KD**2).sum(axis=1) - 2.0 * dots_TK
    return np.asarray(distances_TK.argmin(axis=1), np.int32)
