"""mosaicml-streaming without torchvision, whose build on PyPI wants CUDA's libraries."""

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

STANDING_IN: dict[str, dict[str, object]] = {
    "torchvision": {},
    "torchvision.datasets": {"VisionDataset": type("VisionDataset", (), {})},
    "torchvision.transforms": {},
    "torchvision.transforms.functional": {"to_tensor": None},
}


def import_streaming() -> Any:  # noqa: ANN401 - a module without types
    """The module ``streaming``; its datasets of images are not usable, nothing else is touched."""
    for name, contents in STANDING_IN.items():
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        module.__dict__.update(contents)
        sys.modules[name] = module
    return importlib.import_module("streaming")
