"""Whisper by transformers, from a local folder: greedy, in the language of the row.

Radford et al. 2022 (https://arxiv.org/abs/2212.04356). Every window is padded to the 30 s that the
encoder reads, so no clip's length pads another's; a batch is filled with silence up to
``batch_items``, so every product has the same shape and a text does not depend on which clips share
its batch. No timestamps, no temperature fallback, no text of the window before: each of these would
make a text depend on something else than its own sound.

B batch, S decoded tokens.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from schemas.errors import BackendError
from transforms.audio import to_float
from transforms.backends.asr_windows import MIN_SAMPLES, WINDOW_S, windows
from transforms.backends.listening import SAMPLE_RATE_HZ, Clip, OpenRecognizer, Transcript
from transforms.backends.tts_files import Files, check_unchanged, files_identity, installed
from transforms.backends.tts_torch import exact_torch, full_floats

CONFIG: Final = "config.json"
GENERATION: Final = "generation_config.json"
FEATURES: Final = "preprocessor_config.json"
TOKENIZER: Final = "tokenizer.json"
WEIGHTS: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
NEEDED: Final = (CONFIG, GENERATION, FEATURES, TOKENIZER)
FILES: Final = (*NEEDED, "tokenizer_config.json", WEIGHTS, INDEX, "model-*.safetensors")
UNUSED: Final = ("proj_out.",)  # tied to the embedding
ENGLISH: Final = ("en",)


@dataclass(frozen=True, kw_only=True)
class Whisper:
    """A checkpoint by the checksums of its files; ``folder`` is in no fingerprint.

    ``langs`` are those that it is asked for; ``setting`` is its place in the job, for messages.
    """

    folder: str
    files: Files = ()
    langs: tuple[str, ...] = ENGLISH
    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 1
    batch_items: int = 1
    max_new_tokens: int = 224  # of a window: half of Whisper's context, as OpenAI's code has it
    gpus: float = 0.0
    setting: str = "checks.asr"

    @property
    def bit_stable(self) -> bool:
        """On one thread of a CPU; a GPU's kernels may differ from one to another."""
        return self.device == "cpu"

    @property
    def batch_rows(self) -> int:
        """Clips at once."""
        return self.batch_items

    def identity(self) -> Mapping[str, object]:
        """Checksums, versions, and what else changes a text."""
        return {
            "backend": "whisper",
            "files": files_identity(self.files),
            "langs": sorted(self.langs),
            "device": self.device.split(":", 1)[0],
            "dtype": self.dtype,
            "threads": self.threads,
            "batch_items": self.batch_items,
            "max_new_tokens": self.max_new_tokens,
            **installed("torch", "transformers", "numpy", "cpu"),
            **full_floats(self.device),
        }

    def check(self) -> None:
        """Look at the files, and compare every weight's name and shape with the configuration."""
        for library in ("torch", "transformers", "safetensors"):
            if find_spec(library) is None:
                raise BackendError(
                    f"{self.setting}: {library} is not installed; "
                    "pip install -c constraints.txt -e '.[speech]'"
                )
        check_files(self.folder, self.setting)
        unknown = sorted(set(self.langs) - set(known_langs(Path(self.folder), self.setting)))
        if unknown:
            raise BackendError(
                f"{self.setting}: {self.folder} does not know {', '.join(unknown)}; take a "
                f"multilingual checkpoint, or leave them out of {self.setting}.langs"
            )
        found = weight_shapes(Path(self.folder), self.setting)
        wanted = _wanted_shapes(self.folder, Path(self.folder, CONFIG).read_text("utf-8"))
        bad = sorted(
            name
            for name, shape in wanted.items()
            if found.get(name) != shape and not name.startswith(UNUSED)
        )
        if bad:
            raise BackendError(self._partial(bad))

    @contextmanager
    def open(self) -> Iterator[OpenRecognizer]:
        """Load the weights. Raises BackendError for wrong or partial ones."""
        check_files(self.folder, self.setting)
        check_unchanged(self.folder, self.files, self.setting)
        yield WhisperEars(self)

    def _partial(self, names: Sequence[str]) -> str:
        return (
            f"{self.setting}: the weights in {self.folder} are partial or of another model: "
            f"{len(names)} are missing or of another shape ({', '.join(names[:3])}); download the "
            "folder again, with its own config.json"
        )


