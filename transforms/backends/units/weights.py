"""A model in a folder before it is loaded: configuration, checksums, the shapes of its tensors.

The layout is transformers' own: config.json, preprocessor_config.json, and model.safetensors or the
shards that model.safetensors.index.json lists. Pickled weights (.bin, .pt) are not read.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from schemas.canonical import digest
from schemas.errors import BackendError
from transforms.backends import tts_files

WHOLE: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
SAVE_AGAIN: Final = (
    'python -c "from transformers import AutoModel; '
    "AutoModel.from_pretrained('OLD').save_pretrained('NEW')\""
)
Hasher = Callable[[Path], str]


def file_sha256(path: Path) -> str:
    """The sha256 of a file, in hex. Raises BackendError where it cannot be read."""
    try:
        return tts_files.file_sha256(path)
    except OSError as error:
        raise BackendError(f"{path}: it cannot be read ({error.strerror})") from error


def read_json(path: Path, who: str, *, missing_ok: bool = False) -> dict[str, Any]:
    """A JSON object from a model's folder. Raises BackendError for anything else."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        if missing_ok:
            return {}
        raise BackendError(
            f"{who}: there is no {path.name} in {path.parent}; give the folder of a model that "
            "transformers saved (docs/units.md says how to convert others)"
        ) from error
    except (OSError, ValueError) as error:
        raise BackendError(f"{who}: {path} is not JSON ({str(error)[:100]})") from error
    if not isinstance(value, dict):
        raise BackendError(f"{who}: {path} holds a {type(value).__name__}, wanted an object")
    return value


def weight_files(folder: Path, who: str) -> list[Path]:
    """The files with the weights. Raises BackendError, with the cure, where there are none."""
    if (folder / WHOLE).is_file():
        return [folder / WHOLE]
    if (folder / INDEX).is_file():
        index = read_json(folder / INDEX, who)
        names = sorted(set(index.get("weight_map", {}).values()))
        missing = [name for name in names if not (folder / name).is_file()]
        if missing or not names:
            raise BackendError(
                f"{who}: {folder} lacks {', '.join(missing) or 'shards'} of {INDEX}; copy all files"
            )
        return [folder / name for name in names]
    found = sorted(path.name for path in folder.glob("*") if path.suffix in (".bin", ".pt"))
    if found:
        raise BackendError(
            f"{who}: {folder} has its weights in {found[0]}, a pickle, which is not read; save "
            f"them as safetensors: {SAVE_AGAIN}"
        )
    raise BackendError(f"{who}: there is no {WHOLE} in {folder}; copy the model's weights there")


def weights_sha256(folder: Path, who: str, sha256: Hasher = file_sha256) -> str:
    """The checksum of a model's weights: the file's, or of the shards' checksums."""
    files = weight_files(folder, who)
    if len(files) == 1:
        return sha256(files[0])
    return digest({path.name: sha256(path) for path in files})


def shapes(folder: Path, who: str) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor, from the files' headers alone."""
    from safetensors import SafetensorError, safe_open

    found: dict[str, tuple[int, ...]] = {}
    for path in weight_files(folder, who):
        try:
            with safe_open(path, framework="numpy") as file:
                found |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no dict
        except SafetensorError as error:
            raise BackendError(
                f"{who}: {path} is not a whole safetensors file ({str(error)[:100]}); copy it again"
            ) from error
    return found


def check_sha256(folder: Path, who: str, wanted: str) -> None:
    """Raise BackendError unless the weights are those that the step was made for."""
    found = weights_sha256(folder, who)
    if found != wanted:
        raise BackendError(
            f"{who}: the weights in {folder} have the sha256 {found[:16]}, wanted {wanted[:16]}; "
            "give the folder of the model that the job was made with"
        )


def check_loaded(info: Mapping[str, Any], who: str, unused: Callable[[str], bool]) -> None:
    """Raise BackendError for weights that are missing, which transformers draws at random.

    ``info`` is what from_pretrained tells of its loading; ``unused`` says which may be missing.
    """
    missing = sorted(name for name in info["missing_keys"] if not unused(name))
    if missing:
        raise BackendError(
            f"{who}: {len(missing)} of its weights are missing, {', '.join(missing[:3])} among "
            "them; they would be random numbers: copy the whole model again"
        )
    odd = list(info.get("mismatched_keys") or ())
    if odd:
        raise BackendError(f"{who}: weights of another shape than config.json says: {odd[:3]}")
