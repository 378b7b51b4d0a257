"""Centroids in a file: safetensors with one tensor "centroids" [K, D] float32, or .npy."""

import io
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.errors import BackendError

TENSOR: Final = "centroids"
Floats = npt.NDArray[np.float32]


def centroid_bytes(centroids_KD: Floats, told: dict[str, str] | None = None) -> bytes:
    """A safetensors file, equal for equal values. ``told`` is metadata."""
    from safetensors.numpy import save

    rows = np.ascontiguousarray(centroids_KD, np.float32)
    data: bytes = save({TENSOR: rows}, metadata={"format": "voxmill-centroids", **(told or {})})
    return data


def centroids_of(data: bytes, who: str) -> Floats:
    """The centroids [K, D] in a file's bytes. Raises BackendError for what is none."""
    try:
        if data[:6] == b"\x93NUMPY":
            found = np.load(io.BytesIO(data), allow_pickle=False)
        else:
            from safetensors.numpy import load

            tensors = load(data)
            name = TENSOR if TENSOR in tensors else next(iter(tensors), "")
            if len(tensors) != 1 and TENSOR not in tensors:
                raise ValueError(f"tensors {sorted(tensors)[:4]}, wanted one named {TENSOR}")
            found = tensors[name]
    except Exception as error:
        raise BackendError(
            f"{who}: these are no centroids ({str(error)[:120]}); wanted safetensors or .npy; a "
            "k-means of fairseq becomes one by `voxmill units import-kmeans FILE --output "
            "centroids.safetensors`"
        ) from error
    if found.ndim != 2 or found.dtype.kind != "f" or not np.isfinite(found).all():
        raise BackendError(f"{who}: {found.dtype} {list(found.shape)}, wanted finite floats [K, D]")
    return np.ascontiguousarray(found, np.float32)


def check_shape(
    found: tuple[int, int], clusters: int | None, dimensions: int | None, who: str
) -> None:
    """Raise BackendError for centroids of another number or size than wanted, with both numbers."""
    if clusters is not None and found[0] != clusters:
        raise BackendError(
            f"{who}: {found[0]} centroids, wanted {clusters}; give another file, or correct "
            "units.clusters"
        )
    if dimensions is not None and found[1] != dimensions:
        raise BackendError(
            f"{who}: centroids of {found[1]} dimensions, the model's frames have {dimensions}; "
            "they were fitted on another model's features"
        )


def read_centroids(path: Path, who: str) -> tuple[bytes, Floats]:
    """A file's bytes and the centroids in it. Raises BackendError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BackendError(f"{who}: {path} cannot be read ({error.strerror})") from error
    return data, centroids_of(data, f"{who}: {path}")
