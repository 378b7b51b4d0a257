"""An ONNX graph on one thread of the CPU, as the unit backends run it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import BackendError
from transforms.backends.units.torch_scope import require


def onnx_session(path: Path, who: str) -> Any:  # noqa: ANN401 - onnxruntime has no types
    """The graph, loaded. Raises BackendError."""
    require("onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BackendError(
            f"{who}: {path} is no ONNX graph that runs here: {str(error).strip()[:200]}"
        ) from error


def run_onnx(
    session: Any,  # noqa: ANN401 - onnxruntime has no types
    values: Sequence[npt.NDArray[Any]],
    path: str,
    who: str,
) -> npt.NDArray[Any]:
    """The first output for the inputs in order. Raises BackendError."""
    names = [item.name for item in session.get_inputs()]
    if len(names) != len(values):
        raise BackendError(f"{who}: {path} has the inputs {names}, wanted {len(values)}")
    try:
        return np.asarray(session.run(None, dict(zip(names, values, strict=True)))[0])
    except Exception as error:
        raise BackendError(f"{who}: {path} does not run: {str(error).strip()[:200]}") from error
