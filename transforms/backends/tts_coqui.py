"""Coqui's VITS (the package coqui-tts): LJSpeech and multi-speaker models from a local folder.

Written against ``TTS.utils.synthesizer.Synthesizer`` of coqui-tts 0.27 and 0.28; docs/backends.md
says what was run. Upstream loads the checkpoint with torch.load and ``weights_only``. It takes the
lists of speakers and languages from the paths in config.json, which are those of the machine that
downloaded the model, whatever its arguments say: they are set here, in a copy of config.json.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from schemas.errors import BackendError, SynthesisError
from transforms.backends.phonemes import coqui_phonemizers
from transforms.backends.tts import Said, Say, Speaker, Speech, VoiceSpec, spoken
from transforms.backends.tts_batches import run_batches
from transforms.backends.tts_files import Files, check_unchanged, files_identity, installed
from transforms.backends.tts_long import speak_long
from transforms.backends.tts_sound import DEFAULT_LIMITS, SoundLimits, as_speech
from transforms.backends.tts_torch import exact_torch, full_floats, seeded

ONLY: Final = "default"
TAIL: Final = 10_000  # zeros that Synthesizer.tts adds after each sentence
LISTS: Final = {
    "speakers_file": "speakers_file",
    "languages_file": "language_ids_file",
}  # to theirs


@dataclass(frozen=True, kw_only=True)
class Coqui:
    """A backend of kind ``coqui``. A voice's name is the model's speaker, or ``default``."""

    name: str = "coqui"
    folder: str = ""
    files: Files = ()
    checkpoint: str = "model_file.pth"
    config: str = "config.json"
    speakers_file: str = ""
    languages_file: str = ""
    language: str = ""  # of a model with several
    device: str = "cpu"
    threads: int = 1
    gpus: float = 0.0
    max_chars: int = 400
    limits: SoundLimits = DEFAULT_LIMITS

    batch_rows = 1

    @property
    def bit_stable(self) -> bool:
        """On a CPU: the same sums in the same order, from the process's generators, seeded."""
        return self.device == "cpu"

    @property
    def needed(self) -> tuple[str, ...]:
        """The files that there must be."""
        names = (self.checkpoint, self.config, self.speakers_file, self.languages_file)
        return tuple(name for name in names if name)

    def identity(self, voice: VoiceSpec) -> Mapping[str, object]:
        """Checksums of the model, versions, and what else changes samples."""
        return {
            "backend": "coqui",
            "files": files_identity(self.files),
            "language": self.language,
            "device": self.device.split(":", 1)[0],
            "threads": self.threads,
            "max_chars": self.max_chars,
            "limits": str(self.limits),
            **installed("coqui-tts", "torch", "cpu"),
            **full_floats(self.device),
            **(coqui_phonemizers() if self._reads_phonemes() else {}),
        }

    def _reads_phonemes(self) -> bool:
        """Whether texts become phonemes first; False where the model is not there."""
        try:
            told = json.loads((Path(self.folder) / self.config).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(told, dict) and bool(told.get("use_phonemes"))

    def check(self, voice: VoiceSpec) -> None:
        """Look at the package and the files; speakers are known when the model is loaded."""
        if find_spec("TTS") is None:
            raise BackendError(
                f"{self.name}: coqui-tts is not installed; pip install coqui-tts (the maintained "
                "fork; it wants torchaudio and torchcodec of your torch), or convert the model "
                "for kind: vits"
            )
        folder = Path(self.folder)
        missing = [name for name in self.needed if not (folder / name).is_file()]
        if not self.folder or missing:
            raise BackendError(
                f"{self.name}: {self.folder or '(no folder named)'} lacks {', '.join(missing)}; "
                "`tts --model_name tts_models/en/ljspeech/vits` downloads one: name its folder in "
                f"backends.{self.name}.path"
            )
        self._config()
        if voice.pitch != 1.0 or voice.reference is not None:
            raise BackendError(
                f"{self.name}: voice {voice.name!r} asks for another pitch or a reference clip, "
                "which VITS cannot do; leave pitch at 1 and take one of its speakers"
            )

    @contextmanager
    def open(self) -> Iterator[Speaker]:
        """Load the model. Raises BackendError."""
        from TTS.utils.synthesizer import Synthesizer

        check_unchanged(self.folder, self.files, self.name)
        told = json.dumps(self._config())
        try:
            with tempfile.TemporaryDirectory(prefix="voxmill-coqui-") as place:
                config = Path(place) / "config.json"
                config.write_text(told, encoding="utf-8")
                model = Synthesizer(
                    tts_checkpoint=str(Path(self.folder) / self.checkpoint),
                    tts_config_path=str(config),
                    use_cuda=self.device != "cpu",
                )
        except (OSError, ValueError, RuntimeError, LookupError, AssertionError) as error:
            raise BackendError(
                f"{self.name}: {self.folder} cannot be loaded on {self.device}: "
                f"{str(error)[:300]}; see that checkpoint and config belong together"
            ) from error
        yield CoquiSpeaker(self, model)

    def _config(self) -> dict[str, Any]:
        """config.json, with the lists of this folder. Raises BackendError for any other list.

        A list that is not named here has no checksum, and is elsewhere or gone.
        """
        path = Path(self.folder) / self.config
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
            places = [config, *([config["model_args"]] if config.get("model_args") else [])]
            for ours, theirs in LISTS.items():
                name = getattr(self, ours)
                holders = [place for place in places if place.get(theirs)]
                if name:
                    for place in holders or places[-1:]:
                        place[theirs] = str(Path(self.folder) / name)
                elif holders:
                    raise BackendError(
                        f"{self.name}: {path} reads {holders[0][theirs]}, of which nothing is "
                        f"known; copy it into {self.folder} and name it in "
                        f"backends.{self.name}.{ours}"
                    )
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise BackendError(
                f"{self.name}: {path} is no configuration of a model ({str(error)[:100]}); "
                "download it again"
            ) from error
        return dict(config)


class CoquiSpeaker:
    """A loaded Synthesizer."""

    def __init__(self, settings: Coqui, model: Any) -> None:  # noqa: ANN401 - not typed
        self._settings, self._model = settings, model
        self._rate_hz = int(model.output_sample_rate)
        self._scale = float(getattr(model.tts_model, "length_scale", 1.0))
        manager = getattr(model.tts_model, "speaker_manager", None)
        self._speakers = tuple(getattr(manager, "speaker_names", None) or ())

    def speak(self, text: str, voice: VoiceSpec) -> Speech:
        """Say ``text``. Raises SynthesisError, or BackendError for a speaker that is not there."""
        (said,) = self.speak_batch([Say(text, voice)])
        return spoken(said)

    def speak_batch(self, items: Sequence[Say]) -> list[Said]:
        """Say several texts one by one; long ones in pieces."""
        return speak_long(items, self._settings.max_chars, self._pieces)

    def _pieces(self, items: list[Say]) -> list[Said]:
        with exact_torch(self._settings.threads):
            sizes = [len(item.text) for item in items]
            found = run_batches(
                items, sizes, lambda one: [self._said(one[0])], most_items=1, most_size=1
            )
        return [Said(None, item) if isinstance(item, SynthesisError) else item for item in found]

    def _said(self, item: Say) -> Said:
        settings, voice = self._settings, item.voice
        speaker = self._speaker(voice)
        self._model.tts_model.length_scale = self._scale / voice.rate
        more = {"language_name": settings.language} if settings.language else {}
        with seeded(voice.seed):
            wave = self._model.tts(
                text=item.text, speaker_name=speaker, split_sentences=False, **more
            )
        samples = np.asarray(wave, np.float32)
        if len(samples) > TAIL and not samples[-TAIL:].any():
            samples = samples[:-TAIL]
        who = f"{settings.name}: voice {voice.name!r}"
        try:
            return Said(as_speech(samples, self._rate_hz, who, item.text, voice, settings.limits))
        except SynthesisError as error:
            return Said(None, error)

    def _speaker(self, voice: VoiceSpec) -> str:
        if voice.name in self._speakers:
            return voice.name
        if voice.name == ONLY and len(self._speakers) <= 1:
            return self._speakers[0] if self._speakers else ""
        known = ", ".join(self._speakers[:20]) or ONLY
        raise BackendError(
            f"{self._settings.name}: no voice {voice.name!r} in {self._settings.folder}; it has "
            f"{known}"
        )
