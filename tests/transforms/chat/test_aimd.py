"""The limit of requests in flight: it is found, held, and found again when the server's changes."""

import heapq

import pytest

from transforms.backends.chat.aimd import Limiter


def simulate(limiter: Limiter, limits: list[tuple[int, int]], latency: int = 400) -> list[float]:
    """The refused share of each phase (server limit, ticks), its first half left out.

    A refusal takes one tick, and what is refused queues again at once: the worst case.
    """
    now, busy, shares = 0, 0, []
    events: list[tuple[int, int, bool, int]] = []
    count = 0
    for limit, ticks in limits:
        sent = refused = 0
        end = now + ticks
        while now < end:
            while events and events[0][0] <= now:
                _, _, good, epoch = heapq.heappop(events)
                if good:
                    busy -= 1
                    limiter.succeeded()
                else:
                    limiter.refused(epoch)
                limiter.in_flight -= 1
            while limiter.free > 0:
                good = busy < limit
                busy += good
                count += 1
                took = latency + count % 37 if good else 1
                heapq.heappush(events, (now + took, count, good, limiter.epoch))
                limiter.in_flight += 1
                if now > end - ticks / 2:
                    sent += 1
                    refused += not good
                if not good:
                    break
            now += 1
        shares.append(refused / sent)
    return shares


@pytest.mark.parametrize("limit", [16, 64, 300])
def test_few_requests_are_refused_when_the_servers_limit_halves_and_doubles(limit: int) -> None:
    limiter = Limiter(512)
    shares = simulate(limiter, [(limit, 20_000), (limit // 2, 20_000), (limit, 20_000)])
    assert max(shares) <= 0.03, shares
    assert limiter.limit > 0.8 * limit


def test_up_to_the_first_refusal_the_limit_doubles_per_round() -> None:
    limiter = Limiter(512, limit=16.0)
    limiter.in_flight = 16
    for _ in range(16):
        limiter.succeeded()
        limiter.in_flight = int(limiter.limit)
    assert limiter.limit == 32


def test_one_overload_is_one_decrease_however_many_requests_were_refused() -> None:
    limiter = Limiter(512, limit=100.0)
    limiter.in_flight = 100
    epoch = limiter.epoch
    assert limiter.refused(epoch)
    after = limiter.limit
    assert not any(limiter.refused(epoch) for _ in range(20))
    assert limiter.limit == after == pytest.approx(0.95 * 99)


def test_a_server_that_goes_on_refusing_is_believed_at_once() -> None:
    limiter = Limiter(512, limit=512.0)
    for _ in range(8):
        limiter.in_flight = int(limiter.limit)
        limiter.refused(limiter.epoch)
    assert limiter.limit < 20
    assert limiter.limit >= 1


def test_a_limit_that_nobody_uses_does_not_grow() -> None:
    limiter = Limiter(512, limit=16.0)
    limiter.in_flight = 2
    for _ in range(100):
        limiter.succeeded()
    assert limiter.limit == 16


def test_the_limit_stays_within_what_the_job_allows() -> None:
    limiter = Limiter(24)
    for _ in range(500):
        limiter.in_flight = int(limiter.limit)
        limiter.succeeded()
    assert limiter.limit == 24
