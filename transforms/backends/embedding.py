"""A sentence embedding model in a local folder: an ONNX graph and its tokenizer, on one thread.

The folder is as `all-MiniLM-L6-v2` has it: ``model.onnx`` (or ``onnx/model.onnx``) and
``tokenizer.json``. A text is embedded alone, so no other text pads it, by the mean of its tokens'
vectors over the attention mask (Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084).
"""

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from schemas.canonical import sha256_hex
from schemas.errors import BackendError
from transforms.environment import versions

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vector = npt.NDArray[np.float32]
GRAPHS: Final = ("model.onnx", "onnx/model.onnx")
TOKENIZER: Final = "tokenizer.json"
LIBRARIES: Final = ("onnxruntime", "tokenizers")
MAX_TOKENS: Final = 256  # of a text, where tokenizer.json sets no bound
INPUTS: Final = ("input_ids", "attention_mask", "token_type_ids")
INSTALL: Final = "pip install -c constraints.txt -e '.[similarity]'"


@dataclass(frozen=True, kw_only=True)
class SentenceModel:
    """A model by its checksums; ``folder`` is only where it lies, and stands in no fingerprint."""

    folder: str
    graph_sha256: str
    tokenizer_sha256: str

    def identity(self) -> Mapping[str, object]:
        """Checksums, libraries and the processor's features: what a cosine depends on."""
        return {
            "graph_sha256": self.graph_sha256,
            "tokenizer_sha256": self.tokenizer_sha256,
            "max_tokens": MAX_TOKENS,
            **versions(*LIBRARIES, "numpy", "cpu"),
        }

    @contextmanager
    def open(self) -> Iterator["Embedder"]:
        """Load the model. Raises BackendError for what is missing, changed or of another shape."""
        graph, tokenizer = read_files(self.folder)
        for name, data, wanted in (
            ("the graph", graph, self.graph_sha256),
            (TOKENIZER, tokenizer, self.tokenizer_sha256),
        ):
            if sha256_hex(data) != wanted:
                raise BackendError(
                    f"sentence model {self.folder}: {name} has the sha256 {sha256_hex(data)[:16]}, "
                    f"wanted {wanted[:16]}; give the folder of the model that the job was made with"
                )
        yield Embedder(self.folder, graph, tokenizer)


def require_libraries() -> None:
    """Raise BackendError unless the model's libraries are installed."""
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise BackendError(f"similarity needs {' and '.join(missing)}; {INSTALL}")


def read_files(folder: str) -> tuple[bytes, bytes]:
    """The graph and the tokenizer of a folder. Raises BackendError where one is not there."""
    root = Path(folder)
    graph = next((root / name for name in GRAPHS if (root / name).is_file()), root / GRAPHS[0])
    try:
        return graph.read_bytes(), (root / TOKENIZER).read_bytes()
    except OSError as error:
        raise BackendError(
            f"sentence model {folder}: {error.filename} cannot be read ({error.strerror}); wanted "
            f"a folder with {' or '.join(GRAPHS)}, and {TOKENIZER}"
        ) from error


class Embedder:
    """An open model: texts to vectors of length 1, equal texts to equal vectors."""

    def __init__(self, folder: str, graph: bytes, tokenizer: bytes) -> None:
        self._folder = folder
        self._session, self._tokenizer = _session(folder, graph), _tokenizer(folder, tokenizer)
        self._inputs = [item.name for item in self._session.get_inputs()]
        if "input_ids" not in self._inputs or not set(self._inputs) <= set(INPUTS):
            raise self._strange(f"the inputs {self._inputs}", f"input_ids, and of {INPUTS[1:]}")

    def embed(self, text: str) -> Vector:
        """A vector of length 1, or of zeros where the model gives nothing."""
        encoded = self._tokenizer.encode(text)
        values = {
            "input_ids": encoded.ids,
            "attention_mask": encoded.attention_mask,
            "token_type_ids": encoded.type_ids,
        }
        fed = {name: np.asarray([values[name]], np.int64) for name in self._inputs}
        try:
            found = np.asarray(self._session.run(None, fed)[0])
        except Exception as error:
            told = str(error).strip()[:200]
            raise BackendError(f"sentence model {self._folder}: it does not run: {told}") from error
        if found.ndim != 3 or found.shape[:2] != (1, len(encoded.ids)):
            wanted = f"the tokens' vectors, (1, {len(encoded.ids)}, size)"
            raise self._strange(f"a first output of the shape {found.shape}", wanted)
        mask = np.asarray(encoded.attention_mask, np.float32)[:, None]
        mean = (found[0].astype(np.float32) * mask).sum(axis=0) / max(float(mask.sum()), 1.0)
        length = float(np.linalg.norm(mean))
        if not np.isfinite(length):
            raise self._strange("a vector that is not finite", "finite numbers")
        return np.asarray(mean / length if length else mean, np.float32)

    def cosine(self, one: str, other: str) -> float:
        """How alike two texts are, -1 to 1."""
        return float(np.dot(self.embed(one), self.embed(other)))

    def _strange(self, got: str, wanted: str) -> BackendError:
        return BackendError(
            f"sentence model {self._folder}: got {got}, wanted {wanted}; give an ONNX export of a "
            "sentence model such as all-MiniLM-L6-v2"
        )


def _session(folder: str, graph: bytes) -> Any:  # noqa: ANN401 - onnxruntime has no types
    require_libraries()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BackendError(
            f"sentence model {folder}: its graph cannot be loaded: {str(error).strip()[:200]}; "
            "wanted one ONNX file that holds its weights"
        ) from error


def _tokenizer(folder: str, data: bytes) -> "Tokenizer":
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_buffer(data)
    except Exception as error:
        raise BackendError(
            f"sentence model {folder}: {TOKENIZER} is not a tokenizer: {str(error)[:200]}"
        ) from error
    tokenizer.no_padding()
    if tokenizer.truncation is None:
        tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer
