"""Reads the small YAML file that describes a program: its rates, shapes and place."""

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

Described = TypeVar("Described", bound=BaseModel)
SHOWN_CHARS = 400


class NotDescribed(Exception):
    """What is wrong with the file, in words for an error that also says what was wanted."""


def read_described(path: Path, model: type[Described]) -> Described:
    """The file as ``model``. Raises NotDescribed for anything else."""
    try:
        return model.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except ValidationError as error:
        words = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'the file'}: {item['msg'].lower()}"
            for item in error.errors()
        )
        raise NotDescribed(words[:SHOWN_CHARS]) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise NotDescribed(str(error)[:SHOWN_CHARS]) from error
