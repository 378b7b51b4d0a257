"""A predictor of mean opinion scores by path: a program that takes a waveform and gives a score.

The program is an ONNX file or a TorchScript archive. Beside it lies a small YAML file that says how
it is fed (UTMOS and the like take whole clips, DNSMOS takes windows of 9.01 s):

    program: utmos.pt          # beside this file
    sample_rate_hz: 16000
    input_rank: 2              # 1: [N]; 2: [1, N]; 3: [1, 1, N]
    takes_rate: false          # whether the rate is its second input
    output_index: 0            # of the numbers in its first output
    window_samples: 0          # above 0: windows of so many, their scores averaged
    hop_samples: 0             # from window to window
    fit: []                    # a polynomial of the raw score, highest power first

A clip is fed alone and unpadded (padding moved scores of others' code by 0.35). Windows are those
of DNSMOS's own code (dnsmos_local.py of microsoft/DNS-Challenge): a clip that is shorter than one
is doubled until it is not, and what is over a clip's whole hops is in none.

A TorchScript archive is a program: loading it runs what its author wrote, with torch's operators
and without Python. Take it from whom you would take a library; its checksum is in the fingerprint.
"""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import BackendError
from transforms.audio import resample, to_float
from transforms.backends.described import NotDescribed, read_described
from transforms.backends.tts import Samples
from transforms.backends.tts_files import file_sha256, installed
from transforms.backends.tts_torch import exact_torch

logger = logging.getLogger(__name__)
Wave = npt.NDArray[np.float32]
Program = Callable[[Wave], npt.NDArray[Any]]
KINDS: Final = {".onnx": "onnxruntime", ".pt": "torch", ".ts": "torch", ".jit": "torch"}
Count = Annotated[int, Field(ge=0)]


class Feeding(BaseModel):
    """The YAML file beside a program."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    program: str
    sample_rate_hz: Annotated[int, Field(ge=8000, le=48000)] = 16000
    input_rank: Annotated[int, Field(ge=1, le=3)] = 2
    takes_rate: bool = False
    output_index: Count = 0
    window_samples: Count = 0
    hop_samples: Count = 0
    fit: tuple[float, ...] = ()


class Listener(Protocol):
    """An opened predictor."""

    def score(self, samples: Samples, rate_hz: int) -> float | None:
        """The score of int16 samples [N]; None where the program gives none for this clip."""


@dataclass(frozen=True, kw_only=True)
class MosProgram:
    """A predictor by the checksum of its program and how it is fed; ``path`` is in no fingerprint.

    ``setting`` is its place in the job, for messages.
    """

    path: str
    sha256: str
    feeding: Feeding
    threads: int = 1
    setting: str = "checks.mos"

    @property
    def library(self) -> str:
        """What runs it."""
        return KINDS.get(Path(self.feeding.program).suffix, "")

    def identity(self) -> Mapping[str, object]:
        """The program's checksum, how it is fed, and what runs it."""
        return {
            "sha256": self.sha256 or "absent",
            "feeding": self.feeding.model_dump(mode="json", exclude={"program"}),
            "threads": self.threads,
            **({"windows": 2} if self.feeding.window_samples else {}),  # 1: not DNSMOS's own
            **installed(self.library, "numpy", "soxr", "cpu"),
        }

    def check(self) -> None:
        """Raise BackendError, with the cure, for what is not there or not what was named."""
        if find_spec(self.library) is None:
            extra = "speech" if self.library == "torch" else "similarity"
            raise BackendError(
                f"{self.setting}: {self.library} is not installed; "
                f"pip install -c constraints.txt -e '.[{extra}]'"
            )
        if not self.path or not Path(self.path).is_file():
            raise BackendError(
                f"{self.setting}: no file {self.path or '(none named)'}; give the YAML file of a "
                "predictor, with its program beside it: docs/listeners.md has one"
            )
        found = file_sha256(Path(self.path))
        if found != self.sha256:
            raise BackendError(
                f"{self.setting}: {self.path} has the sha256 {found[:16]}, wanted "
                f"{self.sha256[:16]}; give the program that the job was made with"
            )

    @contextmanager
    def open(self) -> Iterator[Listener]:
        """Load the program and try it on a second of noise. Raises BackendError."""
        self.check()
        listener = _Listener(self, self._loaded())
        listener.measure(np.random.default_rng(0).standard_normal(self.feeding.sample_rate_hz) / 9)
        yield listener

    def _loaded(self) -> Program:
        return _onnx(self) if self.library == "onnxruntime" else _torchscript(self)


