"""CosyVoice 1, 2 and 3 from an upstream checkout and a model's folder, both by path.

How a voice is spoken follows from what it is: a speaker of an SFT model (``inference_sft``); a
reference clip with its text (``inference_zero_shot``) or without (``inference_cross_lingual``); an
instruction, with a speaker of a CosyVoice-300M-Instruct (``inference_instruct``) or with a clip and
CosyVoice 2 or 3 (``inference_instruct2``). Written against cosyvoice/cli/cosyvoice.py of March
2026; docs/backends.md says what was run. A model's YAML is code: hyperpyyaml builds what it names.
"""

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from schemas.errors import BackendError, SynthesisError
from transforms.backends.tts import (
    MANNERS,
    Said,
    Say,
    Speaker,
    Speech,
    TokenSet,
    VoiceSpec,
    spoken,
)
from transforms.backends.tts_batches import run_batches
from transforms.backends.tts_cosyvoice_files import (
    YAMLS,
    check_files,
    known_speakers,
    load_checkout,
    tokenizer_of,
    version_of,
)
from transforms.backends.tts_cosyvoice_tokens import (
    CURE,
    check_code,
    heard_tokens,
    read_token_set,
)
from transforms.backends.tts_files import Files, check_unchanged, files_identity, installed
from transforms.backends.tts_long import speak_long
from transforms.backends.tts_sound import DEFAULT_LIMITS, SoundLimits, as_speech
from transforms.backends.tts_tokens import with_tokens
from transforms.backends.tts_torch import exact_torch, full_floats, seeded

END: Final = "<|endofprompt|>"
SYSTEM: Final = "You are a helpful assistant."  # CosyVoice 3 was trained with it


@dataclass(frozen=True, kw_only=True)
class Cosyvoice:
    """A backend of kind ``cosyvoice``. A voice's name is a speaker of the model, such as 英文女;
    with a reference clip it is a word of the bank's own.

    ``instruct`` says that a version 1 model is the -Instruct one. ``wide_chars`` is the limit of
    Chinese, Japanese and Korean text. Text tags such as [breath] reach the model as they are.
    """

    name: str = "cosyvoice"
    checkout: str = ""
    folder: str = ""
    files: Files = ()
    code: Files = ()
    instruct: bool = False
    device: str = "cuda"
    fp16: bool = False
    threads: int = 1
    gpus: float = 0.0
    max_chars: int = 240
    wide_chars: int = 80
    limits: SoundLimits = DEFAULT_LIMITS

    bit_stable = False  # a language model draws its tokens in a thread of its own
    batch_rows = 1

    @property
    def version(self) -> int:
        """1, 2 or 3 by the model's YAML; 0 where there is none."""
        return version_of(Path(self.folder))

    @property
    def honors(self) -> frozenset[str]:
        """Manners are instructions, which an SFT model does not take."""
        return frozenset(MANNERS) if self.instruct or self.version >= 2 else frozenset()

    def identity(self, voice: VoiceSpec) -> Mapping[str, object]:
        """Checksums of model and checkout, versions, and what else changes samples."""
        return {
            "backend": "cosyvoice",
            "files": files_identity(self.files),
            "code": files_identity(self.code),
            "instruct": self.instruct,
            "device": self.device,
            "fp16": self.fp16,
            "threads": self.threads,
            "chars": [self.max_chars, self.wide_chars],
            "limits": str(self.limits),
            **installed("torch", "cpu"),
            **full_floats(self.device),
        }

    def check(self, voice: VoiceSpec) -> None:
        """Look at the checkout, the model's files and its speakers, without loading it."""
        self.check_files()
        if voice.pitch != 1.0:
            raise BackendError(f"{self.name}: voice {voice.name!r}: CosyVoice keeps its pitch at 1")
        if voice.reference is not None:
            return
        if self.version != 1:
            raise BackendError(
                f"{self.name}: voice {voice.name!r} has no `reference` clip, and CosyVoice "
                f"{self.version} has no speakers of its own; give it one, with its text and consent"
            )
        known = known_speakers(self.name, Path(self.folder))
        if voice.name not in known:
            raise BackendError(
                f"{self.name}: no voice {voice.name!r} in {self.folder}; it has "
                f"{', '.join(known[:20]) or 'none: take CosyVoice-300M-SFT'}"
            )

    def token_set(self) -> TokenSet:
        """The tokens of the model in ``folder``. Raises BackendError."""
        self.check_files()
        check_code(self.name, Path(self.checkout))
        place, version = Path(self.folder), self.version
        tokenizer = tokenizer_of(version)
        return read_token_set(self.name, place, YAMLS[version], tokenizer, self.files)

    def check_files(self) -> None:
        """Raise BackendError for a checkout or a model that is not there, or is partial."""
        check_files(self.name, Path(self.checkout), Path(self.folder))

    @contextmanager
    def open(self) -> Iterator[Speaker]:
        """Import the checkout and load the model. Raises BackendError."""
        import torch

        self.check_files()
        check_unchanged(self.folder, self.files, self.name)
        if (self.device != "cpu") != torch.cuda.is_available():
            here = "has a GPU, which CosyVoice takes" if self.device == "cpu" else "has no GPU"
            raise BackendError(
                f"{self.name}: device is {self.device!r}, and this machine {here}; set "
                f"backends.{self.name}.device"
            )
        module = load_checkout(self.name, Path(self.checkout))
        try:
            options: dict[str, Any] = {"fp16": True} if self.fp16 else {}
            model = module.AutoModel(model_dir=self.folder, **options)
        except Exception as error:  # upstream raises assertions, KeyError and more
            raise BackendError(
                f"{self.name}: {self.folder} cannot be loaded: {type(error).__name__}: "
                f"{str(error)[:300]}; see that model and checkout belong together"
            ) from error
        yield CosyvoiceSpeaker(self, model)


