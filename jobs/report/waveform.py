"""Int16 samples drawn small: peaks per column, as an SVG path or a line of blocks."""

import numpy as np
import numpy.typing as npt

FULL_SCALE = 32768
BLOCKS = " ▁▂▃▄▅▆▇█"


def peaks(samples: npt.NDArray[np.int16], columns: int) -> npt.NDArray[np.int32]:
    """The least and the greatest sample of each column [C, 2]; C is at most ``columns``.

    Clips shorter than ``columns`` samples have a column per sample, an empty one has none.
    """
    num_columns = min(columns, len(samples))
    if num_columns == 0:
        return np.zeros((0, 2), np.int32)
    starts = np.arange(num_columns) * len(samples) // num_columns
    wide = samples.astype(np.int32)  # -(-32768) does not fit 16 bits
    return np.stack([np.minimum.reduceat(wide, starts), np.maximum.reduceat(wide, starts)], axis=1)


def loudest(samples: npt.NDArray[np.int16]) -> int:
    """The greatest absolute sample, 0 to 32768."""
    return int(np.abs(samples.astype(np.int32)).max(initial=0))


def waveform_path(
    samples: npt.NDArray[np.int16], columns: int, height: int, full_scale: int = FULL_SCALE
) -> str:
    """The ``d`` of an SVG path in a box of ``columns`` by ``height``: a stroke per column.

    ``full_scale`` is the sample value that reaches the box's edge. Silence is drawn as a thin line.
    """
    middle, scale = height / 2, height / 2 / max(full_scale, 1)
    strokes = []
    for column, (low, high) in enumerate(peaks(samples, columns).tolist()):
        top = middle - min(high, full_scale) * scale
        length = max((min(high, full_scale) - max(low, -full_scale)) * scale, 0.5)
        strokes.append(f"M{column + 0.5:g} {top:.1f}v{length:.1f}")
    return "".join(strokes)


def blocks(samples: npt.NDArray[np.int16], columns: int, full_scale: int = FULL_SCALE) -> str:
    """One character per column, as tall as the column's peak."""
    pairs = peaks(samples, columns)
    heights = np.abs(pairs).max(axis=1, initial=0) / max(full_scale, 1)
    levels = np.ceil(np.clip(heights, 0, 1) * (len(BLOCKS) - 1)).astype(int)
    return "".join(BLOCKS[level] for level in levels.tolist())
