"""Centroids of a model's features: given in a file, or fitted on a sample of the corpus."""

import atexit
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.canonical import sha256_hex
from schemas.errors import BackendError, SettingsError
from schemas.unitset import UnitSet
from schemas.utterance import SPEECH, UTTERANCE
from transforms.backends.units.protocol import Extract, FeatureModel
from transforms.clustering.files import centroid_bytes, centroids_of, check_shape
from transforms.environment import versions
from transforms.kmeans import PARTITION_SHARE, frame_order
from transforms.split import TRAIN
from transforms.step import Fit, Identity, TableName
from transforms.unit_step import model_wave

Method = Literal["torch", "scikit-learn"]
ORDER = pa.field("order", pa.uint64(), nullable=False)  # hash of (sample id, turn, frame)


@dataclass(frozen=True, kw_only=True)
class CentroidFile:
    """Centroids that somebody fitted before; ``path`` stands in no fingerprint."""

    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class FitCentroids(Fit):
    """The artifact is the file of ``given``, byte for byte, or what k-means makes of a sample.

    The sample is transforms/kmeans.py's: bottom-k by hash of (sample id, turn, frame), of train
    utterances of ``roles``, kept as float16 (1,000,000 frames of 768: 1.5 GB while they are
    merged). Only utterances of which a frame is in the sample run through the model. ``method``
    torch is transforms/clustering/fit.py; scikit-learn has the settings of fairseq's script.
    """

    model: FeatureModel
    seed: int
    num_clusters: int
    max_frames: int
    roles: tuple[str, ...]
    audio_rate_hz: int = 16000
    given: CentroidFile | None = None
    method: Method = "torch"
    device: str = "cpu"

    name: ClassVar[str] = "kmeans"
    version: ClassVar[int] = 2
    table: ClassVar[TableName] = "utterances"
    reads: ClassVar[pa.Schema] = pa.schema(
        [
            *(UTTERANCE.field(name) for name in ("id", "turn", "role", "split")),
            *(SPEECH.field(name) for name in ("flac", "sample_rate_hz", "num_samples")),
        ]
    )

    def identity(self) -> Identity:
        if self.given is not None:
            return {"given": self.given.sha256}
        libraries = ("torch" if self.method == "torch" else "scikit-learn", "scipy")
        return {
            "model": dict(self.model.identity()),
            "seed": self.seed,
            "num_clusters": self.num_clusters,
            "max_frames": self.max_frames,
            "roles": sorted(self.roles),
            "audio_rate_hz": self.audio_rate_hz,
            "method": self.method,
            "device": self.device.partition(":")[0],
            **versions("numpy", "cpu", *libraries),
        }

    def partial(self, batch: pa.RecordBatch, num_partitions: int) -> pa.Table:
        if self.given is not None:
            return self._table([], [])
        share = -(-PARTITION_SHARE * self.max_frames // num_partitions)
        contract = self._contract()
        columns = (batch.column(name).to_pylist() for name in self.reads.names if name != "flac")
        orders: dict[int, npt.NDArray[np.uint64]] = {}
        for row, (key, turn, role, split, rate, length) in enumerate(zip(*columns, strict=True)):
            if role in self.roles and split == TRAIN and rate == contract.sample_rate_hz:
                label = f"{self.seed}/{key}/{turn}"
                orders[row] = frame_order(label, contract.frames(length))
        every = np.sort(np.concatenate([np.zeros(0, np.uint64), *orders.values()]))
        if not len(every):
            return self._table([], [])
        last = every[min(share, len(every)) - 1]
        wanted = {row: found for row, found in orders.items() if (found <= last).any()}
        flacs = batch.column("flac")
        waves = [model_wave(flacs[row].as_py(), contract)[0] for row in wanted]
        kept_orders, kept_frames = [], []
        for order, features in zip(wanted.values(), _opened(self.model)(waves), strict=True):
            mine = order <= last
            kept_orders.append(order[mine])
            kept_frames.append(features[mine].astype(np.float16))
        return self._lowest(self._table(kept_orders, kept_frames), share)

    def merge(self, parts: list[pa.Table]) -> pa.Table:
        return self._lowest(pa.concat_tables([self._table([], []), *parts]), self.max_frames)

    def finalize(self, merged: pa.Table) -> bytes:
        if self.given is not None:
            return self._file()
        dims, num = self.model.dimensions, merged.num_rows
        if not num:
            return centroid_bytes(np.zeros((0, dims), np.float32))
        if num < self.num_clusters:
            raise SettingsError(
                f"{self.name}: {self.num_clusters} clusters cannot be fitted on {num} frames; give "
                "more rows, or lower units.clusters"
            )
        column = merged.column("frame").combine_chunks()
        flat = pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column
        rows_ND = flat.flatten().to_numpy(zero_copy_only=False).reshape(-1, dims)
        if not np.isfinite(rows_ND).all():
            raise BackendError(
                f"{self.name}: features that are not finite, or over 65,504, came from the model"
            )
        return centroid_bytes(self._fitted(rows_ND))

    def _fitted(self, rows_ND: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
        if self.method == "torch":
            from transforms.clustering.fit import fit_kmeans

            return fit_kmeans(rows_ND, self.num_clusters, self.seed, device=self.device)
        from sklearn.cluster import MiniBatchKMeans
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=1):  # its sums change with the threads
            model = MiniBatchKMeans(
                n_clusters=self.num_clusters,
                init="k-means++",
                batch_size=10_000,
                n_init=20,
                max_no_improvement=100,
                reassignment_ratio=0.0,
                random_state=self.seed % 2**32,
            ).fit(rows_ND.astype(np.float32))
        return np.asarray(model.cluster_centers_, np.float32)

    def _file(self) -> bytes:
        assert self.given is not None
        who = f"units.centroids: {self.given.path}"
        try:
            data = Path(self.given.path).read_bytes()
        except OSError as error:
            raise BackendError(f"{who}: it cannot be read ({error.strerror})") from error
        if sha256_hex(data) != self.given.sha256:
            raise BackendError(f"{who}: it changed since the build began; begin again")
        shape = centroids_of(data, who).shape
        check_shape(shape, self.num_clusters, self.model.dimensions, who)
        return data

    def _contract(self) -> UnitSet:
        return self.model.described.unit_set(
            name="frames",
            audio_rate_hz=self.audio_rate_hz,
            roles=self.roles,
            collapse="none",
            codebook_size=self.num_clusters,
        )

    def _table(
        self,
        orders: list[npt.NDArray[np.uint64]],
        frames: list[npt.NDArray[np.float16]],
    ) -> pa.Table:
        dims = self.model.dimensions
        flat = np.concatenate([np.zeros(0, np.float16), *(item.reshape(-1) for item in frames)])
        column = pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float16()), dims)
        order = np.concatenate([np.zeros(0, np.uint64), *orders])
        schema = pa.schema([ORDER, pa.field("frame", column.type, nullable=False)])
        return pa.table([pa.array(order, pa.uint64()), column], schema=schema)

    def _lowest(self, table: pa.Table, count: int) -> pa.Table:
        kept = np.argsort(table.column("order").to_numpy(), kind="stable")[:count]
        return table.take(pa.array(kept))


@dataclass
class _Held:
    """The model that this process has open: a fit step is called once for each partition."""

    model: FeatureModel | None = None
    extract: Extract | None = None
    stack: ExitStack = field(default_factory=ExitStack)


_HELD = _Held()


def _opened(model: FeatureModel) -> Extract:
    if _HELD.extract is None or _HELD.model != model:
        _HELD.stack.close()
        atexit.unregister(_HELD.stack.close)
        atexit.register(_HELD.stack.close)
        _HELD.extract = _HELD.stack.enter_context(model.open())
        _HELD.model = model
    return _HELD.extract
