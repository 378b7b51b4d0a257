"""The accepted rows to hear first: nearest to a gate, or farthest from what is usual."""

import heapq
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from jobs.report.columns import Flags, Flat, groups
from jobs.report.gate_use import in_scope_of
from jobs.report.histogram import Histogram
from jobs.report.judged import bounds
from jobs.report.reading import IndexRow
from jobs.report.words import number
from transforms.gate import Gate

PER_BOUND: Final = 4
Side: TypeAlias = Literal["least", "greatest"]
Found: TypeAlias = tuple[float, int, IndexRow, int]  # -slack, -arrival, the row, its turn


@dataclass(frozen=True)
class Odd:
    """An accepted row, and in words what is odd about it, most telling first."""

    row: IndexRow
    why: tuple[str, ...]


@dataclass
class Worst:
    """Per bound of a gate the rows nearest to it; per measure, role and language its extremes.

    Of equals the first in the index stays.
    """

    gates: tuple[Gate, ...] = ()
    nearest: dict[tuple[int, str], list[Found]] = field(default_factory=dict)
    extremes: dict[tuple[str, str, str, Side], tuple[float, IndexRow, int]] = field(
        default_factory=dict
    )
    usual: dict[tuple[str, str, str], Histogram] = field(default_factory=dict)
    _arrivals: int = 0

    def see(self, flat: Flat) -> None:
        """Look at a batch."""
        for place, gate in enumerate(self.gates):
            scope = in_scope_of(gate, flat)[flat.turn_of_measure] & flat.taken
            scope &= flat.measure.among(gate.measure.__eq__)
            if gate.min is not None:
                self._near(flat, (place, "min"), scope, flat.values - gate.min)
            if gate.max is not None:
                self._near(flat, (place, "max"), scope, gate.max - flat.values)
        judged = {gate.measure for gate in self.gates}
        role, lang = (item.at(flat.turn_of_measure) for item in (flat.role, flat.lang))
        for (name, of_role, of_lang), found in groups(flat.measure, role, lang):
            taken = found[flat.taken[found]]
            if name in judged or not len(taken):
                continue
            values = flat.values[taken]
            self.usual.setdefault((name, of_role, of_lang), Histogram()).add_all(values)
            for side, at, sign in (
                ("least", values.argmin(), 1),
                ("greatest", values.argmax(), -1),
            ):
                key: Any = (name, of_role, of_lang, side)
                value = float(values[at])
                if key not in self.extremes or sign * value < sign * self.extremes[key][0]:
                    turn = int(flat.turn_of_measure[taken[at]])
                    self.extremes[key] = (value, *_place(flat, turn))

    def rows(self, most: int) -> list[Odd]:
        """The rows by how odd they are, each once with all its reasons."""
        found = [*self._by_gates(), *self._by_measures()]
        told: dict[str, tuple[IndexRow, list[str]]] = {}
        for _, row, words in sorted(found, key=lambda item: item[0]):
            if row["key"] in told or len(told) < most:
                told.setdefault(row["key"], (row, []))[1].append(words)
        return [Odd(row, tuple(dict.fromkeys(words))) for row, words in told.values()]

    def _near(
        self, flat: Flat, key: tuple[int, str], scope: Flags, slack: npt.NDArray[np.float64]
    ) -> None:
        heap = self.nearest.setdefault(key, [])
        places = np.flatnonzero(scope)
        for place in places[np.argsort(slack[places], kind="stable")[:PER_BOUND]]:
            self._arrivals += 1
            if len(heap) == PER_BOUND and slack[place] >= -heap[0][0]:
                break
            row, turn = _place(flat, int(flat.turn_of_measure[place]))
            heapq.heappush(heap, (-float(slack[place]), -self._arrivals, row, turn))
            if len(heap) > PER_BOUND:
                heapq.heappop(heap)

    def _by_gates(self) -> list[tuple[tuple[int, float], IndexRow, str]]:
        """Rows of one bound in the order of their distance from it; the nearest of each first."""
        found = []
        for (place, _), heap in self.nearest.items():
            gate = self.gates[place]
            for order, (_, _, row, turn) in enumerate(sorted(heap, reverse=True)):
                said = row["turns"][turn]
                value = next(m["value"] for m in said["measures"] if m["name"] == gate.measure)
                words = f"{gate.measure} {number(value)} ({said['role']}), "
                words += f"nearest to its gate ({bounds(gate)})"
                found.append(((2 * order, float(place)), row, words))
        return found

    def _by_measures(self) -> list[tuple[tuple[int, float], IndexRow, str]]:
        """Extremes by how many interquartile ranges they lie from the median."""
        found = []
        for (name, role, lang, _), (value, row, _) in self.extremes.items():
            usual = self.usual[name, role, lang]
            # of values beside a far outlier no more than a bin is known
            spread = max(usual.quantile(0.75) - usual.quantile(0.25), 2.0**usual.level)
            far = abs(value - usual.quantile(0.5)) / spread
            if far > 3:
                words = f"{name} {number(value)} ({role}), the median is "
                words += number(usual.quantile(0.5))
                found.append(((1, -far), row, words))
        return found


def _place(flat: Flat, turn: int) -> tuple[IndexRow, int]:
    """The row of a turn of the batch, and which of its turns it is."""
    row = int(flat.row_of_turn[turn])
    first = int(np.searchsorted(flat.row_of_turn, row))
    return flat.row(row), turn - first
