"""The speech tokens of CosyVoice 1, 2 and 3, heard where its checkout turns them into sound.

Without streaming, a model's ``tts`` gathers all tokens of a text and calls its own ``token2wav``
once with them. While a text is spoken that method is replaced on the model at hand, and put back
after; no file of the checkout is touched. What the language model draws and upstream then drops
(long runs of silence, in version 3) is no token of the sound, and is not among them.
"""

import ast
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import yaml

from schemas.errors import BackendError
from transforms.backends.tts import TokenSet
from transforms.backends.tts_files import Files

MODEL_CODE: Final = "cosyvoice/cli/model.py"
METHOD: Final = "token2wav"
CURE: Final = (
    "take a checkout of August 2024 to March 2026, or extract units from the audio with "
    "units.backend s3, which has the same tokens"
)


def read_token_set(
    who: str, folder: Path, yaml_name: str, tokenizer: str, files: Files
) -> TokenSet:
    """What a model's YAML says of its tokens; nothing that it names is built or run.

    Raises BackendError where it does not say.
    """
    path = folder / yaml_name
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), yaml.SafeLoader)
        told = _plain(root)
        flow = told["flow"]
        size = int(_value(flow["vocab_size"], told))
        rate = float(_value(flow["input_frame_rate"], told))
        sample_rate = int(_value(told["sample_rate"], told))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, LookupError, TypeError, ValueError) as why:
        raise BackendError(
            f"{who}: {path} does not say flow.vocab_size, flow.input_frame_rate and sample_rate "
            f"({type(why).__name__}: {str(why)[:120]}), so its tokens are not known; {CURE}"
        ) from why
    if rate <= 0 or sample_rate % rate:
        raise BackendError(
            f"{who}: {path} says {rate:g} tokens per second at {sample_rate} Hz, and a token would "
            f"be no whole number of samples; {CURE}"
        )
    return TokenSet(
        model=tokenizer,
        model_sha256=dict(files).get(tokenizer, ""),
        codebook_size=size,
        frame_rate_hz=rate,
    )


def check_code(who: str, checkout: Path) -> None:
    """Raise BackendError for a checkout whose models have no place to hear tokens at."""
    path = checkout / MODEL_CODE
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, SyntaxError) as error:
        raise BackendError(f"{who}: {path} cannot be read as Python ({error}); {CURE}") from error
    methods = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == METHOD
    ]
    if not any("token" in {item.arg for item in node.args.args} for node in methods):
        raise BackendError(
            f"{who}: {path} has no {METHOD}(token=...), where this backend hears the tokens; {CURE}"
        )


@contextmanager
def heard_tokens(who: str, model: Any) -> Iterator[list[npt.NDArray[np.int64]]]:  # noqa: ANN401
    """A list that fills with the tokens [1, T] of each piece of sound that ``model`` makes.

    Raises BackendError where the loaded model has no such place, or streams.
    """
    inner: Any = getattr(model, "model", None)
    original: Any = getattr(inner, METHOD, None)
    form = inspect.signature(original) if callable(original) else inspect.Signature()
    if "token" not in form.parameters:
        raise BackendError(
            f"{who}: {type(inner).__name__} has no {METHOD}(token=...), where this backend hears "
            f"the tokens; {CURE}"
        )
    found: list[npt.NDArray[np.int64]] = []

    def heard(*args: Any, **told: Any) -> Any:  # noqa: ANN401 - upstream's
        given = form.bind(*args, **told).arguments
        if given.get("finalize", True) is not True:
            raise BackendError(f"{who}: {METHOD} was given a part of the tokens only; {CURE}")
        found.append(given["token"].detach().cpu().numpy().astype(np.int64))
        return original(*args, **told)

    before = vars(inner).get(METHOD)
    inner.token2wav = heard
    try:
        yield found
    finally:
        if before is None:
            del inner.token2wav
        else:
            inner.token2wav = before


def _plain(node: yaml.Node | None) -> Any:  # noqa: ANN401 - a document
    """A tree of dicts, lists and strings; tags, and with them all code, are left aside."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    return node.value if isinstance(node, yaml.ScalarNode) else None


def _value(text: str, told: dict[str, Any]) -> str:
    """A scalar, or what the reference <name> stands for."""
    text = text.strip()
    if text.startswith("<") and text.endswith(">"):
        found = told[text[1:-1]]
        return _value(found, {name: item for name, item in told.items() if item is not found})
    return text
