"""How much may lie between a server and the disk: requests wait while what is held is too much.

A reply of a language model is small, one that speaks is not: 512 of them, each of a minute, are
3 GB, and a store that is slower than the server would let them pile up. So a request takes its
part of a tray before it is sent, and gives it back when its reply is committed.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

MOST_BYTES: Final = 512_000_000  # of one worker, by what replies are expected to be


class Tray:
    """So many bytes, in the order of asking. Lives in one event loop."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.most = most
        self.held = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def holding(self, size: int) -> AsyncIterator[None]:
        """Wait for room, and hold it; what is larger than the tray goes alone."""
        if size:
            await self._take(size)
        try:
            yield
        finally:
            if size:
                self._give_back(size)

    async def _take(self, size: int) -> None:
        if not self._waiting and self._fits(size):
            self.held += size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(size)
            raise

    def _fits(self, size: int) -> bool:
        return not self.held or self.held + size <= self.most

    def _give_back(self, size: int) -> None:
        self.held -= size
        while self._waiting:
            wanted, turn = self._waiting[0]
            if turn.done():  # cancelled while it waited
                self._waiting.popleft()
                continue
            if not self._fits(wanted):
                return
            self._waiting.popleft()
            self.held += wanted
            turn.set_result(None)
