"""Tokens that a model hands over with its speech: checked against the samples made from them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.errors import SynthesisError
from transforms.backends.tts import Speech, Tokens, TokenSet

SLACK_FRAMES: Final = 2  # by which raw samples may miss their tokens: a vocoder's edges


def with_tokens(
    speech: Speech, parts: Sequence[npt.ArrayLike], known: TokenSet, who: str
) -> Speech:
    """The speech with its tokens: ``parts`` [nq, T] each, or [1, T] of one codebook, in order.

    Raises SynthesisError for codes that are not ids of the set, or that cannot be of these samples.
    """
    hop = speech.sample_rate_hz / known.frame_rate_hz
    codes = np.concatenate(
        [np.zeros((known.num_codebooks, 0), np.int64), *map(_whole_numbers, parts)], axis=1
    )
    frames = codes.shape[1]
    if not frames:
        raise _wrong(who, "no tokens", "some")
    least, most = int(codes.min()), int(codes.max())
    if least < 0 or most >= known.codebook_size:
        raise _wrong(who, f"tokens {least}..{most}", f"ids of 0..{known.codebook_size - 1}")
    if abs(len(speech.samples) - frames * hop) > SLACK_FRAMES * hop:
        raise _wrong(
            who,
            f"{frames} tokens for {len(speech.samples)} samples",
            f"{len(speech.samples) / hop:.1f} +- {SLACK_FRAMES} at {known.frame_rate_hz:g} Hz",
        )
    return replace(speech, tokens=Tokens(codes.astype(np.int32), round(hop)))


def _whole_numbers(part: npt.ArrayLike) -> npt.NDArray[np.int64]:
    return np.atleast_2d(np.asarray(part)).astype(np.int64)


def _wrong(who: str, arrived: str, wanted: str) -> SynthesisError:
    return SynthesisError(f"{who} returned {arrived}; wanted {wanted}", retryable=True)
