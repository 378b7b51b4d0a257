"""A sample as a trainer meets it: verified bytes, and what is in them, decoded when asked for.

Shapes: audio [N] int16, codes [nq, T], durations [T] in frames (see schemas/shard.py).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.shard import durations_suffix, flac_suffix, read_npy, units_suffix
from trainers.flac import decode_flac
from trainers.members import NAME, Members

RowTuple = tuple[int, int, int, int, int, float, float]  # a row of trainers.index.ROW


@dataclass(frozen=True, slots=True)
class Audio:
    """Decoded sound: ``samples`` int16 [N], mono."""

    samples: npt.NDArray[np.int16]
    sample_rate_hz: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One spoken turn of a sample, as KEY.json has it; sound and units are decoded when asked."""

    members: Mapping[str, bytes]
    turn: int
    role: str
    text: str
    spoken_text: str
    voice: str
    speaker_id: str
    duration_s: float
    units: Mapping[str, Mapping[str, int]]  # per unit set: {"frames": ..., "units": ...}

    def flac(self) -> bytes:
        """The FLAC file."""
        return self._member(flac_suffix(self.turn, self.role))

    def audio(self) -> Audio:
        """The decoded FLAC. Raises DamageError if it cannot be decoded."""
        return Audio(*decode_flac(self.flac(), f"turn {self.turn} ({self.role})"))

    def codes(self, unit_set: str = "") -> npt.NDArray[np.generic]:
        """The unit ids [nq, T] of a unit set; of the only one if none is named."""
        return read_npy(self._member(units_suffix(self.turn, self.role, self._set(unit_set))))

    def durations(self, unit_set: str = "") -> npt.NDArray[np.generic]:
        """The run lengths [T] in frames, for unit sets whose runs are collapsed."""
        return read_npy(self._member(durations_suffix(self.turn, self.role, self._set(unit_set))))

    def _set(self, name: str) -> str:
        if name in self.units or (not name and len(self.units) == 1):
            return name or next(iter(self.units))
        raise KeyError(
            f"turn {self.turn} ({self.role}): asked for unit set {name!r}, it has "
            f"{sorted(self.units)}; name one of these"
        )

    def _member(self, suffix: str) -> bytes:
        if suffix not in self.members:
            raise KeyError(f"no member {suffix!r}; the sample has {sorted(self.members)}")
        return self.members[suffix]


@dataclass(slots=True)
class Sample:
    """One sample of a corpus and its place in the order.

    ``position`` counts the global order of an epoch from 0, over all ranks; a position belongs to
    one sample whatever the number of ranks and workers. Durations and counts are the index's, so
    that bucketing and packing need no decoding. ``padding`` marks a sample that is only there to
    fill the last batch: it was, or will be, seen at another position of the same epoch. ``group``
    numbers the packs or buckets of the rank's step (trainers.batching), and is 0 without them.
    """

    corpus: str
    epoch: int
    position: int
    data: bytes = field(repr=False)  # the sample's range of the tar, checked against the index
    duration_s: float  # of all turns
    user_s: float  # of the user's turns
    num_units: int  # of all turns, after collapsing
    num_frames: int  # of all turns that have units
    padding: bool = False
    group: int = 0
    shard: str = ""
    _members: Members | None = field(default=None, repr=False, compare=False)
    _record: dict[str, Any] | None = field(default=None, repr=False, compare=False)

    @property
    def key(self) -> str:
        """The sample's key, which is the id of the source row."""
        return self.data[:NAME].partition(b".")[0].decode("ascii", "replace")

    @property
    def members(self) -> Members:
        """The files of the sample by suffix, such as ``json`` or ``00.user.flac``."""
        if self._members is None:
            self._members = Members(self.data)
        return self._members

    @property
    def record(self) -> dict[str, Any]:
        """KEY.json: texts, voices, measures and lineage of every turn."""
        if self._record is None:
            self._record = json.loads(self.members["json"])
        return self._record

    @property
    def turns(self) -> list[Turn]:
        """The spoken turns in order."""
        names = ("turn", "role", "text", "spoken_text", "voice", "speaker_id", "duration_s")
        return [
            Turn(self.members, **{name: item[name] for name in names}, units=item.get("units", {}))
            for item in self.record["turns"]
        ]

    @property
    def lang(self) -> str:
        """ISO 639-1 code."""
        return str(self.record["lang"])


def sample_of(
    corpus: str,
    epoch: int,
    position: int,
    data: bytes,
    row: RowTuple,
    padding: bool = False,
    group: int = 0,
    shard: str = "",
) -> Sample:
    """A sample from its checked bytes and its row of the index."""
    _, _, _, num_units, num_frames, duration_s, user_s = row
    lengths = (duration_s, user_s, num_units, num_frames)
    return Sample(corpus, epoch, position, data, *lengths, padding, group, shard)