class CosyvoiceSpeaker:
    """A loaded model."""

    def __init__(self, settings: Cosyvoice, model: Any) -> None:  # noqa: ANN401 - not typed
        self._settings, self._model = settings, model
        self._tokens: TokenSet | None = None  # read when they are first asked for

    def speak(self, text: str, voice: VoiceSpec) -> Speech:
        """Say ``text``. Raises SynthesisError."""
        (said,) = self.speak_batch([Say(text, voice)])
        return spoken(said)

    def speak_batch(self, items: Sequence[Say]) -> list[Said]:
        """Say several texts one by one; long ones in pieces, which upstream would cut too."""
        settings = self._settings
        return speak_long(
            items, settings.max_chars, self._pieces, most_wide_chars=settings.wide_chars
        )

    def _pieces(self, items: list[Say]) -> list[Said]:
        with exact_torch(self._settings.threads):
            sizes = [len(item.text) for item in items]
            found = run_batches(
                items, sizes, lambda one: [self._said(one[0])], most_items=1, most_size=1
            )
        return [Said(None, item) if isinstance(item, SynthesisError) else item for item in found]

    def _said(self, item: Say) -> Said:
        settings, who = self._settings, f"{self._settings.name}: voice {item.voice.name!r}"
        tokens: list[npt.NDArray[np.int64]] = []
        with ExitStack() as stack:
            stack.enter_context(seeded(item.voice.seed))
            if item.tokens:
                tokens = stack.enter_context(heard_tokens(settings.name, self._model))
            parts = [_samples(part["tts_speech"]) for part in self._parts(item)]
        try:
            samples = np.concatenate(parts, axis=-1) if parts else np.zeros(0, np.float32)
            rate = int(self._model.sample_rate)
            speech = as_speech(samples, rate, who, item.text, item.voice, settings.limits)
            if item.tokens:
                speech = self._with_tokens(speech, tokens, len(parts), item.voice)
            return Said(speech)
        except SynthesisError as error:
            return Said(None, error)

    def _with_tokens(
        self, speech: Speech, tokens: list[npt.NDArray[np.int64]], pieces: int, voice: VoiceSpec
    ) -> Speech:
        """The speech with its tokens. Raises BackendError where they were not all heard."""
        who = f"{self._settings.name}: voice {voice.name!r}"
        if voice.rate != 1.0:
            raise BackendError(
                f"{who}: at the rate {voice.rate:g} CosyVoice stretches what its tokens gave, so "
                "they are not those of the sound; give the voice the rate 1"
            )
        if len(tokens) != pieces:
            raise BackendError(
                f"{who}: {pieces} pieces of sound came from {len(tokens)} lots of tokens; {CURE}"
            )
        self._tokens = self._tokens or self._settings.token_set()
        return with_tokens(speech, tokens, self._tokens, who)

    def _parts(self, item: Say) -> Iterable[Mapping[str, Any]]:
        """Upstream's generator for a voice. Our text is normalized, so its front end is off."""
        model, voice, version = self._model, item.voice, self._settings.version
        common = {"stream": False, "speed": voice.rate, "text_frontend": False}
        told = manner(voice) if self._settings.honors else ""
        found: Iterable[Mapping[str, Any]]
        if voice.reference is None:
            if told:
                found = model.inference_instruct(item.text, voice.name, told + END, **common)
            else:
                found = model.inference_sft(item.text, voice.name, **common)
            return found
        clip, said = self._clip(voice.reference.path), voice.reference.text
        if told and version >= 2:
            lead = f"{SYSTEM} " if version == 3 else ""
            found = model.inference_instruct2(item.text, f"{lead}{told}{END}", clip, **common)
        elif said:
            lead = SYSTEM + END if version == 3 else ""
            found = model.inference_zero_shot(item.text, lead + said, clip, **common)
        else:
            lead = SYSTEM + END if version == 3 else ""
            found = model.inference_cross_lingual(lead + item.text, clip, **common)
        return found

    def _clip(self, path: str) -> Any:  # noqa: ANN401 - a path, or a tensor for older checkouts
        """The clip as this checkout wants it: its path, or (before 2026) samples at 16 kHz."""
        names = inspect.signature(self._model.inference_zero_shot).parameters
        if "prompt_speech_16k" not in names:
            return path
        import soundfile
        import torch

        from transforms.audio import resample

        samples, rate = soundfile.read(path, dtype="float32")
        return torch.from_numpy(resample(samples, rate, 16_000))[None]


def manner(voice: VoiceSpec) -> str:
    """Style, emotion and instruction as one instruction, in the language of the voice."""
    chinese = voice.lang.startswith("zh")
    parts = [voice.instruction]
    if voice.emotion:
        parts.append(
            f"用{voice.emotion}的语气说这句话。" if chinese else f"Speak in a {voice.emotion} tone."
        )
    if voice.style:
        parts.append(
            f"用{voice.style}的风格说这句话。" if chinese else f"Speak in a {voice.style} style."
        )
    return ("" if chinese else " ").join(part for part in parts if part)


def _samples(tensor: Any) -> npt.NDArray[np.float32]:  # noqa: ANN401 - a torch tensor [1, N]
    found: npt.NDArray[np.float32] = tensor.detach().float().cpu().numpy()
    return found
