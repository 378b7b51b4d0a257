"""Padded and packed batches, as NumPy arrays; ``to_torch`` hands them to a model without a copy.

A batch is a function of its examples and their order alone: no global state, no dropped field.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from schemas.errors import SettingsError

if TYPE_CHECKING:
    import torch

Array = npt.NDArray[Any]
Example = Mapping[str, Array]
Batch = dict[str, Array]


@dataclass(frozen=True, kw_only=True)
class Pad:
    """How a field is padded: with which value, along its last axis, up to a multiple of what."""

    value: float
    multiple: int = 1


def collate(examples: Sequence[Example], pads: Mapping[str, Pad]) -> Batch:
    """Stack examples; a field named in ``pads`` is padded along its last axis first.

    A padded field x [..., T] gives x [B, ..., max T], x_lengths [B] (int64) and x_mask [B, max T]
    (True on what is real). Other fields must have equal shapes. Raises SettingsError for examples
    that differ in fields, or in shapes that padding does not even out.
    """
    if not examples:
        raise SettingsError("a batch of no examples: wanted at least one")
    names = list(examples[0])
    for example in examples[1:]:
        if list(example) != names:
            raise SettingsError(
                f"a batch mixes examples with {names} and with {list(example)}; wanted the same "
                "fields in the same order"
            )
    unknown = sorted(set(pads) - set(names))
    if unknown:
        raise SettingsError(f"padding for {unknown}, which no example has; they have {names}")
    batch: Batch = {}
    for name in names:
        arrays = [np.asarray(example[name]) for example in examples]
        if name in pads:
            batch.update(_padded(name, arrays, pads[name]))
        else:
            batch[name] = _stacked(name, arrays)
    return batch


def pack(
    sequences: Sequence[Example],
    limit: int,
    pads: Mapping[str, Pad],
    targets: Collection[str] = ("labels",),
) -> Batch:
    """Lay sequences end to end in one row of ``limit`` tokens, or longer if one alone is.

    Each field is [T] in every sequence, all of a sequence equally long. Adds segment_ids [N] (1, 2,
    ... by sequence, 0 on padding), position_ids [N] (from 0 in each) and cu_seqlens [S + 1] (int32:
    where sequences begin), by which attention is kept inside a sequence. A field of ``targets`` is
    read by the loss one place later, so its first value in each sequence becomes padding: nothing
    is predicted across a boundary, and a packed loss equals the unpacked one. Raises SettingsError
    for sequences that exceed the limit together.
    """
    lengths = [_common_length(sequence) for sequence in sequences]
    total = sum(lengths)
    if total > limit and len(sequences) > 1:
        raise SettingsError(
            f"{len(sequences)} sequences of {total} tokens in a pack of {limit}; wanted packs from "
            "trainers.batching.packing with the same limit"
        )
    row = max(limit, total)
    starts = np.cumsum([0, *lengths])[:-1][np.array(lengths) > 0]
    batch: Batch = {}
    for name, pad in pads.items():
        joined = np.concatenate([np.asarray(sequence[name]) for sequence in sequences])
        padding = _fitting(joined, pad, name)
        if name in targets:
            joined[starts] = padding
        batch[name] = np.pad(joined, (0, row - total), constant_values=padding)
    numbers = np.repeat(np.arange(1, len(lengths) + 1), lengths)
    places = [np.arange(length) for length in lengths]
    batch["segment_ids"] = np.pad(numbers, (0, row - total))
    batch["position_ids"] = np.pad(np.concatenate(places), (0, row - total))
    batch["cu_seqlens"] = np.cumsum([0, *lengths]).astype(np.int32)
    return batch


def to_torch(batch: Batch) -> "dict[str, torch.Tensor]":
    """The batch as tensors on the same memory, except fields of strings (keys), left out."""
    import torch

    return {
        name: torch.from_numpy(array) for name, array in batch.items() if array.dtype.kind != "U"
    }


def _padded(name: str, arrays: Sequence[Array], pad: Pad) -> Batch:
    first = arrays[0]
    for array in arrays:
        if array.ndim < 1 or array.shape[:-1] != first.shape[:-1] or array.dtype != first.dtype:
            raise SettingsError(
                f"{name}: {array.dtype} {list(array.shape)} beside {first.dtype} "
                f"{list(first.shape)}; wanted shapes that differ in the last axis only"
            )
    lengths = np.array([array.shape[-1] for array in arrays], np.int64)
    longest = -(-int(lengths.max()) // pad.multiple) * pad.multiple
    shape = (len(arrays), *first.shape[:-1], longest)
    values = np.full(shape, _fitting(first, pad, name), first.dtype)
    for row, array in zip(values, arrays, strict=True):
        row[..., : array.shape[-1]] = array
    mask = np.arange(longest) < lengths[:, None]
    return {name: values, f"{name}_lengths": lengths, f"{name}_mask": mask}


def _stacked(name: str, arrays: Sequence[Array]) -> Array:
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise SettingsError(
            f"{name}: shapes {sorted(map(list, shapes))} in one batch; name a padding for it"
        )
    return np.stack(arrays)


def _fitting(array: Array, pad: Pad, name: str) -> Array:
    value = np.asarray(pad.value).astype(array.dtype)
    if value != pad.value:
        raise SettingsError(f"{name}: {array.dtype} cannot hold the padding value {pad.value}")
    return value


def _common_length(sequence: Example) -> int:
    shapes = {name: np.asarray(array).shape for name, array in sequence.items()}
    if len({shape for shape in shapes.values()}) != 1 or len(next(iter(shapes.values()))) != 1:
        raise SettingsError(
            f"a sequence with shapes {shapes}; wanted one length for all its fields"
        )
    return int(next(iter(shapes.values()))[0])
