"""Units drawn small: a stroke per unit, as long as it lasts and as high as its number."""

from collections.abc import Sequence

MAX_STROKES = 1500


def strip_path(
    codes: Sequence[int], durations: Sequence[int] | None, codebook_size: int, box: tuple[int, int]
) -> str:
    """The ``d`` of an SVG path in ``box`` (width, height): time from left to right.

    ``durations`` are frames per unit; None is one each. Of long clips the first MAX_STROKES units.
    """
    lengths = [1] * len(codes) if durations is None else list(durations)
    total = sum(lengths)
    if not total:
        return ""
    width, height = box
    room, place, strokes = height - 3, 0, []
    for code, length in list(zip(codes, lengths, strict=True))[:MAX_STROKES]:
        top = 1.5 + room * (1 - code / max(codebook_size - 1, 1))
        left = place * width / total
        strokes.append(f"M{left:.1f} {top:.1f}h{max(length * width / total, 0.6):.1f}")
        place += length
    return "".join(strokes)
