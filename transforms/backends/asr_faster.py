"""Whisper by faster-whisper (CTranslate2), from a local folder: greedy, in the language of the row.

Each window of at most 30 s is decoded alone, with one beam and temperature 0 alone; what makes a
text depend on the window before it, or on a fallback's chance, is off.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar, Final

from schemas.errors import BackendError
from transforms.audio import to_float
from transforms.backends.asr_windows import MIN_SAMPLES, windows
from transforms.backends.listening import Clip, OpenRecognizer, Transcript
from transforms.backends.tts_files import Files, check_unchanged, files_identity, installed

NEEDED: Final = ("model.bin", "config.json", "tokenizer.json")
FILES: Final = (*NEEDED, "preprocessor_config.json", "vocabulary.*")


@dataclass(frozen=True, kw_only=True)
class FasterWhisper:
    """A converted model by the checksums of its files; ``folder`` is in no fingerprint.

    ``compute_type`` is CTranslate2's word for what it computes in, float32 or int8 on a CPU.
    """

    folder: str
    files: Files = ()
    langs: tuple[str, ...] = ("en",)
    device: str = "cpu"
    compute_type: str = "float32"
    threads: int = 1
    max_new_tokens: int = 224
    gpus: float = 0.0
    setting: str = "checks.asr"

    batch_rows: ClassVar[int] = 1

    @property
    def bit_stable(self) -> bool:
        """On a CPU."""
        return self.device == "cpu"

    def identity(self) -> Mapping[str, object]:
        """Checksums, versions, and what else changes a text."""
        return {
            "backend": "faster_whisper",
            "files": files_identity(self.files),
            "langs": sorted(self.langs),
            "device": self.device.split(":", 1)[0],
            "compute_type": self.compute_type,
            "threads": self.threads,
            "max_new_tokens": self.max_new_tokens,
            **installed("faster-whisper", "ctranslate2", "numpy", "cpu"),
        }

    def check(self) -> None:
        """Look at the library and the files."""
        if find_spec("faster_whisper") is None:
            raise BackendError(
                f"{self.setting}: faster-whisper is not installed; "
                "pip install -c constraints.txt -e '.[whisper]'"
            )
        folder = Path(self.folder)
        missing = [name for name in NEEDED if not (folder / name).is_file()]
        if not self.folder or missing:
            raise BackendError(
                f"{self.setting}: {self.folder or '(no folder named)'} lacks "
                f"{', '.join(missing) or 'a model'}; convert a checkpoint with "
                "ct2-transformers-converter --model DIR --output_dir OUT "
                "--copy_files tokenizer.json preprocessor_config.json, and name OUT in "
                f"{self.setting}.path"
            )

    @contextmanager
    def open(self) -> Iterator[OpenRecognizer]:
        """Load the model. Raises BackendError where it is none, or lacks a language."""
        self.check()
        check_unchanged(self.folder, self.files, self.setting)
        yield _Ears(self)


class _Ears:
    def __init__(self, settings: FasterWhisper) -> None:
        from faster_whisper import WhisperModel

        self._settings = settings
        self._lock = Lock()
        device, _, index = settings.device.partition(":")
        try:
            self._model: Any = WhisperModel(
                settings.folder,
                device=device,
                device_index=int(index or 0),
                compute_type=settings.compute_type,
                cpu_threads=settings.threads,
                num_workers=1,
                local_files_only=True,
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise BackendError(
                f"{settings.setting}: {settings.folder} cannot be loaded on {settings.device} as "
                f"{settings.compute_type}: {str(error)[:300]}; convert it again, or set another "
                f"{settings.setting}.device or compute_type"
            ) from error
        unknown = sorted(set(settings.langs) - set(self._known()))
        if unknown:
            raise BackendError(
                f"{settings.setting}: {settings.folder} does not know {', '.join(unknown)}; take "
                f"a multilingual model, or leave them out of {settings.setting}.langs"
            )

    def _known(self) -> tuple[str, ...]:
        """Its languages: of those that the library lists, the ones that its tokens have."""
        if not self._model.model.is_multilingual:
            return ("en",)
        has = self._model.hf_tokenizer.token_to_id
        return tuple(
            lang for lang in self._model.supported_languages if has(f"<|{lang}|>") is not None
        )

    def transcribe(self, clips: Sequence[Clip]) -> list[Transcript]:
        return [Transcript(self._text(clip)) for clip in clips]

    def _text(self, clip: Clip) -> str:
        said = []
        for part in windows(clip.samples):
            if len(part) < MIN_SAMPLES:
                continue
            with self._lock:
                segments, _ = self._model.transcribe(
                    to_float(part),
                    language=clip.lang,
                    task="transcribe",
                    beam_size=1,
                    best_of=1,
                    temperature=0.0,
                    compression_ratio_threshold=None,
                    log_prob_threshold=None,
                    no_speech_threshold=None,
                    condition_on_previous_text=False,
                    without_timestamps=True,
                    max_new_tokens=self._settings.max_new_tokens,
                )
                said += [segment.text.strip() for segment in segments]
        return " ".join(text for text in said if text)
