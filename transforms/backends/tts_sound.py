"""What a model returns becomes speech, or an error that says what it was instead."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.errors import SynthesisError
from transforms.audio import to_int16
from transforms.backends.tts import Speech, VoiceSpec

MIN_PEAK: Final = 64  # of int16, about -54 dBFS: what never rises above it is silence
WIDE_FROM: Final = 0x2E80  # Han, kana and Hangul: a letter there is a syllable
WIDE_LETTERS: Final = 3.0  # Latin letters that take as long


@dataclass(frozen=True, kw_only=True)
class SoundLimits:
    """Hard limits of what can be speech: beyond them a model babbles, repeats or leaks its prompt.

    English takes about 0.07 s a letter, so the defaults leave a factor of five on both sides.
    A Chinese character counts as three letters. ``max_clipped`` is a share of the samples.
    """

    max_s: float = 120.0
    spare_s: float = 1.5
    max_s_per_letter: float = 0.35
    min_s_per_letter: float = 0.013
    max_clipped: float = 0.05


DEFAULT_LIMITS: Final = SoundLimits()


def as_speech(
    raw: object,
    sample_rate_hz: int,
    who: str,
    text: str,
    voice: VoiceSpec,
    limits: SoundLimits = DEFAULT_LIMITS,
) -> Speech:
    """``raw`` as mono int16: float samples of full scale 1 or int16, shape [N] or [1, N].

    Raises SynthesisError for what is stereo, empty, not finite, silent, clipped, or of a length
    that ``text`` cannot have.
    """
    samples = np.asarray(raw)
    if samples.ndim == 2 and samples.shape[0] == 1:
        samples = samples[0]
    if samples.ndim != 1:
        raise _wrong(who, f"samples of shape {samples.shape}", "mono, [N]")
    if not len(samples):
        raise _wrong(who, "no samples", "speech")
    if sample_rate_hz < 8000:
        raise _wrong(who, f"a rate of {sample_rate_hz} Hz", "8,000 Hz at least")
    if np.issubdtype(samples.dtype, np.floating):
        if not np.isfinite(samples).all():
            raise _wrong(who, "samples that are not finite numbers", "-1 to 1")
        clipped = float((np.abs(samples) >= 1.0).mean())
        samples = to_int16(samples.astype(np.float32))
    elif samples.dtype == np.int16:
        clipped = float((np.abs(samples.astype(np.int32)) >= 32767).mean())
    else:
        raise _wrong(who, f"{samples.dtype} samples", "float or int16")
    if clipped > limits.max_clipped:
        raise _wrong(
            who, f"{clipped:.0%} of the samples at full scale", f"{limits.max_clipped:.0%} at most"
        )
    peak = int(np.abs(samples.astype(np.int32)).max())
    if peak < MIN_PEAK:
        raise _wrong(who, f"silence, {len(samples)} samples, peak {peak} of 32768", "speech")
    check_length(len(samples) / sample_rate_hz, who, text, voice, limits)
    return Speech(samples, sample_rate_hz)


def check_length(
    seconds: float, who: str, text: str, voice: VoiceSpec, limits: SoundLimits
) -> None:
    """Raise SynthesisError for a duration that this text cannot have at this rate."""
    size = letters(text)
    most = longest_s(text, voice, limits)
    least = limits.min_s_per_letter * size / voice.rate
    if not least <= seconds <= most:
        kind = "babble, a repeat or a leaked prompt" if seconds > most else "cut short"
        raise _wrong(
            who,
            f"{seconds:.1f} s for {size:.0f} letters ({kind})",
            f"{least:.1f} to {most:.1f} s; see the backend's `limits`",
        )


def longest_s(text: str, voice: VoiceSpec, limits: SoundLimits) -> float:
    """What this text can take at this rate, in seconds."""
    spoken_s = limits.max_s_per_letter * letters(text) / voice.rate
    return min(limits.max_s, limits.spare_s + spoken_s)


def letters(text: str) -> float:
    """The length of a text in Latin letters."""
    return sum(
        (WIDE_LETTERS if ord(letter) >= WIDE_FROM else 1.0) for letter in text if letter.isalnum()
    )


def _wrong(who: str, arrived: str, wanted: str) -> SynthesisError:
    return SynthesisError(f"{who} returned {arrived}; wanted {wanted}", retryable=True)
