"""Says that the build waits for room on a Ray cluster that others fill: it is no error."""

import time
from collections.abc import Callable, Iterable

import ray

from pipelines.engines.ray_cluster import MB, told
from transforms.step import Resources

FIRST_S = 30.0  # before the first note, unless a cluster is waited for less than that
AGAIN_S = 900.0  # before each other


class Waiting:
    """Told, at every look, which pools have no worker; it notes that now and then."""

    def __init__(
        self,
        note: Callable[[str], None],
        first_s: float = FIRST_S,
        again_s: float = AGAIN_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._note, self._first_s, self._again_s, self._now = note, first_s, again_s, now
        self._since: float | None = None
        self._next = 0.0

    def look(self, lacking: Iterable[tuple[str, Resources]]) -> None:
        """``lacking`` are the pools without a worker, by name, and what each of theirs needs."""
        wanted = list(lacking)
        now = self._now()
        if not wanted:
            self._since = None
        elif self._since is None:
            self._since, self._next = now, now + self._first_s
        elif now >= self._next:
            self._next = now + self._again_s
            pools = "; ".join(f"{name} with {told(needs)}" for name, needs in wanted)
            self._note(
                f"for {now - self._since:.0f} s no worker has got a place on the Ray cluster for "
                f"{pools}. The cluster has {_amounts(ray.cluster_resources())}; free are "
                f"{_amounts(ray.available_resources())}. Others hold the rest, see `ray status`; "
                "the build waits"
            )


def _amounts(found: dict[str, float]) -> str:
    memory_mb = found.get("memory", 0.0) / MB
    return f"{found.get('CPU', 0):g} CPUs, {found.get('GPU', 0):g} GPUs, {memory_mb:.0f} MB"
