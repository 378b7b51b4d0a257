"""The rates of the feature front ends, one process.

python -m benchmarks.front_ends
"""

import json
import time
from collections.abc import Callable

import numpy as np

from trainers.features.codec import CodecWindow
from trainers.features.mel import log_mel

SECONDS = 10
RUNS = 30
RATE_HZ = 16000


def front_end_rates() -> dict[str, float]:
    """Mel frames per second (80, 128 bins; of the clip, not of its padding), codec windows/s."""
    random = np.random.default_rng(0)
    clip = (0.1 * random.standard_normal(SECONDS * RATE_HZ)).astype(np.float32)
    window = CodecWindow()
    frames = 100 * SECONDS

    def cut() -> object:
        return window.train(clip, RATE_HZ, seed=0, epoch=0, key="clip")

    return {
        "mel80_frames_per_s": round(frames / _seconds(lambda: log_mel(clip, 80))),
        "mel128_frames_per_s": round(frames / _seconds(lambda: log_mel(clip, 128))),
        "codec_windows_per_s": round(1 / _seconds(cut)),
    }


def _seconds(call: Callable[[], object]) -> float:
    """The median duration of a call."""
    call()
    durations = []
    for _ in range(RUNS):
        began = time.perf_counter()
        call()
        durations.append(time.perf_counter() - began)
    return sorted(durations)[RUNS // 2]


if __name__ == "__main__":
    print(json.dumps({"benchmark": "front_ends", **front_end_rates()}))
