"""CosyVoice's supervised semantic tokens: its speech_tokenizer ONNX file, by path.

The graph reads Whisper's log-mel spectrum of 128 bands, [1, 128, M] at 100 frames per second, and
its length, as CosyVoice's front end gives them (cosyvoice/cli/frontend.py); it groups 2 frames to
a token (CosyVoice-300M: 4,096 tokens, 50 per second) or 4 (CosyVoice2 and 3: 6,561, 25 per second).
It was trained on at most 30 s, so longer audio is cut in chunks of 30 s.

    Du et al. 2024, CosyVoice, arXiv:2407.05407; Radford et al. 2022, Whisper, arXiv:2212.04356.

Legend of shape suffixes: N samples, M spectrum frames, F frequency bins, B mel bands.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from schemas.errors import BackendError
from transforms.backends.units.onnx_program import onnx_session, run_onnx
from transforms.backends.units.protocol import Codes, Described, Encode, Wave
from transforms.backends.units.weights import Hasher, file_sha256
from transforms.environment import versions

WHO: Final = "units.model"
RATE_HZ: Final = 16000
FFT: Final = 400
MEL_HOP: Final = 160
BANDS: Final = 128
CHUNK_SAMPLES: Final = 30 * RATE_HZ


@dataclass(frozen=True, kw_only=True)
class S3Tokens:
    """A speech tokenizer by its checksum; ``path`` stands in no fingerprint."""

    path: str
    graph_sha256: str
    frame_rate_hz: int
    codebook_size: int

    gpus: ClassVar[float] = 0.0
    bit_stable: ClassVar[bool] = True

    @property
    def described(self) -> Described:
        """Its tokens."""
        return Described(
            model="s3",
            model_sha256=self.graph_sha256,
            sample_rate_hz=RATE_HZ,
            window_samples=MEL_HOP,
            hop_samples=RATE_HZ // self.frame_rate_hz,
            grid="mel",
            chunk_samples=CHUNK_SAMPLES,
            codebook_size=self.codebook_size,
        )

    def identity(self) -> Mapping[str, object]:
        """The graph's checksum, and what runs it."""
        return {
            "graph_sha256": self.graph_sha256,
            "spectrum": [FFT, MEL_HOP, BANDS, CHUNK_SAMPLES],
            **versions("onnxruntime", "numpy", "cpu"),
        }

    @contextmanager
    def open(self) -> Iterator[Encode]:
        """Load the graph and try it. Raises BackendError for another graph or token rate."""
        found = file_sha256(Path(self.path))
        if found != self.graph_sha256:
            raise BackendError(
                f"{WHO}: {self.path} has the sha256 {found[:16]}, wanted {self.graph_sha256[:16]}; "
                "give the tokenizer that the job was made with"
            )
        session = onnx_session(Path(self.path), WHO)

        def tokens(wave: Wave) -> npt.NDArray[np.int32]:
            mel_BM = log_mel(wave)
            values = [mel_BM[None], np.array([mel_BM.shape[1]], np.int32)]
            return run_onnx(session, values, self.path, WHO).reshape(-1).astype(np.int32)

        def encode(waves: Sequence[Wave]) -> list[Codes]:
            return [
                np.concatenate([np.zeros(0, np.int32), *map(tokens, _chunks(wave))])[None]
                for wave in waves
            ]

        got = encode([np.zeros(2 * RATE_HZ, np.float32)])[0].shape[1]
        if got != 2 * self.frame_rate_hz:
            raise BackendError(
                f"{WHO}: {self.path} gives {got} tokens for 2 s, wanted {2 * self.frame_rate_hz}; "
                "set units.frame_rate_hz (50 for CosyVoice-300M, 25 for CosyVoice2 and 3)"
            )
        yield encode


def s3_from(
    path: Path, frame_rate_hz: int, codebook_size: int, *, sha256: Hasher = file_sha256
) -> S3Tokens:
    """The tokenizer in a file. Raises BackendError where it cannot be read."""
    return S3Tokens(
        path=str(path),
        graph_sha256=sha256(path),
        frame_rate_hz=frame_rate_hz,
        codebook_size=codebook_size,
    )


def log_mel(wave_N: Wave) -> npt.NDArray[np.float32]:
    """Whisper's log-mel spectrum [128, N // 160] of at most 30 s."""
    padded = np.pad(wave_N.astype(np.float64), FFT // 2, mode="reflect")
    frames_MW = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::MEL_HOP]
    frames_MW = frames_MW[: len(wave_N) // MEL_HOP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)
    power_MF = np.abs(np.fft.rfft(frames_MW * hann, axis=1)) ** 2
    mel_BM = np.einsum("bf,mf->bm", _mel_bank(), power_MF)
    log_BM = np.log10(np.maximum(mel_BM, 1e-10))
    log_BM = np.maximum(log_BM, log_BM.max(initial=-10.0) - 8.0)
    return np.asarray((log_BM + 4.0) / 4.0, np.float32)


def _chunks(wave: Wave) -> list[Wave]:
    """Pieces of 30 s; what is too short for a spectrum frame, or for its reflection, has none."""
    pieces = [wave[start : start + CHUNK_SAMPLES] for start in range(0, len(wave), CHUNK_SAMPLES)]
    short = FFT // 2 + 1
    padded = [
        np.pad(piece, (0, max(0, short - len(piece)))) if len(piece) >= MEL_HOP else piece
        for piece in pieces
    ]
    return [piece for piece in padded if len(piece) >= MEL_HOP]


@cache
def _mel_bank() -> npt.NDArray[np.float64]:
    """Slaney's mel bands, each of area 1, over 0 to 8 kHz: [B, F].

    Linear below 1 kHz, logarithmic above (Auditory Toolbox; librosa.filters.mel's default).
    """
    step, knee, ratio = 200.0 / 3, 1000.0, np.log(6.4) / 27.0

    def mel(hertz: float) -> float:
        linear = hertz / step
        return linear if hertz < knee else knee / step + float(np.log(hertz / knee)) / ratio

    mels = np.linspace(mel(0.0), mel(RATE_HZ / 2), BANDS + 2)
    edges = np.where(mels < knee / step, mels * step, knee * np.exp(ratio * (mels - knee / step)))
    bins = np.arange(FFT // 2 + 1) * RATE_HZ / FFT
    left, center, right = (edges[k : k + BANDS, None] for k in range(3))
    slopes = np.minimum((bins - left) / (center - left), (right - bins) / (right - center))
    bank: npt.NDArray[np.float64] = np.maximum(0.0, slopes) * (2.0 / (right - left))
    return bank
