"""VITS by transformers, from a local folder: single- and multi-speaker, characters or phonemes."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from schemas.errors import BackendError, SynthesisError
from transforms.backends.phonemes import phonemizer_versions
from transforms.backends.tts import Said, Say, Speaker, Speech, VoiceSpec, spoken
from transforms.backends.tts_batches import run_batches
from transforms.backends.tts_files import (
    NOT_TOLD,
    Files,
    check_unchanged,
    files_identity,
    installed,
    place_variable,
)
from transforms.backends.tts_long import speak_long
from transforms.backends.tts_sound import DEFAULT_LIMITS, SoundLimits, as_speech
from transforms.backends.tts_torch import exact_torch, full_floats
from transforms.backends.tts_vits_model import Latents, to_latents, to_samples

CONFIG: Final = "config.json"
WEIGHTS: Final = "model.safetensors"
TOKENIZER: Final = "tokenizer_config.json"
FILES: Final = (CONFIG, WEIGHTS, "vocab.json", TOKENIZER, "special_tokens_map.json")
NEEDED: Final = FILES[:4]
ONLY: Final = "default"  # the voice of a model with one speaker
UNUSED: Final = "posterior_encoder."  # for training alone


@dataclass(frozen=True, kw_only=True)
class Vits:
    """A backend of kind ``vits``.

    A voice's name is a key of ``speakers``, the speaker's number, or ``default`` where there is
    one speaker. ``batch_items`` utterances, ``batch_frames`` frames in all, are decoded at once.
    """

    name: str = "vits"
    folder: str = ""
    files: Files = ()
    speakers: tuple[tuple[str, int], ...] = ()
    device: str = "cpu"
    threads: int = 1
    gpus: float = 0.0
    max_chars: int = 400
    batch_items: int = 1
    batch_frames: int = 20_000
    noise_scale: float | None = None  # None: the model's own
    noise_scale_duration: float | None = None
    limits: SoundLimits = DEFAULT_LIMITS

    @property
    def bit_stable(self) -> bool:
        """On a CPU, one by one: the same sums in the same order."""
        return self.device == "cpu" and self.batch_items == 1

    @property
    def batch_rows(self) -> int:
        """Rows that a step hands over at once."""
        return self.batch_items

    def identity(self, voice: VoiceSpec) -> Mapping[str, object]:
        """Checksums of the model, versions, and what else changes samples."""
        return {
            "backend": "vits",
            "files": files_identity(self.files),
            "speaker": dict(self.speakers).get(voice.name, voice.name),
            "device": self.device.split(":", 1)[0],
            "threads": self.threads,
            "batched": self.batch_items > 1,
            "max_chars": self.max_chars,
            "noise": [self.noise_scale, self.noise_scale_duration],
            "limits": str(self.limits),
            **installed("torch", "transformers", "cpu"),
            **full_floats(self.device),
            **(phonemizer_versions() if self._reads_phonemes() else {}),
        }

    def _reads_phonemes(self) -> bool:
        """Whether texts become phonemes first; False where the model is not there."""
        there = (Path(self.folder) / TOKENIZER).is_file()
        return there and bool(self.tokenizer_config().get("phonemize", True))

    def speaker(self, voice: VoiceSpec) -> int | None:
        """The number of a voice's speaker; None where there is one. Raises BackendError."""
        count = int(self.config().get("num_speakers", 1))
        names = dict(self.speakers)
        if count <= 1 and not names and voice.name in (ONLY, "0"):
            return None
        number = names.get(voice.name, int(voice.name) if voice.name.isdecimal() else -1)
        if not 0 <= number < count:
            known = ", ".join(list(names)[:20]) or (f"0 to {count - 1}" if count > 1 else ONLY)
            raise BackendError(
                f"{self.name}: no voice {voice.name!r} in {self.folder}; it has {known}"
            )
        return number

    def check(self, voice: VoiceSpec) -> None:
        """Look at the files, the libraries and the speaker, without loading weights."""
        for library in ("torch", "transformers"):
            if find_spec(library) is None:
                raise BackendError(
                    f"{self.name}: {library} is not installed; "
                    "pip install -c constraints.txt -e '.[speech]'"
                )
        self.check_files()
        self.speaker(voice)
        if voice.pitch != 1.0 or voice.reference is not None:
            raise BackendError(
                f"{self.name}: voice {voice.name!r} asks for "
                f"{'another pitch' if voice.pitch != 1.0 else 'a reference clip'}, which VITS "
                "cannot do; leave pitch at 1 and take one of its speakers"
            )
        if self._reads_phonemes() and find_spec("phonemizer") is None:
            raise BackendError(
                f"{self.name}: {self.folder} reads phonemes, which the package phonemizer makes; "
                "pip install phonemizer (GPL-3.0), or use a model that reads letters, such as MMS"
            )

    def check_files(self) -> None:
        """Raise BackendError for a folder that is not there, or lacks a file."""
        folder = Path(self.folder)
        cure = (
            "download the model's folder on a machine with network (huggingface-cli download "
            f"MODEL --local-dir DIR) and name it in backends.{self.name}.path"
            f" (for a replay in {place_variable(self.name)})"
        )
        if not self.folder or not folder.is_dir():
            raise BackendError(f"{self.name}: no folder {self.folder or NOT_TOLD}; {cure}")
        missing = [name for name in NEEDED if not (folder / name).is_file()]
        if missing:
            pickled = (folder / "pytorch_model.bin").is_file() and WEIGHTS in missing
            raise BackendError(
                f"{self.name}: {folder} lacks {', '.join(missing)}; "
                + (
                    "pytorch_model.bin is a pickle and is not read: convert it once with "
                    "VitsModel.from_pretrained(DIR).save_pretrained(DIR)"
                    if pickled
                    else cure
                )
            )
        if self.config().get("model_type") != "vits":
            raise BackendError(
                f"{self.name}: {folder}/{CONFIG} is of a {self.config().get('model_type')!r} "
                f"model, wanted 'vits'; {cure}"
            )

    def config(self) -> dict[str, Any]:
        """The model's configuration."""
        return self._json(CONFIG)

    def tokenizer_config(self) -> dict[str, Any]:
        """The tokenizer's configuration."""
        return self._json(TOKENIZER)

    @property
    def sample_rate_hz(self) -> int | None:
        """What the model speaks at; None where it is not there."""
        if not (Path(self.folder) / CONFIG).is_file():
            return None
        return int(self.config().get("sampling_rate", 16000))

    def _json(self, name: str) -> dict[str, Any]:
        path = Path(self.folder) / name
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BackendError(f"{self.name}: {path}: {error}; download it again") from error
        if not isinstance(found, dict):
            raise BackendError(f"{self.name}: {path}: not a JSON object; download it again")
        return found

    @contextmanager
    def open(self) -> Iterator[Speaker]:
        """Load the weights. Raises BackendError for wrong or partial ones."""
        self.check_files()
        check_unchanged(self.folder, self.files, self.name)
        yield VitsSpeaker(self)


