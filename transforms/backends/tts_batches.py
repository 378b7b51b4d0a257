"""Batches of items of like length, and what is done where one does not fit into memory."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from schemas.errors import SynthesisError

logger = logging.getLogger(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")


def buckets(sizes: Sequence[int], most_items: int, most_size: int) -> list[list[int]]:
    """Positions of items in batches of like size, longest first.

    A batch has at most ``most_items`` items and, padded to its longest, ``most_size`` in all; an
    item that is larger alone is a batch of its own. Ties keep their order.
    """
    order = sorted(range(len(sizes)), key=lambda place: (-sizes[place], place))
    found: list[list[int]] = []
    for place in order:
        batch = found[-1] if found else []
        if (
            batch
            and len(batch) < most_items
            and sizes[batch[0]] * (len(batch) + 1) <= max(most_size, sizes[batch[0]])
        ):
            batch.append(place)
        else:
            found.append([place])
    return found


def run_batches(
    items: Sequence[Item],
    sizes: Sequence[int],
    run: Callable[[list[Item]], list[Result]],
    *,
    most_items: int,
    most_size: int,
) -> list[Result | SynthesisError]:
    """``run`` over all items in batches; results in order. Out of memory halves a batch.

    An item that does not fit alone is an error of its own.
    """
    found: dict[int, Result | SynthesisError] = {}
    waiting = buckets(sizes, most_items, most_size)[::-1]
    while waiting:
        batch = waiting.pop()
        try:
            results = run([items[place] for place in batch])
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            failure = str(error)[:200]
        else:
            found |= dict(zip(batch, results, strict=True))
            continue
        # Outside of the handler: the error's traceback holds the tensors that filled the memory.
        free_memory()
        if len(batch) == 1:
            found[batch[0]] = SynthesisError(
                f"out of memory for one item of size {sizes[batch[0]]} ({failure}); give the "
                "device more memory, or set a smaller max_chars for this backend",
                retryable=True,
            )
            continue
        logger.info("out of memory on a batch of %d; it is halved", len(batch))
        half = (len(batch) + 1) // 2
        waiting += [batch[half:], batch[:half]]
    return [found[place] for place in range(len(items))]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch (or Python) says that memory ran out, on a GPU or a CPU."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "OutOfMemoryError" in kinds or "MemoryError" in kinds:
        return True
    return "RuntimeError" in kinds and (
        "out of memory" in str(error) or "not enough memory" in str(error)
    )


def free_memory() -> None:
    """Give cached blocks of a GPU back."""
    import gc
    import sys

    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
