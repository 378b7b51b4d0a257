"""Text to token ids, with any tokenizer.json of the `tokenizers` library."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from schemas.errors import BackendError, DamageError, SettingsError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Ids = npt.NDArray[np.int64]
CHECKSUM_SUFFIX: Final = ".sha256"  # beside the file, in the form that `sha256sum -c` reads


@dataclass(frozen=True)
class TextTokenizer:
    """A loaded tokenizer. ``sha256`` is of its file: what a checkpoint should remember."""

    tokenizer: "Tokenizer"
    sha256: str

    def __reduce__(self) -> tuple[object, ...]:
        # A pickled Tokenizer forgets that special tokens are text to it; workers get it so.
        return _restored, (self.tokenizer.to_str(), self.sha256)

    @property
    def vocab_size(self) -> int:
        """Ids are below this: the rows of an embedding."""
        return int(self.tokenizer.get_vocab_size(with_added_tokens=True))

    def encode(self, text: str) -> Ids:
        """The ids [N] of plain text. A `<|im_end|>` that somebody wrote stays text, not a token."""
        encoded = self.tokenizer.encode(text, add_special_tokens=False)
        return np.array(encoded.ids, np.int64)

    def decode(self, ids: Ids) -> str:
        """The text of some ids, special tokens included."""
        return str(self.tokenizer.decode(ids.tolist(), skip_special_tokens=False))

    def special(self, token: str) -> int:
        """The id of a special token. Raises SettingsError where the tokenizer has none."""
        number = self.tokenizer.token_to_id(token)
        if number is None:
            raise SettingsError(
                f"the tokenizer has no token {token!r}; add it to tokenizer.json's added_tokens, "
                "or train one with `python -m trainers.tokenizer`"
            )
        return int(number)

    def chat_turn(self, role: str, text: str) -> Ids:
        """One turn in ChatML: <|im_start|>role, newline, text, <|im_end|>, newline. Ids [N]."""
        return np.concatenate(
            [
                [self.special("<|im_start|>")],
                self.encode(f"{role}\n{text}"),
                [self.special("<|im_end|>")],
                self.encode("\n"),
            ]
        )


def load_tokenizer(path: Path) -> TextTokenizer:
    """The tokenizer of a tokenizer.json, checked against the .sha256 beside it where there is one.

    Raises SettingsError for a file that is missing or is none, DamageError for one that changed.
    """
    require_tokenizers()
    from tokenizers import Tokenizer

    if not path.is_file():
        raise SettingsError(
            f"{path}: no such file; wanted a tokenizer.json; train one with `python -m "
            f"trainers.tokenizer URI --out {path}`"
        )
    data = path.read_bytes()
    checksum = hashlib.sha256(data).hexdigest()
    beside = path.with_name(path.name + CHECKSUM_SUFFIX)
    if beside.is_file() and beside.read_text(encoding="ascii").split()[:1] != [checksum]:
        raise DamageError(
            f"{path}: its sha256 is {checksum}, not the one in {beside.name}; restore the file, or "
            f"remove {beside.name} if the change was meant"
        )
    try:
        tokenizer = Tokenizer.from_str(data.decode())
    except Exception as error:  # the library raises nothing narrower
        raise SettingsError(
            f"{path}: no tokenizer of the `tokenizers` library ({error}); wanted its tokenizer.json"
        ) from error
    return _plain(tokenizer, checksum)


def _plain(tokenizer: "Tokenizer", checksum: str) -> TextTokenizer:
    """A tokenizer that neither pads nor cuts, and to which special tokens in a text are text."""
    tokenizer.encode_special_tokens = True
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return TextTokenizer(tokenizer, checksum)


def _restored(data: str, checksum: str) -> TextTokenizer:
    from tokenizers import Tokenizer

    return _plain(Tokenizer.from_str(data), checksum)


def save_tokenizer(tokenizer: "Tokenizer", path: Path) -> str:
    """Write tokenizer.json and its checksum beside it; the sha256 in hex."""
    data = tokenizer.to_str(pretty=True).encode() + b"\n"
    checksum = hashlib.sha256(data).hexdigest()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    beside = path.with_name(path.name + CHECKSUM_SUFFIX)
    beside.write_text(f"{checksum}  {path.name}\n", encoding="ascii")
    return checksum


def require_tokenizers() -> None:
    """Raise BackendError with the command that installs the library where it is missing."""
    try:
        import tokenizers  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise BackendError(
            "text tokens need the `tokenizers` library; install it with: pip install "
            "'voxmill[train]'"
        ) from error
