"""A checkout of CosyVoice and a model's folder: whether they are whole, and how one is imported."""

import importlib
import logging
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from schemas.errors import BackendError

MODULE: Final = "cosyvoice.cli.cosyvoice"
MATCHA: Final = "third_party/Matcha-TTS"
YAMLS: Final = {1: "cosyvoice.yaml", 2: "cosyvoice2.yaml", 3: "cosyvoice3.yaml"}
WEIGHTS: Final = ("llm.pt", "flow.pt", "hift.pt", "campplus.onnx")
SPEAKERS: Final = "spk2info.pt"
NOWHERE: Final = Path()  # of a setting that is empty


def version_of(folder: Path) -> int:
    """1, 2 or 3 by the model's YAML; 0 where there is none."""
    there = (number for number, yaml in YAMLS.items() if (folder / yaml).is_file())
    return 0 if folder == NOWHERE else next(there, 0)


def tokenizer_of(version: int) -> str:
    """The file whose codes a model of this version speaks from."""
    return f"speech_tokenizer_v{version}.onnx"


def check_files(name: str, checkout: Path, folder: Path) -> None:
    """Raise BackendError for a checkout or a model that is not there, or is partial."""
    cure = "git clone --recursive https://github.com/FunAudioLLM/CosyVoice"
    if checkout == NOWHERE or not (checkout / "cosyvoice/cli/cosyvoice.py").is_file():
        raise BackendError(
            f"{name}: no CosyVoice checkout at {_shown(checkout, 'none named')}; {cure}, "
            f"install its requirements, and name it in backends.{name}.checkout"
        )
    if not any((checkout / MATCHA).glob("*")):
        raise BackendError(
            f"{name}: {checkout / MATCHA} is empty; run `git submodule update --init "
            "--recursive` in the checkout"
        )
    version = version_of(folder)
    if not version:
        raise BackendError(
            f"{name}: {_shown(folder, 'no folder named')} holds none of "
            f"{', '.join(YAMLS.values())}; download the model (modelscope download --model "
            "iic/CosyVoice-300M-SFT --local_dir DIR) and name its folder in "
            f"backends.{name}.path"
        )
    needed = (*WEIGHTS, tokenizer_of(version))
    missing = [item for item in needed if not (folder / item).is_file()]
    if missing:
        raise BackendError(f"{name}: {folder} lacks {', '.join(missing)}; download the model again")
    if find_spec("torch") is None:
        raise BackendError(f"{name}: torch is not installed; {cure}, then its requirements")


def known_speakers(who: str, folder: Path) -> list[str]:
    """The names in spk2info.pt, which is read as weights and runs no code. Raises BackendError."""
    import torch

    path = folder / SPEAKERS
    if not path.is_file():
        return []
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged archive raises what it likes
        raise BackendError(
            f"{who}: {path} cannot be read as weights ({str(error)[:120]}); download it again"
        ) from error
    return [str(item) for item in found]


def load_checkout(name: str, checkout: Path) -> Any:  # noqa: ANN401 - not typed
    """The module of a checkout. It sets up the root logger and progress bars: both are undone."""
    there = sys.modules.get("cosyvoice")
    origin = Path(getattr(there, "__path__", [str(checkout / "cosyvoice")])[0]).parent
    if there is not None and origin.resolve() != checkout.resolve():
        raise BackendError(
            f"{name}: {checkout} was asked for, but this process uses {origin}: use one checkout"
        )
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    for place in (str(checkout / MATCHA), str(checkout)):
        if place not in sys.path:
            sys.path.insert(0, place)
    try:
        module: Any = importlib.import_module(MODULE)
    except ImportError as error:
        raise BackendError(
            f"{name}: the checkout {checkout} needs more: {error}; pip install -r "
            f"{checkout}/requirements.txt into this environment"
        ) from error
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers
    module.tqdm = _no_bar
    return module


def _no_bar(items: Iterable[Any], *_: object, **__: object) -> Iterable[Any]:
    return items


def _shown(place: Path, otherwise: str) -> str:
    return f"({otherwise})" if place == NOWHERE else str(place)
