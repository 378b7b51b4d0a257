"""Tells a bad request from a bad endpoint, and stops the build where nothing gets through.

While nothing at all succeeds, a failing request is not to blame and waits; after ``patience_s`` of
that the build stops with an error, resumably (unless a probe of two words is answered: then it is
the request after all, or a build of which only that request is left could never end). A run of
refusals with no success in between is a fault of the set-up and stops the build at once.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from schemas.errors import BackendError, SilentEndpointError

REFUSALS = 30  # in a row
FIRST_PATIENCE = 0.25  # of the patience, before the first success: a wrong address


@dataclass
class Health:
    """What one worker knows of a model's endpoints."""

    who: str
    patience_s: float
    clock: Callable[[], float] = time.monotonic
    successes: int = 0
    _since: float | None = None  # of the first trouble after the last success
    _refusals: int = field(default=0)

    def succeeded(self) -> None:
        """A reply came."""
        self.successes += 1
        self._since, self._refusals = None, 0

    def troubled(self, message: str) -> BackendError | None:
        """A failure or an overload. The error to stop with, where that is all there has been."""
        now = self.clock()
        self._since = now if self._since is None else self._since
        patience_s = self.patience_s * (1.0 if self.successes else FIRST_PATIENCE)
        if now - self._since > patience_s:
            return SilentEndpointError(
                f"{self.who}: nothing was answered for {now - self._since:.0f} s; last: {message}. "
                "What was answered before is kept: see that the server runs (`voxmill doctor JOB` "
                "tells more), then run the same command to go on"
            )
        return None

    def refused(self, message: str) -> None:
        """A 4xx. Raises BackendError if it is one of many with no success between."""
        self._refusals += 1
        if self._refusals >= REFUSALS:
            raise BackendError(
                f"{self.who}: refuses every request, {self._refusals} in a row; last: {message}. "
                "A setting of the model may be one that the server does not take (json_mode, "
                "send_seed, extra): `voxmill doctor JOB` tries them"
            )
