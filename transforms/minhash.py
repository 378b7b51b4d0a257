"""MinHash signatures of texts: a byte per permutation (b-bit minwise hashing, Li and König 2010).

Shapes: T tokens of a batch, W windows (shingles), P permutations, N texts.
"""

import functools
import hashlib
import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
COLLISION = 1 / 256  # two unlike texts share a byte as often
BLOCK = 1 << 19  # products of windows and permutations that are held at once
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
# Scripts without spaces between words: each of their letters is a token.
SPACELESS = (
    (0x0E00, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3347F),
)  # fmt: skip


class _Letters(dict[int, str]):
    """What ``str.translate`` makes of a letter: itself, itself alone, a space, or nothing."""

    def __missing__(self, code: int) -> str:
        kind = unicodedata.category(chr(code))
        if kind == "Cf":  # zero-width marks, and what turns the direction of text
            made = ""
        elif kind[0] in "PZC":
            made = " "
        elif any(low <= code <= high for low, high in SPACELESS):
            made = f" {chr(code)} "
        else:
            made = chr(code)
        self[code] = made
        return made


_LETTERS = _Letters()


def tokens(text: str) -> list[str]:
    """Its words without case, width and punctuation; of Chinese and its like, its letters."""
    return unicodedata.normalize("NFKC", text).casefold().translate(_LETTERS).split()


def signatures(
    texts: Sequence[Sequence[str]], num_perm: int, shingle: int
) -> list[npt.NDArray[np.uint8] | None]:
    """For each text, given as its parts, the signature [P]; None if it has no token.

    A shingle is ``shingle`` consecutive tokens of one part; a shorter part is one shingle.
    """
    flat: list[int] = []
    part_of: list[int] = []
    text_of: list[int] = []
    num_parts = 0
    for number, parts in enumerate(texts):
        for part in parts:
            found = [_token_hash(token) for token in tokens(part)]
            if found:
                found += [0] * (shingle - len(found))
                flat += found
                part_of += [num_parts] * len(found)
                text_of += [number] * len(found)
                num_parts += 1
    result: list[npt.NDArray[np.uint8] | None] = [None] * len(texts)
    if not flat:
        return result
    windows, owners = _windows(
        np.array(flat, np.uint64), np.array(part_of), np.array(text_of), shingle
    )
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    mins = _minima(windows, starts, num_perm)
    low_bytes = (_mixed(mins) & np.uint64(0xFF)).astype(np.uint8)
    for column, number in enumerate(owners[starts].tolist()):
        result[number] = low_bytes[:, column]
    return result


def least_matches(threshold: float, num_perm: int) -> int:
    """Equal bytes of two signatures that an estimated Jaccard similarity of ``threshold`` takes."""
    return int(np.ceil(num_perm * (COLLISION + (1 - COLLISION) * threshold) - 1e-9))


def similarity(matches: int, num_perm: int) -> float:
    """The estimate from equal bytes: its standard error is about sqrt(J (1 - J) / P)."""
    return max(0.0, (matches / num_perm - COLLISION) / (1 - COLLISION))


@functools.lru_cache(maxsize=1 << 16)
def _token_hash(token: str) -> int:
    digest = hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


@functools.cache
def _permutations(num_perm: int) -> tuple[Words, Words]:
    """Odd factors [P, 1] and summands [P, 1] of x -> a x + b modulo 2 ** 64."""
    rows = [
        hashlib.blake2b(b"voxmill minhash %d" % number, digest_size=16).digest()
        for number in range(num_perm)
    ]
    pairs = np.frombuffer(b"".join(rows), "<u8").reshape(num_perm, 2).astype(np.uint64)
    return pairs[:, :1] | np.uint64(1), pairs[:, 1:]


def _windows(
    flat: Words, part_of: npt.NDArray[np.int64], text_of: npt.NDArray[np.int64], shingle: int
) -> tuple[Words, npt.NDArray[np.int64]]:
    """Hashes of the shingles [W], and the text of each [W]."""
    count = len(flat) - shingle + 1
    rolled = _mixed(flat[:count])
    for offset in range(1, shingle):
        rolled = _mixed(rolled * GOLDEN + flat[offset : offset + count])
    whole = part_of[:count] == part_of[shingle - 1 :]
    return rolled[whole], text_of[:count][whole]


def _minima(windows: Words, starts: npt.NDArray[np.int64], num_perm: int) -> Words:
    """The least value of each permutation over each text's windows [P, N]."""
    factors, summands = _permutations(num_perm)
    step = max(1, BLOCK // len(windows))
    return np.concatenate(
        [
            np.minimum.reduceat(
                windows[None, :] * factors[row : row + step] + summands[row : row + step],
                starts,
                axis=1,
            )
            for row in range(0, num_perm, step)
        ]
    )


def _mixed(values: Words) -> Words:
    """The finalizer of splitmix64 (Steele, Lea and Flood 2014): every bit depends on every bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
