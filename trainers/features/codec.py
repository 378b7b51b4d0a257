"""Training windows for neural codecs: 24 kHz, 3 s, a random place and a random gain.

As Vocos and WavTokenizer cut them. Where a window lies and how loud it is follow from (seed, epoch,
key) of the sample and not from the worker that cuts it, so a resumed run hears the same windows.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.errors import SettingsError
from trainers.features.audio import resample

Float = npt.NDArray[np.float32]
EVAL_GAIN_DB = -3.0


@dataclass(frozen=True, kw_only=True)
class CodecWindow:
    """Length and rate of a window, and the range of its peak in dB of full scale."""

    sample_rate_hz: int = 24000
    window_s: float = 3.0
    loudest_db: float = -1.0
    quietest_db: float = -6.0

    def __post_init__(self) -> None:
        """Raise SettingsError for a window that cannot be cut, or peaks that would clip."""
        if self.sample_rate_hz < 1 or self.num_samples < 1:
            raise SettingsError(
                f"codec windows of {self.window_s} s at {self.sample_rate_hz} Hz: wanted at least "
                "one sample"
            )
        if not self.quietest_db <= self.loudest_db <= 0:
            raise SettingsError(
                f"codec gains from {self.quietest_db} to {self.loudest_db} dB: wanted the quietest "
                "first and none above 0 dB, which would clip"
            )

    @property
    def num_samples(self) -> int:
        """Samples in a window."""
        return round(self.window_s * self.sample_rate_hz)

    def train(self, samples: Float, rate_hz: int, *, seed: int, epoch: int, key: str) -> Float:
        """One window [num_samples] of mono samples [N], at a random place with a random peak.

        A clip shorter than the window is repeated until it fills it. Silence stays silence.
        """
        random = generator(seed, epoch, key)
        gain_db = random.uniform(self.quietest_db, self.loudest_db)
        clip = self._long_enough(samples, rate_hz)
        start = int(random.integers(len(clip) - self.num_samples + 1))
        return _peak_at(clip[start : start + self.num_samples], gain_db)

    def evaluate(self, samples: Float, rate_hz: int) -> Float:
        """The first window of a clip, with its peak at -3 dB: nothing random."""
        return _peak_at(self._long_enough(samples, rate_hz)[: self.num_samples], EVAL_GAIN_DB)

    def _long_enough(self, samples: Float, rate_hz: int) -> Float:
        clip = resample(samples, rate_hz, self.sample_rate_hz)
        if not len(clip):
            raise SettingsError(
                "a codec window of an empty clip: nothing to repeat; filter empty turns out"
            )
        copies = -(-self.num_samples // len(clip))
        return np.tile(clip, copies) if copies > 1 else clip


def generator(seed: int, epoch: int, key: str) -> np.random.Generator:
    """The randomness of one sample in one epoch: Philox keyed by a hash of the three."""
    word = hashlib.sha256(f"{seed}/{epoch}/{key}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(word[:16], "<u8")))


def _peak_at(window: Float, gain_db: float) -> Float:
    peak = float(np.abs(window).max())
    scale = 10 ** (gain_db / 20) / peak if peak > 0 else 1.0
    return (window * np.float32(scale)).astype(np.float32)
