"""How many requests may be in flight: found out from what the server refuses.

Up to the first refusal the limit doubles per round (a round: as many successes as the limit). A
refusal takes a twentieth off, and four tenths where the round before ended in one too; then the
limit comes back on the cubic curve of RFC 9438 (fast, flat near the last known limit, then fast
again), counted in rounds and not in seconds, since a model's round may take a minute. Only requests
sent after the last decrease count as refusals, so one overload is one decrease.
"""

from dataclasses import dataclass

START = 64  # or half of what is allowed
GENTLE, HARD = 0.95, 0.6
CUBIC = 0.4
MIN_ROUND = 64  # successes: a small limit is not tried to be raised at every few requests
BUSY = 0.8  # a limit that is not used teaches nothing


@dataclass
class Limiter:
    """The limit of one endpoint; ``in_flight`` is kept by whoever sends."""

    most: int
    limit: float = 0.0
    in_flight: int = 0
    epoch: int = 0  # decreases so far
    _last: float | None = None  # the limit that was refused last; None before the first refusal
    _floor: float = 1.0  # where the limit stood after the last decrease
    _rounds: float = 0.0  # since the last decrease

    def __post_init__(self) -> None:
        self.limit = self.limit or float(min(self.most, max(START, self.most // 2)))

    @property
    def free(self) -> int:
        """How many more may be sent now."""
        return int(self.limit) - self.in_flight

    def succeeded(self) -> None:
        """A request came back; called before it leaves ``in_flight``."""
        if self.in_flight < BUSY * self.limit:
            return
        if self._last is None:
            self.limit = min(self.most, self.limit + 1.0)
            return
        self._rounds += 1.0 / max(self.limit, MIN_ROUND)
        reach = ((self._last - self._floor) / CUBIC) ** (1 / 3)
        wanted = self._last + CUBIC * (self._rounds - reach) ** 3
        self.limit = min(self.most, max(self.limit, wanted))

    def refused(self, sent_in: int) -> bool:
        """A request sent in epoch ``sent_in`` was refused. Whether the limit came down for it."""
        if sent_in != self.epoch:
            return False
        again = self._last is not None and self._rounds < 1.0
        # One less than were in flight is the most that was ever taken.
        self._last = max(1.0, min(self.limit, float(self.in_flight)) - 1.0)
        self.limit = self._floor = max(1.0, self._last * (HARD if again else GENTLE))
        self._rounds = 0.0
        self.epoch += 1
        return True