class VitsSpeaker:
    """A loaded model. Safe to call from several threads, one of which runs at a time."""

    def __init__(self, settings: Vits) -> None:
        import torch
        from transformers import VitsModel, VitsTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # no terminal of its own
        load: Any = VitsModel.from_pretrained  # typed for one of its two results
        self._settings = settings
        try:
            device = torch.device(settings.device)
            model, info = load(
                settings.folder,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
            self._tokenizer = VitsTokenizer.from_pretrained(settings.folder, local_files_only=True)
            self._model = model.eval().to(device)
        except Exception as error:  # of transformers, safetensors or torch: many kinds
            raise BackendError(
                f"{settings.name}: {settings.folder} cannot be loaded on {settings.device}: "
                f"{str(error)[:300]}; download it again, or set backends.{settings.name}.device"
            ) from error
        lacking = sorted(
            str(key)
            for kind in ("missing_keys", "mismatched_keys")
            for key in info.get(kind, ())
            if not str(key).startswith(UNUSED)
        )
        if lacking:
            raise BackendError(
                f"{settings.name}: {settings.folder}/{WEIGHTS} is partial or of another model: "
                f"{len(lacking)} weights are missing or of another shape ({', '.join(lacking[:3])}"
                "); download it again, with its own config.json"
            )
        for field in ("noise_scale", "noise_scale_duration"):
            value = getattr(settings, field)
            if value is not None:
                setattr(self._model, field, value)

    @cached_property
    def _letters(self) -> frozenset[str]:
        return frozenset(self._tokenizer.get_vocab())

    def speak(self, text: str, voice: VoiceSpec) -> Speech:
        """Say ``text``. Raises SynthesisError."""
        (said,) = self.speak_batch([Say(text, voice)])
        return spoken(said)

    def speak_batch(self, items: Sequence[Say]) -> list[Said]:
        """Say several texts; long ones in pieces."""
        return speak_long(items, self._settings.max_chars, self._pieces)

    def _pieces(self, items: list[Say]) -> list[Said]:
        with exact_torch(self._settings.threads):
            halves = [self._half(item) for item in items]
            ready = [half for half in halves if isinstance(half, Latents)]
            waves = run_batches(
                ready,
                [half.frames for half in ready],
                lambda batch: to_samples(self._model, batch),
                most_items=self._settings.batch_items,
                most_size=self._settings.batch_frames,
            )
        rest = iter(waves)
        found = []
        for item, half in zip(items, halves, strict=True):
            result = half if isinstance(half, SynthesisError) else next(rest)
            found.append(self._said(item, result))
        return found

    def _said(self, item: Say, result: object) -> Said:
        if isinstance(result, SynthesisError):
            return Said(None, result)
        settings = self._settings
        try:
            rate = int(self._model.config.sampling_rate)
            who = f"{settings.name}: voice {item.voice.name!r}"
            return Said(as_speech(result, rate, who, item.text, item.voice, settings.limits))
        except SynthesisError as error:
            return Said(None, error)

    def _half(self, item: Say) -> Latents | SynthesisError:
        settings, config = self._settings, self._model.config
        limits, voice = settings.limits, item.voice
        try:
            tokens = self._tokens(item.text)
        except SynthesisError as error:
            return error
        hop = math.prod(config.upsample_rates)
        half = to_latents(
            self._model,
            tokens,
            settings.speaker(voice),
            float(config.speaking_rate) * voice.rate,
            voice.seed,
            int(limits.max_s * config.sampling_rate / hop),
        )
        if isinstance(half, Latents):
            return half
        return SynthesisError(
            f"{settings.name}: voice {voice.name!r} wants "
            f"{half * hop / config.sampling_rate:.3g} s for {len(item.text)} characters; "
            f"wanted {limits.max_s:g} s at most",
            retryable=True,
        )

    def _tokens(self, text: str) -> list[int]:
        """The ids of a text. Raises SynthesisError where the model would skip letters of it."""
        name, tokenizer = self._settings.name, self._tokenizer
        if not any(map(str.isalnum, text)):
            raise SynthesisError(f"{name}: nothing to say in {text[:60]!r}: wants a letter")
        if not tokenizer.phonemize:
            cased = tokenizer.normalize_text(text) if tokenizer.normalize else text
            lost = sorted({x for x in cased if x.isalnum() and x not in self._letters})
            if lost:
                raise SynthesisError(
                    f"{name}: the model's vocabulary has no {''.join(lost)[:40]!r}, in "
                    f"{text[:60]!r}; write it in the letters that it reads"
                    + (" (install uroman first)" if tokenizer.is_uroman else "")
                )
        tokens: list[int] = tokenizer(text)["input_ids"]
        if len(tokens) <= 1:
            raise SynthesisError(f"{name}: nothing is left of {text[:60]!r} in its vocabulary")
        return tokens
