"""An exported codec by path: a program that takes a waveform and gives codes [nq, T].

The program is an ONNX file, a TorchScript file (.pt, .ts) or a torch.export file (.pt2), and beside
it lies a small YAML file that says what it does:

    program: codec.onnx        # beside the contract
    sample_rate_hz: 24000
    hop_samples: 320           # samples of one frame
    grid: ceil                 # or window, with window_samples: schemas/unitset.py
    num_codebooks: 8
    codebook_size: 1024
    input_rank: 3              # [1, 1, N]; 2: [1, N]; 1: [N]

The waveform is its first input and the codes are its first output, with or without a leading 1.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from schemas.canonical import digest
from schemas.errors import BackendError
from transforms.backends.described import NotDescribed, read_described
from transforms.backends.units.onnx_program import onnx_session, run_onnx
from transforms.backends.units.protocol import Codes, Described, Encode, Wave
from transforms.backends.units.torch_scope import quiet_torch, quietly, require
from transforms.backends.units.weights import Hasher, file_sha256
from transforms.environment import versions

Program: TypeAlias = Callable[[Wave], npt.NDArray[Any]]
WHO: Final = "units.model"
KINDS: Final = {".onnx": "onnx", ".pt": "torchscript", ".ts": "torchscript", ".pt2": "export"}
TRIED_HOPS: Final = 25
Count = Annotated[int, Field(ge=1)]


class Contract(BaseModel):
    """The YAML file beside a program."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    program: str
    name: str = ""  # of the model; empty: the program's
    sample_rate_hz: Count
    hop_samples: Count
    window_samples: Annotated[int, Field(ge=0)] = 0
    grid: Literal["ceil", "window"] = "ceil"
    num_codebooks: Count
    codebook_size: Count
    input_rank: Annotated[int, Field(ge=1, le=3)] = 3


@dataclass(frozen=True, kw_only=True)
class CodecProgram:
    """A program by its checksum and its contract; ``path`` stands in no fingerprint."""

    path: str
    program_sha256: str
    kind: str
    described_by: Described
    input_rank: int

    gpus: ClassVar[float] = 0.0
    bit_stable: ClassVar[bool] = True

    @property
    def described(self) -> Described:
        """What the contract says."""
        return self.described_by

    def identity(self) -> Mapping[str, object]:
        """The program's checksum, what it is told, and the library that runs it."""
        library = "onnxruntime" if self.kind == "onnx" else "torch"
        return {
            "program_sha256": self.program_sha256,
            "input_rank": self.input_rank,
            **versions(library, "numpy", "cpu"),
        }

    @contextmanager
    def open(self) -> Iterator[Encode]:
        """Load the program and try it. Raises BackendError where it is not what was described."""
        found = file_sha256(Path(self.path))
        if found != self.program_sha256:
            raise BackendError(
                f"{WHO}: {self.path} has the sha256 {found[:16]}, wanted "
                f"{self.program_sha256[:16]}; give the program that the job was made with"
            )
        with self._program() as run:

            def encode(waves: Sequence[Wave]) -> list[Codes]:
                return [self._codes(run, wave) for wave in waves]

            told = self.described_by
            wave = np.zeros(told.window_samples + TRIED_HOPS * told.hop_samples, np.float32)
            wanted = told.unit_set(
                name="tried",
                audio_rate_hz=told.sample_rate_hz,
                roles=(),
                collapse="none",
                codebook_size=told.codebook_size,
            ).frames(len(wave))
            tried = encode([wave])[0]
            if tried.shape[1] != wanted:
                raise BackendError(
                    f"{WHO}: {self.path} gives {tried.shape[1]} frames for {len(wave)} samples, "
                    f"its contract {wanted}; correct hop_samples, window_samples or grid"
                )
            yield encode

    @contextmanager
    def _program(self) -> Iterator[Program]:
        if self.kind == "onnx":
            session = onnx_session(Path(self.path), WHO)
            yield lambda wave: run_onnx(session, [self._shaped(wave)], self.path, WHO)
            return
        require("torch")
        with quiet_torch("cpu") as torch:
            try:
                with quietly():
                    if self.kind == "torchscript":
                        module = torch.jit.load(self.path, map_location="cpu").eval()
                    else:
                        module = torch.export.load(self.path).module()
            except (RuntimeError, ValueError, OSError, KeyError) as error:
                told = str(error).strip()[:200]
                raise BackendError(f"{WHO}: {self.path} cannot be loaded: {told}") from error

            def run(wave: Wave) -> npt.NDArray[Any]:
                with torch.inference_mode():
                    given = module(torch.from_numpy(self._shaped(wave)))
                first = given[0] if isinstance(given, tuple | list) else given
                return np.asarray(first.cpu().numpy())

            yield run

    def _shaped(self, wave: Wave) -> Wave:
        return np.ascontiguousarray(wave.reshape((1,) * (self.input_rank - 1) + (-1,)))

    def _codes(self, run: Program, wave: Wave) -> Codes:
        books = self.described_by.num_codebooks
        if not len(wave):
            return np.zeros((books, 0), np.int32)
        found = run(wave)
        while found.ndim > 2 and found.shape[0] == 1:
            found = found[0]
        if found.ndim == 1:
            found = found[None]
        if found.ndim != 2 or found.shape[0] != books or found.dtype.kind not in "iu":
            raise BackendError(
                f"{WHO}: {self.path} gives {found.dtype} {list(found.shape)}, wanted integers "
                f"[{books}, T]; correct num_codebooks, or export a program that gives codes first"
            )
        return np.ascontiguousarray(found, np.int32)


def program_from(contract: Path, *, sha256: Hasher = file_sha256) -> CodecProgram:
    """The program that a contract names. Raises BackendError, with the cure, for a bad contract."""
    try:
        told = read_described(contract, Contract)
    except NotDescribed as error:
        raise BackendError(
            f"{WHO}: {contract} is no contract of a program: {error}; docs/units.md has one"
        ) from error
    path = contract.parent / told.program
    if path.suffix not in KINDS:
        raise BackendError(f"{WHO}: {path}: wanted a file that ends in {', '.join(KINDS)}")
    program = sha256(path)
    rest = told.model_dump(exclude={"program", "input_rank", "name"})
    return CodecProgram(
        path=str(path),
        program_sha256=program,
        kind=KINDS[path.suffix],
        input_rank=told.input_rank,
        described_by=Described(
            model=told.name or path.stem,
            model_sha256=digest({"program": program, **rest}),
            **rest,
        ),
    )