class _Listener:
    def __init__(self, settings: MosProgram, run: Program) -> None:
        self._settings, self._run = settings, run

    def score(self, samples: Samples, rate_hz: int) -> float | None:
        feeding = self._settings.feeding
        if not len(samples):
            return None
        wave = resample(to_float(samples), rate_hz, feeding.sample_rate_hz)
        try:
            score = self.measure(wave)
        except BackendError as error:  # it runs on a second of noise, so it is this clip
            logger.debug("%s", error)
            return None
        return score if np.isfinite(score) else None

    def measure(self, wave: npt.NDArray[np.floating[Any]]) -> float:
        """The mean over the clip's windows. Raises BackendError where the program does not run."""
        parts = _parts(wave.astype(np.float32), self._settings.feeding)
        return float(np.mean([self._one(part) for part in parts]))

    def _one(self, wave: Wave) -> float:
        feeding, settings = self._settings.feeding, self._settings
        shaped = np.ascontiguousarray(wave.reshape((1,) * (feeding.input_rank - 1) + (-1,)))
        try:
            found = np.asarray(self._run(shaped), np.float64).reshape(-1)
        except Exception as error:
            told = " ".join(str(error).split())[:200]
            raise BackendError(
                f"{settings.setting}: {settings.path} does not run on {list(shaped.shape)} samples "
                f"at {feeding.sample_rate_hz} Hz: {told}; correct input_rank, window_samples or "
                "takes_rate in its YAML file"
            ) from error
        if feeding.output_index >= len(found):
            raise BackendError(
                f"{settings.setting}: {settings.path} gives {len(found)} numbers, wanted the one "
                f"at output_index {feeding.output_index}; correct it in the YAML file"
            )
        raw = float(found[feeding.output_index])
        return float(np.polyval(feeding.fit, raw)) if feeding.fit else raw


def _parts(wave: Wave, feeding: Feeding) -> list[Wave]:
    """What is fed: the clip, or its windows, the last of which ends within its whole hops."""
    size = feeding.window_samples
    if not size:
        return [wave]
    while 0 < len(wave) < size:
        wave = np.concatenate([wave, wave])
    hop = feeding.hop_samples or size
    last = max(len(wave) // hop * hop - size, 0)
    return [wave[start : start + size] for start in range(0, last + 1, hop)]


def _onnx(settings: MosProgram) -> Program:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    try:
        session: Any = onnxruntime.InferenceSession(
            settings.path, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise _unloadable(settings, error) from error
    names = [item.name for item in session.get_inputs()]
    wanted = 1 + settings.feeding.takes_rate
    if len(names) != wanted:
        raise BackendError(
            f"{settings.setting}: {settings.path} has the inputs {names}, wanted {wanted}: a "
            "waveform, and its rate where takes_rate is true; correct takes_rate, or export a "
            "program that takes samples (not features)"
        )
    rate = np.asarray(settings.feeding.sample_rate_hz, np.int64)

    def run(wave: Wave) -> npt.NDArray[Any]:
        fed = dict(zip(names, (wave, rate), strict=False))
        return np.asarray(session.run(None, fed)[0])

    return run


def _torchscript(settings: MosProgram) -> Program:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript as such
            module: Any = torch.jit.load(settings.path, map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError, KeyError) as error:
        raise _unloadable(settings, error) from error
    more = (settings.feeding.sample_rate_hz,) if settings.feeding.takes_rate else ()

    def run(wave: Wave) -> npt.NDArray[Any]:
        with exact_torch(settings.threads):
            found = module(torch.from_numpy(wave), *more)
        first = found[0] if isinstance(found, tuple | list) else found
        return np.asarray(first.float().cpu().numpy())

    return run


def _unloadable(settings: MosProgram, error: Exception) -> BackendError:
    return BackendError(
        f"{settings.setting}: {settings.path} cannot be loaded: "
        f"{' '.join(str(error).split())[:200]}; wanted an ONNX file or a TorchScript archive "
        "(torch.jit.save), not a checkpoint of weights"
    )


def mos_program(description: Path, *, setting: str, sha256: str = "") -> MosProgram:
    """The predictor that a YAML file describes. Raises BackendError for a bad description."""
    try:
        told = read_described(description, Feeding)
    except NotDescribed as error:
        raise BackendError(
            f"{setting}: {description} does not describe a predictor: {error}; "
            "docs/listeners.md has an example"
        ) from error
    path = description.parent / told.program
    if path.suffix not in KINDS:
        raise BackendError(f"{setting}: {path}: wanted a file that ends in {', '.join(KINDS)}")
    found = file_sha256(path) if path.is_file() else ""
    if sha256 and found and not found.startswith(sha256):
        raise BackendError(
            f"{setting}: {path} has the sha256 {found[:16]}, wanted {sha256[:16]}: it is damaged "
            "or another release; download it again, or correct the checksum"
        )
    return MosProgram(path=str(path), sha256=found or sha256, feeding=told, setting=setting)
