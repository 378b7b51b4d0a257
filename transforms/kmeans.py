"""Fits k-means centroids on a sample of the corpus's own MFCC frames."""

import hashlib
import io
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.errors import SettingsError
from schemas.utterance import SPEECH, UTTERANCE
from transforms.audio import decode_flac
from transforms.backends import mfcc
from transforms.environment import versions
from transforms.split import TRAIN
from transforms.step import Fit, Identity, TableName

SAMPLE = pa.schema(
    [
        pa.field("order", pa.uint64(), nullable=False),  # hash of (sample id, turn, frame)
        pa.field("frame", pa.list_(pa.float32(), mfcc.DIMENSIONS), nullable=False),
    ]
)
PARTITION_SHARE = 4  # a partition offers at most this many times its even share of the sample


@dataclass(frozen=True, kw_only=True)
class FitKmeans(Fit):
    """Bottom-k by hash of (sample id, turn, frame), then MiniBatchKMeans on the sorted sample.

    The sample is the same however partials are grouped. Only train utterances of ``roles`` count.
    A partition offers at most four times its even share of ``max_frames``, which bounds the
    partials on disk to 4 x max_frames x 164 bytes. scikit-learn runs on one thread, since threads
    would change its sums; settings are mHuBERT's, with 3 initializations.
    """

    seed: int
    num_clusters: int
    max_frames: int
    roles: tuple[str, ...]

    name: ClassVar[str] = "kmeans"
    version: ClassVar[int] = 1
    table: ClassVar[TableName] = "utterances"
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            *(UTTERANCE.field(name) for name in ("id", "turn", "role", "split")),
            SPEECH.field("flac"),
            SPEECH.field("sample_rate_hz"),
        ]
    )

    def identity(self) -> Identity:
        return {
            "seed": self.seed,
            "num_clusters": self.num_clusters,
            "max_frames": self.max_frames,
            "roles": sorted(self.roles),
            "features": mfcc.PARAMETERS,
            **versions("numpy", "scikit-learn", "scipy", "cpu"),
        }

    def partial(self, batch: pa.RecordBatch, num_partitions: int) -> pa.Table:
        orders, frames = [np.zeros(0, np.uint64)], [np.zeros((0, mfcc.DIMENSIONS), np.float32)]
        flacs = batch.column("flac")
        names = ("id", "turn", "role", "split")
        rows = zip(*(batch.column(name).to_pylist() for name in names), strict=True)
        for row, (key, turn, role, split) in enumerate(rows):
            if role in self.roles and split == TRAIN:
                samples, rate = decode_flac(flacs[row].as_py())
                if rate != mfcc.SAMPLE_RATE_HZ:
                    continue  # its units fail in the step that extracts them
                features = mfcc.mfcc(samples)
                orders.append(frame_order(f"{self.seed}/{key}/{turn}", len(features)))
                frames.append(features)
        share = -(-PARTITION_SHARE * self.max_frames // num_partitions)
        return _lowest(np.concatenate(orders), np.concatenate(frames), share)

    def merge(self, parts: list[pa.Table]) -> pa.Table:
        table = pa.concat_tables(parts) if parts else SAMPLE.empty_table()
        return _lowest(table.column("order").to_numpy(), _matrix(table), self.max_frames)

    def finalize(self, merged: pa.Table) -> bytes:
        frames = _matrix(merged)
        if len(frames) and len(frames) < self.num_clusters:
            raise SettingsError(
                f"{self.name}: {self.num_clusters} clusters cannot be fitted on {len(frames)} "
                "frames; give more rows, or lower units.clusters"
            )
        sink = io.BytesIO()
        np.save(sink, self._centroids(frames), allow_pickle=False)
        return sink.getvalue()

    def _centroids(self, frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if not len(frames):
            return np.zeros((0, mfcc.DIMENSIONS), np.float32)
        from sklearn.cluster import MiniBatchKMeans
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=1):
            model = MiniBatchKMeans(
                n_clusters=self.num_clusters,
                init="k-means++",
                batch_size=10_000,
                n_init=3,
                max_no_improvement=100,
                reassignment_ratio=0.0,
                random_state=self.seed % 2**32,
            ).fit(frames)
        centroids: npt.NDArray[np.float32] = model.cluster_centers_.astype(np.float32)
        return centroids


def load_centroids(data: bytes) -> npt.NDArray[np.float32]:
    """The centroids [K, D] of an artifact."""
    centroids: npt.NDArray[np.float32] = np.load(io.BytesIO(data), allow_pickle=False)
    return centroids


def frame_order(label: str, num_frames: int) -> npt.NDArray[np.uint64]:
    """A 64-bit hash [T] per frame of one utterance: splitmix64 from the sha256 of the label.

    https://prng.di.unimi.it/splitmix64.c
    """
    start = int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "big")
    with np.errstate(over="ignore"):
        steps = np.arange(1, num_frames + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = np.uint64(start) + steps
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(z ^ (z >> np.uint64(31)), np.uint64)


def _lowest(
    orders: npt.NDArray[np.uint64], frames: npt.NDArray[np.float32], count: int
) -> pa.Table:
    kept = np.argsort(orders, kind="stable")[:count]
    flat = pa.array(frames[kept].reshape(-1), pa.float32())
    column = pa.FixedSizeListArray.from_arrays(flat, mfcc.DIMENSIONS)
    return pa.table([pa.array(orders[kept], pa.uint64()), column], schema=SAMPLE)


def _matrix(table: pa.Table) -> npt.NDArray[np.float32]:
    column = table.column("frame").combine_chunks()
    flat = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    matrix: npt.NDArray[np.float32] = flat.flatten().to_numpy().reshape(-1, mfcc.DIMENSIONS)
    return matrix
