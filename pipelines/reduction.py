"""The reduction tree of a fit step: which partials are merged by one task, and where to.

Merging is associative and cares for no order, so the shape of the tree changes no byte. It bounds
what one task reads: without it, the finish of a million rows would open tens of thousands of packs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ARITY = 256  # partials that one task merges


@dataclass(frozen=True)
class Knot:
    """Some partials, and the path of the one that they become."""

    parts: tuple[str, ...]
    into: str


def levels(parts: Sequence[str], folder: str, arity: int = ARITY) -> Iterator[list[Knot]]:
    """The levels of the tree, from the leaves; none where one task can take all parts."""
    parts = sorted(parts)
    level = 0
    while len(parts) > arity:
        level += 1
        knots = [
            Knot(tuple(parts[start : start + arity]), f"{folder}/merged-{level}-{number:06d}.pack")
            for number, start in enumerate(range(0, len(parts), arity))
        ]
        yield knots
        parts = [knot.into for knot in knots]
