"""What backends on torch share: settings under which the same call gives the same bytes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

# Threads, the global generators and hooks are of the whole process.
TORCH_LOCK: Final = threading.RLock()


@contextmanager
def exact_torch(threads: int) -> Iterator[None]:
    """Inference with ``threads`` threads on the CPU: sums are cut by their number, so it counts.

    On a GPU sums and convolutions are float32's: torch lets cuDNN round their factors to 10 bits
    (TF32) unless told. All of it is as before afterwards.
    """
    import torch

    with TORCH_LOCK, torch.inference_mode():
        before = torch.get_num_threads()
        rounding: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
        allowed = [item.allow_tf32 for item in rounding]
        torch.set_num_threads(threads)
        for item in rounding:
            item.allow_tf32 = False
        try:
            yield
        finally:
            torch.set_num_threads(before)
            for item, was in zip(rounding, allowed, strict=True):
                item.allow_tf32 = was


def full_floats(device: str) -> dict[str, bool]:
    """What a fingerprint says of ``exact_torch`` on a GPU; on a CPU nothing was ever rounded."""
    return {} if device.partition(":")[0] == "cpu" else {"tf32": False}


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """For models that draw from the process's generators: all of them set, and put back after."""
    import random

    import numpy as np
    import torch

    with TORCH_LOCK:
        python, numpy = random.getstate(), np.random.get_state()
        with torch.random.fork_rng():
            random.seed(seed)
            np.random.seed(seed % 2**32)
            torch.manual_seed(seed)
            try:
                yield
            finally:
                random.setstate(python)
                np.random.set_state(numpy)
