"""What a clip costs in a model's tokens, from its length alone: no audio is decoded for it."""

import math

from schemas.errors import SettingsError

MEL_FRAMES_PER_SECOND = 100  # Whisper's hop: 160 samples at 16 kHz
VITA_TOKENS_PER_SECOND = 12.5
VITA_TEXT_LIMIT = 6000  # tokens in a pack of text
INTERNVL_LIMIT = 16384  # tokens in a pack


def vita_audio_tokens(duration_s: float) -> int:
    """VITA's rule: ceil(12.5 s), where s is the duration in whole seconds, rounded up to even.

    2.1 s is 3 whole seconds, 4 when even, and costs 50; 2.0 s costs 25, and nothing costs less
    than 25 but an empty clip. Raises SettingsError for a duration that is none.
    """
    whole_s = _whole_seconds(duration_s)
    return math.ceil(VITA_TOKENS_PER_SECOND * (whole_s + whole_s % 2))


def qwen2_audio_tokens(num_mel_frames: int) -> int:
    """Qwen2-Audio's tokens for m mel frames: a convolution of stride 2, then a pool of 2.

    a = (m - 1) // 2 + 1, n = (a - 2) // 2 + 1: 25 tokens a second, 750 for 30 s.
    """
    if num_mel_frames < 0:
        raise SettingsError(f"{num_mel_frames} mel frames: a count cannot be negative")
    convolved = (num_mel_frames - 1) // 2 + 1
    return max(0, (convolved - 2) // 2 + 1)


def mel_frames(num_samples: int, hop_samples: int = 160) -> int:
    """Frames of Whisper's log-mel for a clip: the last, half-empty one of the STFT is dropped."""
    return num_samples // hop_samples


def _whole_seconds(duration_s: float) -> int:
    if not 0 <= duration_s < math.inf:
        raise SettingsError(
            f"a duration of {duration_s} s: wanted a finite number from 0; check the index's "
            "duration_s"
        )
    return math.ceil(duration_s)
