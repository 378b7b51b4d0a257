"""Reads the centroids out of a scikit-learn k-means that joblib saved, and executes none of it.

A joblib file is a pickle in which each array stands, raw, behind an object that describes it
(joblib/numpy_pickle.py: NumpyArrayWrapper). A pickle can call anything that it names. Here it may
name a dozen classes of NumPy, joblib and scikit-learn, and gets an inert one for each, which keeps
what it is given and does nothing. Any other name stops the reading before anything is called.
"""

import io
import pickle
import re
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from schemas.errors import BackendError

DTYPE: Final = re.compile(r"[<>|=]?[biuf][1248]")
MAX_ARRAY_BYTES: Final = 1 << 32
ESTIMATORS: Final = re.compile(r"sklearn\.cluster\.\w+")
HEADS: Final = (b"x\x9c", b"x\x01", b"x^", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"]\x00\x00")


class Inert:
    """Stands for an object of a pickle: it keeps what it was made of, and has no behavior."""

    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments


class Estimator(Inert):
    """Stands for a k-means; its attributes are the estimator's."""


class _Array(Inert):
    """Stands for joblib's NumpyArrayWrapper."""

    shape: object
    order: object
    dtype: object
    allow_mmap: object
    numpy_array_alignment_bytes: object


class _Dtype(Inert):
    """Stands for a numpy.dtype of plain numbers."""

    state: tuple[object, ...] = ()

    def __setstate__(self, state: object) -> None:
        self.state = state if isinstance(state, tuple) else ()

    def real(self, who: str) -> np.dtype[Any]:
        """The dtype. Raises BackendError for one that holds objects or fields."""
        code = self.arguments[0] if self.arguments else ""
        if not isinstance(code, str) or not DTYPE.fullmatch(code):
            raise BackendError(f"{who}: an array of {code!r:.40}, wanted plain numbers")
        order = self.state[1] if len(self.state) > 1 else "<"
        plain = np.dtype(code)
        return plain.newbyteorder(">") if order == ">" else plain


INERT: Final[dict[tuple[str, str], type]] = {
    ("joblib.numpy_pickle", "NumpyArrayWrapper"): _Array,
    ("sklearn.externals.joblib.numpy_pickle", "NumpyArrayWrapper"): _Array,
    ("numpy", "ndarray"): Inert,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "scalar"): Inert,
    ("numpy._core.multiarray", "scalar"): Inert,
    ("numpy.random._pickle", "__randomstate_ctor"): Inert,
    ("numpy.random._pickle", "__bit_generator_ctor"): Inert,
    ("numpy.random", "__RandomState_ctor"): Inert,
    ("numpy.random._mt19937", "MT19937"): Inert,
    ("_codecs", "encode"): Inert,  # bytes, in protocol 2
}


_Plain: Any = pickle._Unpickler  # in Python: its C twin reads ahead, over the arrays


class _Reader(_Plain):  # type: ignore[misc]
    """An unpickler to which every object is inert, and arrays are read from behind it."""

    dispatch: ClassVar[dict[int, Any]] = dict(_Plain.dispatch)

    def __init__(self, file: io.BytesIO, size: int, who: str) -> None:
        super().__init__(file)
        self.file, self.size, self.who = file, size, who

    def find_class(self, module: str, name: str) -> type:
        """The inert class for a name that may stand here."""
        known = INERT.get((module, name))
        if known is None and ESTIMATORS.fullmatch(module) and name in ("KMeans", "MiniBatchKMeans"):
            known = Estimator
        if known is None:
            raise BackendError(
                f"{self.who}: the pickle names {module}.{name}, which is no part of a k-means that "
                "joblib saved; nothing of it was run. Export the centroids where you trust the "
                "file: numpy.save('centroids.npy', model.cluster_centers_)"
            )
        return known

    def get_extension(self, code: int) -> None:
        """Registered extension codes name classes too."""
        raise BackendError(f"{self.who}: the pickle uses extension code {code}")

    def load_build(self) -> None:
        """As ever, and then the array that stands behind its description."""
        super().load_build()
        top = self.stack[-1]
        if isinstance(top, _Array):
            self.stack[-1] = self._array(top)

    dispatch[pickle.BUILD[0]] = load_build

    def _array(self, told: _Array) -> npt.NDArray[Any]:
        shape, dtype = told.shape, told.dtype
        if not isinstance(dtype, _Dtype) or not isinstance(shape, tuple):
            raise BackendError(f"{self.who}: an array without shape and type")
        plain = dtype.real(self.who)
        if not all(isinstance(item, int) and 0 <= item < 2**40 for item in shape):
            raise BackendError(f"{self.who}: an array of the shape {shape!r:.60}")
        count = 1
        for item in shape:
            count *= item
        if getattr(told, "numpy_array_alignment_bytes", None) is not None:
            self.file.read(self.file.read(1)[0])
        length = count * plain.itemsize
        if length > min(MAX_ARRAY_BYTES, self.size - self.file.tell()):
            raise BackendError(f"{self.who}: it ends inside an array of {length} bytes")
        flat = np.frombuffer(self.file.read(length), plain, count)
        if told.order == "F":
            return flat.reshape(shape[::-1]).T
        return flat.reshape(shape)


def read_kmeans(data: bytes, who: str) -> npt.NDArray[np.float32]:
    """The centroids [K, D] of a joblib file. Raises BackendError for anything else."""
    if data.startswith(HEADS):
        raise BackendError(
            f"{who}: it is compressed; save it again plainly: joblib.dump(joblib.load(FILE), NEW), "
            "where you trust it"
        )
    try:
        model = _Reader(io.BytesIO(data), len(data), who).load()
    except BackendError:
        raise
    except Exception as error:
        raise BackendError(
            f"{who}: it is no k-means that joblib saved ({type(error).__name__}: "
            f"{str(error)[:100]})"
        ) from error
    found = vars(model).get("cluster_centers_") if isinstance(model, Estimator) else None
    if not isinstance(found, np.ndarray) or found.ndim != 2:
        raise BackendError(
            f"{who}: it holds {type(model).__name__.strip('_').lower()} without cluster_centers_; "
            "wanted a fitted KMeans or MiniBatchKMeans"
        )
    return np.ascontiguousarray(found, np.float32)
