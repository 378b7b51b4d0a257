"""The one source of randomness: draws that follow from the seed and labels, never from state."""

import hashlib


def draw(seed: int, *labels: str) -> float:
    """A uniform number in [0, 1) that is a function of the corpus seed and the labels."""
    text = "\x1f".join([str(seed), *labels]).encode("utf-8", "surrogatepass")
    number = int.from_bytes(hashlib.sha256(text).digest()[:7], "big") / 2**56
    return min(number, 1.0 - 2.0**-53)  # the division may round up to 1
