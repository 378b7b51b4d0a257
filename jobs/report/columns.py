"""Index rows as columns: turns and measures of a batch laid flat, so that counting is NumPy's."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.utterance import TAKEN

Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]
READ: Final = (
    "key split lang source source_id license duration_s turns num_dropped shard offset length "
    "crc32c"
).split()


@dataclass(frozen=True)
class Words:
    """A column of texts as numbers: ``texts[codes[n]]`` is the n-th."""

    texts: list[str]
    codes: Ints

    @classmethod
    def of(cls, column: pa.Array) -> "Words":
        """The column's distinct texts, and which of them stands where."""
        encoded = pc.dictionary_encode(column)
        return cls(encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64))

    def among(self, wanted: Callable[[str], bool]) -> Flags:
        """Where a wanted text stands."""
        flags: Flags = np.array([wanted(text) for text in self.texts] or [False], np.bool_)
        return flags[self.codes]

    def at(self, places: Ints) -> "Words":
        """The texts at some places."""
        return Words(self.texts, self.codes[places])


class Flat:
    """A batch of index rows. Lengths: rows [R], turns [T], measures [M]."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self.batch = batch
        turns = batch.column("turns")
        self.row_of_turn: Ints = _parents(turns)  # [T]
        self.turns: pa.StructArray = turns.flatten()
        measures = self.turns.field("measures")
        self.turn_of_measure: Ints = _parents(measures)  # [M]
        found: pa.StructArray = measures.flatten()
        self.measure = Words.of(found.field("name"))
        self.status = Words.of(found.field("status"))
        values = found.field("value").to_numpy(zero_copy_only=False).astype(np.float64)
        self.values: npt.NDArray[np.float64] = values  # NaN where nothing was taken
        self.taken: Flags = self.status.among(lambda text: text == TAKEN) & np.isfinite(values)

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return int(self.batch.num_rows)

    def rows(self, name: str) -> Words:
        """A column of texts of the rows."""
        return Words.of(self.batch.column(name))

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """A column of numbers of the turns [T]."""
        return np.asarray(self.turns.field(name).to_numpy(zero_copy_only=False), np.float64)

    def lengths(self, name: str) -> npt.NDArray[np.float64]:
        """How many characters a text of each turn has [T]."""
        return np.asarray(pc.utf8_length(self.turns.field(name)).to_numpy(), np.float64)

    @cached_property
    def role(self) -> Words:
        """Of the turns."""
        return Words.of(self.turns.field("role"))

    @cached_property
    def voice(self) -> Words:
        """Of the turns."""
        return Words.of(self.turns.field("voice"))

    @cached_property
    def speaker(self) -> Words:
        """Of the turns."""
        return Words.of(self.turns.field("speaker_id"))

    @cached_property
    def lang(self) -> Words:
        """Of the turns."""
        return self.rows("lang").at(self.row_of_turn)

    @cached_property
    def turns_per_row(self) -> Ints:
        """How many turns each row has [R]."""
        return np.bincount(self.row_of_turn, minlength=self.num_rows)

    def row(self, place: int) -> dict[str, Any]:
        """One row as a value."""
        found: dict[str, Any] = self.batch.slice(place, 1).to_pylist()[0]
        return found


def groups(*columns: Words) -> Iterator[tuple[tuple[str, ...], Ints]]:
    """The places of each distinct combination of texts, sorted by text within the batch."""
    if not len(columns[0].codes):
        return
    key = np.zeros(len(columns[0].codes), np.int64)
    for column in columns:
        key = key * len(column.texts) + column.codes
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    for places in np.split(order, starts[1:]):
        first = places[0]
        yield tuple(column.texts[column.codes[first]] for column in columns), places


def _parents(column: pa.ListArray) -> Ints:
    return np.asarray(pc.list_parent_indices(column).to_numpy(), np.int64)
