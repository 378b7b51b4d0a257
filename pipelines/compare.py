"""What exactly differs between a member as it is stored and as it was made again."""

import io
import json
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from schemas.errors import DamageError
from schemas.shard import read_npy

MAX_FOUND: Final = 6  # differing values of one record that are named
MAX_SHOWN: Final = 120  # characters of one value


def difference(suffix: str, stored: bytes | None, made: bytes | None) -> str:
    """In words, how two versions of one member differ; empty if they are equal."""
    if stored == made:
        return ""
    if stored is None:
        return "is made here and is not stored"
    if made is None:
        return "is stored and is not made here"
    where = f"{first_difference(stored, made)}, {len(stored):,} bytes stored, {len(made):,} made"
    try:
        if suffix == "json":
            return f"{_record(json.loads(stored), json.loads(made))} ({where})"
        if suffix.endswith(".flac"):
            return f"{_audio(stored, made)} ({where})"
        if suffix.endswith(".npy"):
            return f"{_array(read_npy(stored), read_npy(made))} ({where})"
    except (ValueError, DamageError) as error:
        return f"one of the two cannot be read: {error} ({where})"
    return where


def first_difference(one: bytes, other: bytes) -> str:
    """The first byte at which two files part."""
    short = min(len(one), len(other))
    left, right = np.frombuffer(one[:short], np.uint8), np.frombuffer(other[:short], np.uint8)
    unlike = np.flatnonzero(left != right)
    return f"first at byte {int(unlike[0]) if len(unlike) else short:,}"


def _record(stored: object, made: object) -> str:
    found = sorted(_values(stored, made, ""), key=_weight)
    if not found:
        return "the same values, written otherwise"
    left = len(found) - MAX_FOUND
    return "; ".join(found[:MAX_FOUND]) + (f"; and {left} more values" if left > 0 else "")


def _weight(difference: str) -> int:
    """What is said comes first, then other facts, then what follows from them."""
    place = difference.split(" ", 1)[0]
    return 0 if "text" in place else 2 if "measures" in place or "lineage" in place else 1


def _values(stored: Any, made: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - JSON values
    """Every place of two JSON values where they differ."""
    if isinstance(stored, dict) and isinstance(made, dict):
        for key in sorted({*stored, *made}):
            place = f"{path}.{key}" if path else str(key)
            if key not in stored or key not in made:
                here, value = ("made", made[key]) if key in made else ("stored", stored[key])
                yield f"{place} is only in what is {here}: {_short(value)}"
            else:
                yield from _values(stored[key], made[key], place)
    elif isinstance(stored, list) and isinstance(made, list) and len(stored) == len(made):
        for number, (one, other) in enumerate(zip(stored, made, strict=True)):
            yield from _values(one, other, f"{path}[{number}]")
    elif type(stored) is not type(made) or stored != made:
        yield f"{path}: stored {_short(stored)}, made {_short(made)}"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _audio(stored: bytes, made: bytes) -> str:
    one, other = _samples(stored), _samples(made)
    if one[1] != other[1]:
        return f"{one[1]} Hz stored, {other[1]} Hz made"
    words = []
    if len(one[0]) != len(other[0]):
        words.append(f"{len(one[0]):,} samples stored, {len(other[0]):,} made")
    short = min(len(one[0]), len(other[0]))
    apart = np.abs(one[0][:short].astype(np.int32) - other[0][:short].astype(np.int32))
    unlike = np.flatnonzero(apart)
    if len(unlike):
        words.append(
            f"{len(unlike):,} samples differ, by {int(apart.max()):,} of 32,768 at most, "
            f"the first at {unlike[0] / one[1]:.4f} s"
        )
    elif words:
        words.append("equal as far as both go")
    return ", ".join(words) or "the same samples, encoded otherwise"


def _samples(flac: bytes) -> tuple[npt.NDArray[np.int16], int]:
    import soundfile

    try:
        samples, rate_hz = soundfile.read(io.BytesIO(flac), dtype="int16")
    except soundfile.LibsndfileError as error:
        raise DamageError(f"no FLAC file: {error}") from error
    return samples, int(rate_hz)


def _array(stored: npt.NDArray[np.generic], made: npt.NDArray[np.generic]) -> str:
    if stored.dtype != made.dtype:
        return f"{stored.dtype} stored, {made.dtype} made"
    short = min(stored.shape[-1], made.shape[-1])
    unlike = np.flatnonzero((stored[..., :short] != made[..., :short]).reshape(-1, short).any(0))
    words = []
    if stored.shape != made.shape:
        words.append(f"{list(stored.shape)} values stored, {list(made.shape)} made")
    if len(unlike):
        place = int(unlike[0])
        words.append(
            f"{len(unlike):,} of {short:,} differ, the first at {place}: stored "
            f"{stored[..., place].tolist()}, made {made[..., place].tolist()}"
        )
    return ", ".join(words) or "the same values, written otherwise"
