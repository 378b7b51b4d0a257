"""Several endpoints of one model, each with its limit: a request takes the freest."""

import asyncio
from collections import deque

from transforms.backends.chat.aimd import Limiter

LONGEST_REST_S = 30.0


class Lane:
    """One endpoint. Between overloads with nothing answered it may be paused."""

    def __init__(self, url: str, most: int) -> None:
        self.url = url
        self.limiter = Limiter(most)
        self.resumes_at = 0.0  # time of the event loop
        self.failures = 0  # in a row


class Lanes:
    """Hands out lanes in the order of asking. Lives in one event loop."""

    def __init__(self, lanes: list[Lane]) -> None:
        self.lanes = lanes
        self._waiting: deque[asyncio.Future[Lane]] = deque()
        self._loop = asyncio.get_running_loop()

    async def take(self) -> Lane:
        """A lane with room, as soon as there is one. Give it back with `give_back`."""
        lane = None if self._waiting else self._freest()
        if lane is not None:
            lane.limiter.in_flight += 1
            return lane
        turn: asyncio.Future[Lane] = self._loop.create_future()
        self._waiting.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(turn.result())
            raise

    def give_back(self, lane: Lane) -> None:
        """The request of a lane is over."""
        lane.limiter.in_flight -= 1
        self._wake()

    def pause(self, lane: Lane, seconds: float) -> None:
        """Send nothing there for a while."""
        lane.resumes_at = max(lane.resumes_at, self._loop.time() + seconds)
        self._loop.call_later(seconds, self._wake)

    def answered(self, lane: Lane) -> None:
        """The endpoint of a lane works."""
        lane.failures = 0

    def failed(self, lane: Lane) -> None:
        """It did not answer. Where there are others, it gets a rest, longer each time."""
        lane.failures += 1
        if len(self.lanes) > 1 and lane.failures > 1:
            self.pause(lane, min(LONGEST_REST_S, 0.25 * 2.0 ** min(lane.failures, 10)))

    def _freest(self) -> Lane | None:
        now = self._loop.time()
        open_lanes = [lane for lane in self.lanes if lane.resumes_at <= now]
        best = max(open_lanes, key=lambda lane: lane.limiter.free, default=None)
        return best if best is not None and best.limiter.free > 0 else None

    def _wake(self) -> None:
        while self._waiting:
            if self._waiting[0].done():  # cancelled while it waited
                self._waiting.popleft()
                continue
            lane = self._freest()
            if lane is None:
                return
            lane.limiter.in_flight += 1
            self._waiting.popleft().set_result(lane)
