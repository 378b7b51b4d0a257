"""Reads a HuBERT that fairseq saved, and executes none of it.

A checkpoint is a pickle of weights and of whatever fairseq, omegaconf and argparse objects stood
beside them. Here tensors are built by torch, and every other name of the file gets an inert class,
which keeps what it is given and does nothing (transforms/clustering/joblib_file.py has its like).
"""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from schemas.errors import BackendError
from transforms.clustering.joblib_file import Inert

BUILT: Final = {
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("collections", "OrderedDict"),
}


class _Kept(Inert):
    """Stands for any object beside the weights: its attributes are what it was saved with."""

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.__dict__.update({key: state[key] for key in state if isinstance(key, str)})


class _Reader(pickle.Unpickler):
    """An unpickler that builds tensors and nothing else."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - as the base has it
        """What a name of the file stands for."""
        if (module, name) in BUILT:
            return super().find_class(module, name)
        return type(name, (_Kept,), {})


class _Pickle:
    """What torch.load wants of a pickle module."""

    __name__ = "voxmill's inert pickle"
    Unpickler = _Reader

    @staticmethod
    def load(file: Any, **options: Any) -> Any:  # noqa: ANN401 - as pickle has it
        """One object of a file."""
        return _Reader(file, **options).load()


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors of a checkpoint, by name, and the plain settings that it was trained with.

    Settings of the task and of the model are in one dictionary. Raises BackendError.
    """
    import torch

    if not path.is_file():
        raise BackendError(f"{path}: there is no such file; give the checkpoint that fairseq saved")
    try:
        found = torch.load(path, map_location="cpu", pickle_module=_Pickle(), weights_only=False)
    except Exception as error:  # a damaged archive raises what it likes
        raise BackendError(
            f"{path}: it is no checkpoint of torch's ({type(error).__name__}: {str(error)[:120]}); "
            "download it again"
        ) from error
    weights = found.get("model") if isinstance(found, dict) else None
    if not isinstance(weights, Mapping) or not all(map(torch.is_tensor, weights.values())):
        raise BackendError(f"{path}: it holds no weights under 'model', as fairseq saves them")
    settings: dict[str, Any] = {}
    for part in (found.get("args"), *(_of(found.get("cfg"), name) for name in ("task", "model"))):
        settings |= {key: _plain(value) for key, value in _members(part).items()}
    return dict(weights), settings


def _members(value: object) -> dict[str, Any]:
    """The entries of a dictionary, an argparse namespace or an omegaconf node."""
    inside = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    content = inside.get("_content")
    found = content if isinstance(content, Mapping) else inside
    return {key: item for key, item in found.items() if isinstance(key, str)}


def _of(value: object, name: str) -> object:
    return _members(value).get(name)


def _plain(value: object) -> object:
    """The value in an omegaconf leaf; any other value as it is."""
    return getattr(value, "_val", value)
