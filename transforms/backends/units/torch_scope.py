"""Torch as the unit backends want it: there, on one thread, in full precision, without chatter."""

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from schemas.errors import BackendError

INSTALL: Final = "pip install -c constraints.txt -e '.[speech]'"


def require(*libraries: str) -> None:
    """Raise BackendError unless the libraries are installed."""
    missing = [name for name in libraries if importlib.util.find_spec(name) is None]
    if missing:
        raise BackendError(f"these units need {' and '.join(missing)}; {INSTALL}")


@contextmanager
def quiet_torch(device: str) -> Iterator[Any]:
    """The module, with one thread on a CPU: sums change with the number of threads.

    A worker process has one core; more of them make more workers. On a GPU convolutions and
    products are float32's: torch lets cuDNN round their factors to 10 bits (TF32) unless told.
    Raises BackendError for a device that is not there.
    """
    import torch

    if device.partition(":")[0] == "cuda" and not torch.cuda.is_available():
        raise BackendError(
            f"units.device: {device}, but torch finds no GPU here; set units.device: cpu, or run "
            "on a machine with a GPU and a torch that was built for it"
        )
    threads = torch.get_num_threads()
    rounding: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    allowed = [item.allow_tf32 for item in rounding]
    if device == "cpu":
        torch.set_num_threads(1)
    else:
        for item in rounding:
            item.allow_tf32 = False
    try:
        yield torch
    finally:
        torch.set_num_threads(threads)
        if device != "cpu":
            for item, before in zip(rounding, allowed, strict=True):
                item.allow_tf32 = before


@contextmanager
def quietly() -> Iterator[None]:
    """Loading without transformers' bars, tips and warnings; what counts of them is checked."""
    from transformers.utils import logging as their_logging

    logging: Any = their_logging  # its functions have no types
    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
