"""What backends on torch share: settings under which the same call gives the same bytes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Threads, the global generators and hooks are of the whole process.
TORCH_LOCK: Final = threading.RLock()


@contextmanager
def exact_torch(threads: int) -> Iterator[None]:
    """Inference with ``threads`` threads on the CPU: sums are cut by their number, so it counts."""
    import torch

    with TORCH_LOCK, torch.inference_mode():
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


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
