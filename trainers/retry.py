"""Trying a read again."""

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from schemas.errors import DamageError, StoreError, VoxmillError

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
_PAUSE_S: Final = 0.2


def again_after(error: VoxmillError, read: Callable[[], Result], retries: int) -> Result:
    """``read`` after it failed with ``error``, up to ``retries`` times.

    Raises what the last try raised: a StoreError or a DamageError.
    """
    for tried in range(retries):
        logger.warning("%s; trying again", error)
        time.sleep(_PAUSE_S * (tried + 1))
        try:
            return read()
        except (StoreError, DamageError) as another:
            error = another
    raise error
