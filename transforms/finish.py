"""What may be done to a spoken clip before it ships: quiet ends to a length, loudness to a target.

Both are off unless a job asks for them. Audio of the source is left alone.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from transforms.audio import FULL_SCALE, resample, to_float, to_int16
from transforms.backends.listening import SAMPLE_RATE_HZ, OpenVoiceDetector, VoiceDetector
from transforms.backends.tts import Samples
from transforms.environment import versions
from transforms.hearing import SPEECH_PROBABILITY, WINDOW_S

Finisher: TypeAlias = Callable[[Samples, int], Samples]

PEAK: Final = 10 ** (-1.0 / 20)  # a gain never lifts a sample above -1 dBFS
BLOCK_S: Final = 0.4  # of the loudness meter (ITU-R BS.1770-4); shorter clips are repeated
KEEP_S: Final = 0.064  # around what the detector calls speech: soft consonants
FADE_S: Final = 0.005


@dataclass(frozen=True, kw_only=True)
class Finish:
    """``pad_s``: so much quiet before and after speech, None: as it came. ``loudness_lufs``: the
    integrated loudness, None: as it came."""

    pad_s: float | None = None
    loudness_lufs: float | None = None
    detector: VoiceDetector | None = None  # needed with pad_s

    def identity(self) -> Mapping[str, object]:
        """What its samples depend on."""
        return {
            "pad_s": self.pad_s,
            "loudness_lufs": self.loudness_lufs,
            "detector": None if self.detector is None else self.detector.identity(),
            **versions("pyloudnorm", "scipy", "numpy"),
        }

    @contextmanager
    def open(self) -> Iterator[Finisher]:
        """Load the detector."""
        with nullcontext() if self.detector is None else self.detector.open() as detector:

            def finish(samples: Samples, rate: int) -> Samples:
                if self.pad_s is not None and detector is not None:
                    samples = padded(samples, rate, self.pad_s, detector)
                if self.loudness_lufs is not None:
                    samples = at_loudness(samples, rate, self.loudness_lufs)
                return samples

            yield finish


def padded(samples: Samples, rate: int, pad_s: float, detector: OpenVoiceDetector) -> Samples:
    """Speech with exactly ``pad_s`` of silence on both sides; unchanged if none is found."""
    heard = to_int16(resample(to_float(samples), rate, SAMPLE_RATE_HZ))
    speech = np.flatnonzero(detector.probabilities(heard) >= SPEECH_PROBABILITY)
    if not len(speech):
        return samples
    first = max(0, round((speech[0] * WINDOW_S - KEEP_S) * rate))
    last = min(len(samples), round(((speech[-1] + 1) * WINDOW_S + KEEP_S) * rate))
    cut = samples[first:last].astype(np.float64)
    size = min(round(FADE_S * rate), len(cut) // 2)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(size) + 0.5) / max(size, 1))
    cut[:size] *= ramp
    cut[len(cut) - size :] *= ramp[::-1]
    quiet = np.zeros(round(pad_s * rate), np.int16)
    return np.concatenate([quiet, np.rint(cut).astype(np.int16), quiet])


def at_loudness(samples: Samples, rate: int, target_lufs: float) -> Samples:
    """The samples with one gain, so that their integrated loudness is the target.

    The gain is smaller where a peak would pass -1 dBFS: nothing is clipped or compressed.
    """
    heard = samples.astype(np.float64) / FULL_SCALE
    peak = float(np.abs(heard).max(initial=0.0))
    loudness = integrated_lufs(heard, rate)
    if not np.isfinite(loudness) or peak == 0.0:
        return samples
    gain = min(10 ** ((target_lufs - loudness) / 20), max(PEAK / peak, 0.0))
    return to_int16((heard * gain).astype(np.float32))


def integrated_lufs(heard: npt.NDArray[np.float64], rate: int) -> float:
    """ITU-R BS.1770-4 by pyloudnorm; a clip shorter than its block is measured repeated."""
    import pyloudnorm

    least = round(BLOCK_S * rate) + 1
    if len(heard) < least:
        heard = np.tile(heard, -(-least // len(heard)))
    return float(pyloudnorm.Meter(rate).integrated_loudness(heard))