class WhisperEars:
    """A loaded model. Safe to call from several threads, one of which runs at a time."""

    def __init__(self, settings: Whisper) -> None:
        import torch
        from transformers import (
            AutoTokenizer,
            WhisperFeatureExtractor,
            WhisperForConditionalGeneration,
        )
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # no terminal of its own
        load: Any = WhisperForConditionalGeneration.from_pretrained  # typed for one of its results
        folder, self._settings = settings.folder, settings
        try:
            model, info = load(
                folder,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                dtype=getattr(torch, settings.dtype),
            )
            read: Any = AutoTokenizer.from_pretrained
            self._tokenizer = read(folder, local_files_only=True)
            self._features = WhisperFeatureExtractor.from_pretrained(folder, local_files_only=True)
            self._model: Any = model.eval().to(torch.device(settings.device))
        except (OSError, ValueError, RuntimeError, LookupError, TypeError) as error:
            raise BackendError(
                f"{settings.setting}: {folder} cannot be loaded on {settings.device}: "
                f"{str(error)[:300]}; download it again, or set {settings.setting}.device"
            ) from error
        lacking = sorted(
            str(key)
            for kind in ("missing_keys", "mismatched_keys")
            for key in info.get(kind, ())
            if not str(key).startswith(UNUSED)
        )
        if lacking:
            raise BackendError(settings._partial(lacking))
        rate = self._features.sampling_rate
        seconds = self._features.n_samples / rate
        if rate != SAMPLE_RATE_HZ or seconds != WINDOW_S:
            raise BackendError(
                f"{settings.setting}: {folder}/{FEATURES} wants {seconds:g} s at {rate} Hz; wanted "
                f"{WINDOW_S:g} s at {SAMPLE_RATE_HZ} Hz, as every Whisper has it; download it again"
            )
        self._told = _json(Path(folder), GENERATION, settings.setting)

    def transcribe(self, clips: Sequence[Clip]) -> list[Transcript]:
        parts = [
            (place, clip.lang, part)
            for place, clip in enumerate(clips)
            for part in windows(clip.samples)
            if len(part) >= MIN_SAMPLES
        ]
        texts: list[list[str]] = [[] for _ in clips]
        size = self._settings.batch_items
        with exact_torch(self._settings.threads):
            for start in range(0, len(parts), size):
                batch = parts[start : start + size]
                heard = self._batch([(lang, part) for _, lang, part in batch])
                for (place, _, _), text in zip(batch, heard, strict=True):
                    texts[place].append(text)
        return [Transcript(" ".join(text for text in found if text)) for found in texts]

    def _batch(self, parts: list[tuple[str, npt.NDArray[np.int16]]]) -> list[str]:
        """The text of each window; the batch is filled up with silence."""
        import torch

        filled = self._settings.batch_items - len(parts)
        sounds = [to_float(part) for _, part in parts] + [np.zeros(1, np.float32)] * filled
        langs = [lang for lang, _ in parts] + [parts[0][0]] * filled
        features = self._features(sounds, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
        mel = features.input_features.to(self._model.device, self._model.dtype)
        prompts_BS = torch.tensor([self._prompt(lang) for lang in langs], device=mel.device)
        tokens = self._greedy(mel, prompts_BS)[: len(parts)]
        return [self._tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in tokens]

    def _greedy(self, mel: Any, prompts_BS: Any) -> list[list[int]]:  # noqa: ANN401 - tensors
        """The likeliest token at each step until the end, for each window by itself."""
        import torch

        model, end = self._model, int(self._told["eos_token_id"])
        times = range(int(prompts_BS[0, -1]) + 1, model.config.vocab_size)  # stand behind "none"
        never_V = self._mask([*(self._told.get("suppress_tokens") or ()), *times])
        first_V = never_V | self._mask(self._told.get("begin_suppress_tokens") or ())
        room = model.config.max_target_positions - prompts_BS.shape[1]
        sounds = model.get_encoder()(mel)
        given, past, found = prompts_BS, None, []
        done_B = torch.zeros(len(prompts_BS), dtype=torch.bool, device=prompts_BS.device)
        for step in range(min(self._settings.max_new_tokens, room)):
            result = model(
                encoder_outputs=sounds,
                decoder_input_ids=given,
                past_key_values=past,
                use_cache=True,
            )
            scores_BV = result.logits[:, -1].float()
            scores_BV = scores_BV.masked_fill(first_V if step == 0 else never_V, -torch.inf)
            token_B = scores_BV.argmax(dim=-1).masked_fill(done_B, end)
            found.append(token_B)
            done_B = done_B | (token_B == end)
            if bool(done_B.all()):
                break
            given, past = token_B[:, None], result.past_key_values
        rows: list[list[int]] = torch.stack(found, dim=1).tolist() if found else []
        return [row[: row.index(end)] if end in row else row for row in rows]

    def _mask(self, tokens: Sequence[int]) -> Any:  # noqa: ANN401 - a tensor
        """Which of the vocabulary are not to be said."""
        import torch

        mask_V = torch.zeros(self._model.config.vocab_size, dtype=torch.bool)
        mask_V[list(tokens)] = True
        return mask_V.to(self._model.device)

    def _prompt(self, lang: str) -> list[int]:
        """<|startoftranscript|>, language and task where the model has them, no timestamps."""
        told = self._told
        middle: list[int] = []
        if told.get("is_multilingual", False):
            middle = [told["lang_to_id"][f"<|{lang}|>"], told["task_to_id"]["transcribe"]]
        return [told["decoder_start_token_id"], *middle, told["no_timestamps_token_id"]]


def check_files(folder: str, setting: str) -> None:
    """Raise BackendError for a folder that is not there, or is not that of a Whisper."""
    cure = (
        "download the model's folder on a machine with network (huggingface-cli download "
        f"openai/whisper-large-v3 --local-dir DIR) and name it in {setting}.path"
    )
    root = Path(folder)
    if not folder or not root.is_dir():
        raise BackendError(f"{setting}: no folder {folder or '(none named)'}; {cure}")
    missing = [name for name in NEEDED if not (root / name).is_file()]
    if not (root / WEIGHTS).is_file() and not (root / INDEX).is_file():
        missing.append(WEIGHTS)
    if missing:
        pickled = (root / "pytorch_model.bin").is_file() and missing == [WEIGHTS]
        raise BackendError(
            f"{setting}: {folder} lacks {', '.join(missing)}; "
            + (
                "pytorch_model.bin is a pickle and is not read: convert it once with "
                "WhisperForConditionalGeneration.from_pretrained(DIR).save_pretrained(DIR)"
                if pickled
                else cure
            )
        )
    kind = _json(root, CONFIG, setting).get("model_type")
    if kind != "whisper":
        raise BackendError(
            f"{setting}: {folder}/{CONFIG} is of a {kind!r} model, wanted 'whisper'; {cure}"
        )
    told = _json(root, GENERATION, setting)
    lacking = [
        key
        for key in ("decoder_start_token_id", "eos_token_id", "no_timestamps_token_id")
        if not isinstance(told.get(key), int)
    ]
    if told.get("is_multilingual"):
        lacking += [key for key in ("lang_to_id", "task_to_id") if not told.get(key)]
    if lacking:
        raise BackendError(
            f"{setting}: {folder}/{GENERATION} lacks {', '.join(lacking)}; it is of an early "
            f"export: {cure}"
        )


def known_langs(folder: Path, setting: str) -> tuple[str, ...]:
    """The languages of a checkpoint. Raises BackendError where its files cannot be read."""
    told = _json(folder, GENERATION, setting)
    if not told.get("is_multilingual", False):
        return ENGLISH
    return tuple(sorted(name.strip("<|>") for name in told.get("lang_to_id", {})))


def weight_shapes(folder: Path, setting: str) -> dict[str, tuple[int, ...]]:
    """The weights that are there, by name, from the headers of the files alone."""
    from safetensors import SafetensorError, safe_open

    names = [WEIGHTS]
    if (folder / INDEX).is_file():
        names = sorted(set(_json(folder, INDEX, setting).get("weight_map", {}).values()))
    found: dict[str, tuple[int, ...]] = {}
    for name in names:
        try:
            with safe_open(str(folder / name), "np") as file:
                found |= {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 - not a dict
        except (OSError, SafetensorError) as error:
            raise BackendError(f"{setting}: {folder / name}: {error}; download it again") from error
    return found


@cache
def _wanted_shapes(folder: str, config: str) -> dict[str, tuple[int, ...]]:
    """The weights of a configuration, without making any. ``config`` is its text, for the cache."""
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    with torch.device("meta"):
        model = WhisperForConditionalGeneration(WhisperConfig(**json.loads(config)))
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def _json(folder: Path, name: str, setting: str) -> dict[str, Any]:
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackendError(f"{setting}: {folder / name}: {error}; download it again") from error
    if not isinstance(found, dict):
        raise BackendError(f"{setting}: {folder / name}: not a JSON object; download it again")
    return found
