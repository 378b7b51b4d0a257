"""What lies between a server and the disk is bounded, whoever of the two is slow."""

import asyncio
import threading
import time
from typing import Any

import pytest

from tests.chat_server import serving
from tests.speech_server import SpeechServer
from tests.transforms.test_speech_endpoint import VOICE, backend
from transforms.backends.chat import office as office_module
from transforms.backends.chat.desk import MemoryDesk
from transforms.backends.chat.office import Office
from transforms.backends.chat.protocol import Reply
from transforms.backends.chat.tray import Tray
from transforms.backends.tts import Say
from transforms.backends.tts_wire import SpeechAsk

TEXTS = [f"This is the sentence of number {n}, and no other." for n in range(24)]
EACH = max(SpeechAsk(text=text, voice=VOICE).held_bytes for text in TEXTS)


def test_what_is_held_fits_and_goes_in_the_order_of_asking() -> None:
    tray, most, order = Tray(10), [0], list[int]()

    async def one(number: int, size: int) -> None:
        async with tray.holding(size):
            order.append(number)
            most[0] = max(most[0], tray.held)
            await asyncio.sleep(0.002)

    async def run() -> None:
        await asyncio.gather(*(one(n, size) for n, size in enumerate([4, 4, 4, 9, 1, 1, 0])))

    asyncio.run(run())
    assert most[0] <= 10
    assert tray.held == 0
    assert order == [0, 1, 6, 2, 3, 4, 5]  # nothing to hold waits for nobody


def test_what_is_larger_than_the_tray_goes_alone() -> None:
    tray = Tray(10)

    async def run() -> None:
        async with tray.holding(3):
            large = asyncio.ensure_future(one())
            await asyncio.sleep(0.01)
            assert not large.done()
            assert tray.held == 3
        await large

    async def one() -> None:
        async with tray.holding(99):
            assert tray.held == 99

    asyncio.run(run())
    assert tray.held == 0


def test_who_gives_up_while_waiting_leaves_no_hole() -> None:
    tray = Tray(10)

    async def hold(size: int) -> None:
        async with tray.holding(size):
            await asyncio.sleep(0.01)

    async def run() -> None:
        async with tray.holding(8):
            given_up, other = (asyncio.ensure_future(hold(size)) for size in (9, 3))
            await asyncio.sleep(0)
            given_up.cancel()
        await other

    asyncio.run(run())
    assert tray.held == 0


@pytest.fixture
def four_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office_module, "Tray", lambda: Tray(4 * EACH))


def test_no_more_speech_is_asked_for_than_there_is_room(four_at_a_time: None) -> None:
    with serving(SpeechServer(latency_s=0.05)) as server:
        found = backend(server, max_in_flight=64)
        office = Office()
        try:
            said = found.speaker(office, MemoryDesk()).speak_batch([Say(t, VOICE) for t in TEXTS])
        finally:
            office.close()
        assert all(item.speech is not None for item in said)
        assert 3 <= server.seen["most_busy"] <= 4


class SlowDesk(MemoryDesk):
    """A store that is slower than the server."""

    def __init__(self, server: SpeechServer) -> None:
        super().__init__()
        self._server, self._counting = server, threading.Lock()
        self.kept = self.most = 0

    def keep(self, key: str, reply: Reply) -> Reply:
        time.sleep(0.05)
        with self._counting:
            self.most = max(self.most, self._server.seen["answered"] - self.kept)
            self.kept += 1
        return super().keep(key, reply)


def test_replies_do_not_pile_up_before_a_slow_store(four_at_a_time: None) -> None:
    with serving(SpeechServer()) as server:
        found, desk, office = backend(server, max_in_flight=64), SlowDesk(server), Office()
        requests: Any = found.requests([Say(text, VOICE) for text in TEXTS])
        try:
            office.send([(found.service, desk, requests)])
        finally:
            office.close()
        assert desk.kept == len(TEXTS)
        assert desk.most <= 4
