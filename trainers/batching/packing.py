"""Token packing: whole samples into packs of at most ``limit`` tokens, from their costs alone.

Every function here takes the costs of one window, in the order of the reader, and returns packs of
places in that window. It is a function of those costs and of nothing else.
"""

import bisect
from collections.abc import Sequence

from schemas.errors import SettingsError

Group = tuple[int, ...]  # places in the window, ascending


def next_fit(costs: Sequence[float], limit: int) -> list[Group]:
    """Packs of neighbors: a pack ends where the next sample would exceed ``limit`` tokens.

    This is VITA's packing. It keeps the order, and a sample above the limit has a pack to itself.
    """
    check(costs, limit)
    packs: list[Group] = []
    pack: list[int] = []
    used = 0.0
    for place, cost in enumerate(costs):
        if pack and used + cost > limit:
            packs.append(tuple(pack))
            pack, used = [], 0.0
        pack.append(place)
        used += cost
    if pack:
        packs.append(tuple(pack))
    return packs


def best_fit(costs: Sequence[float], limit: int) -> list[Group]:
    """Denser packs: the longest samples first, each into the fullest pack that it still fits.

    Best fit decreasing (Johnson 1973: at most 11/9 of the fewest packs, plus a constant). A sample
    above the limit has a pack to itself. Packs come in the order of their first samples and
    samples in the order of the reader, so a window does not begin with its longest samples.
    """
    check(costs, limit)
    packs: list[list[int]] = []
    room: list[tuple[float, int]] = []  # tokens left and number of each pack, sorted
    for place in sorted(range(len(costs)), key=lambda place: (-costs[place], place)):
        cost = costs[place]
        found = bisect.bisect_left(room, (cost, -1))
        if found < len(room):
            left, number = room.pop(found)
        else:
            left, number = limit, len(packs)
            packs.append([])
        packs[number].append(place)
        bisect.insort(room, (left - cost, number))  # below 0 where a sample exceeds the limit
    return sorted(tuple(sorted(pack)) for pack in packs)


def check(costs: Sequence[float], limit: int) -> None:
    """Raise SettingsError for a limit or a cost that no pack can hold to."""
    if limit < 1:
        raise SettingsError(f"a pack of {limit} tokens: wanted a limit of at least 1")
    for place, cost in enumerate(costs):
        if cost < 0:
            raise SettingsError(
                f"sample {place} of the window costs {cost} tokens; wanted 0 or more"
            )
