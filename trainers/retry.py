"""Trying a read again."""

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from schemas.errors import DamageError, StoreError

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
_PAUSE_S: Final = 0.2


def with_retries(read: Callable[[bool], Result], retries: int) -> Result:
    """``read(False)``; after a StoreError or DamageError ``read(True)``, ``retries`` times at most.

    Raises what the last try raised.
    """
    for tried in range(retries):
        try:
            return read(tried > 0)
        except (StoreError, DamageError) as error:
            logger.warning("%s; trying again", error)
            time.sleep(_PAUSE_S * (tried + 1))
    return read(retries > 0)
