"""From `checks.asr`, `second` and `mos` to listeners: paths made absolute, checksums filled in."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from jobs.settings.check import Checks
from jobs.settings.listen import (
    FasterWhisperSettings,
    MosSettings,
    PocketsphinxSettings,
    RecognizerSettings,
    TranscriptionSettings,
    WhisperSettings,
)
from schemas.errors import BackendError, SettingsError
from transforms.backends import asr_faster, asr_whisper
from transforms.backends.asr_endpoint import Form, TranscriptionEndpoint, TranscriptionService
from transforms.backends.asr_faster import FasterWhisper
from transforms.backends.asr_whisper import Whisper
from transforms.backends.chat.protocol import Sampling
from transforms.backends.chat.secret import Secret
from transforms.backends.listening import Recognizer
from transforms.backends.mos import Feeding, MosProgram, mos_program
from transforms.backends.pocketsphinx import PocketsphinxRecognizer
from transforms.backends.tts_files import digest_files
from transforms.checks import Checks as Ears
from transforms.text.language import known_languages

PLACE_ENV: Final = "VOXMILL_CHECKS_PATH_"  # + ASR, SECOND or MOS: where replay finds a model
HIDDEN: Final = ("path", "endpoint", "gpus", "price")
PARTS: Final = ("asr", "second")
LATER: Final = {"asr": None, "second": None, "mos": None, "asr_rule": "agree", "asr_agree_max": 0.3}


def with_listening(checks: Checks, folder: Path) -> Checks:
    """The section with absolute paths, checksums and languages of what is there.

    What is not there yet has none: a plan may go on, a build may not. Raises SettingsError for a
    file that is not the one that the job names, and for a language without text rules.
    """
    update: dict[str, Any] = {}
    for part in PARTS:
        told = getattr(checks, part)
        if isinstance(told, WhisperSettings | FasterWhisperSettings):
            update[part] = _with_files(part, told, folder)
        elif isinstance(told, TranscriptionSettings):
            update[part] = told.model_copy(update={"langs": told.langs or known_languages()})
        strange = sorted(set(getattr(update.get(part, told), "langs", ())) - set(known_languages()))
        if strange:
            raise SettingsError(
                f"checks.{part}.langs: no text rules for {', '.join(strange)}, so what is heard "
                f"cannot be compared; leave them out: there are {', '.join(known_languages())}"
            )
    if checks.mos is not None and checks.mos.path:
        place = _place(checks.mos.path, folder)
        made = mos_program(Path(place), setting="checks.mos", sha256=checks.mos.sha256)
        told_mos = {
            "path": place,
            "sha256": made.sha256,
            "feeding": made.feeding.model_dump(mode="json"),
        }
        update["mos"] = checks.mos.model_copy(update=told_mos)
    return checks.model_copy(update=update) if update else checks


def _with_files(
    part: str, told: WhisperSettings | FasterWhisperSettings, folder: Path
) -> WhisperSettings | FasterWhisperSettings:
    place = _place(told.path, folder)
    there = _files(told, place)
    _check_files(f"checks.{part}.files", told.files, there)
    langs = told.langs
    if not langs:
        langs = ("en",)
        if isinstance(told, WhisperSettings) and asr_whisper.GENERATION in there:
            known = asr_whisper.known_langs(Path(place), f"checks.{part}")
            langs = tuple(lang for lang in known_languages() if lang in known)
    return told.model_copy(update={"path": place, "files": there or told.files, "langs": langs})


def _place(path: str, folder: Path) -> str:
    return str((folder / Path(path).expanduser()).absolute()) if path else ""


def _files(told: WhisperSettings | FasterWhisperSettings, place: str) -> dict[str, str]:
    root = Path(place)
    if not place or not root.is_dir():
        return {}
    listed = asr_whisper.FILES if isinstance(told, WhisperSettings) else asr_faster.FILES
    return dict(digest_files(root, [p.name for pattern in listed for p in root.glob(pattern)]))


def _check_files(where: str, given: dict[str, str], there: dict[str, str]) -> None:
    for name, sha256 in given.items():
        if name in there and not there[name].startswith(sha256):
            raise SettingsError(
                f"{where}: {name} has the checksum {there[name][:16]}, wanted {sha256[:16]}: the "
                "file is damaged or of another release; download it again, or correct the checksum"
            )


def recognizer_of(told: RecognizerSettings | None, part: str) -> Recognizer:
    """The recognizer that a part of the section describes; PocketSphinx where it says nothing."""
    if told is None or isinstance(told, PocketsphinxSettings):
        return PocketsphinxRecognizer()
    if isinstance(told, TranscriptionSettings):
        return _endpoint(told, part)
    place = told.path
    if not place and os.environ.get(PLACE_ENV + part.upper()):  # a snapshot's: they must hold
        place = os.environ[PLACE_ENV + part.upper()]
        _check_files(f"checks.{part}.files", told.files, _files(told, place))
    common: dict[str, Any] = {
        "folder": place,
        "files": tuple(sorted(told.files.items())),
        "langs": told.langs or ("en",),
        "device": told.device,
        "threads": told.threads,
        "max_new_tokens": told.max_new_tokens,
        "gpus": float(told.device != "cpu") if told.gpus is None else told.gpus,
        "setting": f"checks.{part}",
    }
    if isinstance(told, WhisperSettings):
        return Whisper(**common, dtype=told.dtype, batch_items=told.batch_items)
    return FasterWhisper(**common, compute_type=told.compute_type)


def missing_key(env: str) -> str:
    """What is said where an API key is not there."""
    return f"the environment variable {env}, which holds the API key, is not set; export it first"


def _endpoint(told: TranscriptionSettings, part: str) -> TranscriptionEndpoint:
    form = Form(
        model=told.model,
        revision=told.revision,
        temperature=told.temperature,
        prompt=told.prompt,
        languages=tuple(sorted(told.languages.items())),
        extra=json.dumps(told.extra, sort_keys=True),
    )
    options: dict[str, Any] = {"sampling": Sampling(model=told.model), "form": form}
    reached = told.endpoint
    if reached is None:
        options["not_ready"] = (
            f"the job names no endpoint for the recognizer; set checks.{part}.endpoint.urls"
        )
    else:
        env = reached.api_key_env
        key = os.environ.get(env, "").strip() if env else ""
        options |= reached.model_dump(exclude={"api_key_env"})
        options["key"] = Secret(key) if key else None
        if env and not key:
            options["not_ready"] = missing_key(env)
    return TranscriptionEndpoint(
        service=TranscriptionService(**options), langs=told.langs, setting=f"checks.{part}"
    )


def predictor_of(told: MosSettings | None) -> MosProgram | None:
    """The predictor of opinion. Raises BackendError for one of a snapshot that is nowhere told."""
    if told is None:
        return None
    try:
        feeding = Feeding.model_validate(told.feeding)
    except ValidationError as error:
        raise BackendError(
            "checks.mos.path: no predictor is named; give the YAML file that describes one: "
            "docs/listeners.md has an example"
        ) from error
    path, place = told.path, os.environ.get(PLACE_ENV + "MOS", "")
    program = str(Path(path).parent / feeding.program) if path else ""
    if not path and place:
        program = str(Path(place) / feeding.program if Path(place).is_dir() else place)
    return MosProgram(path=program, sha256=told.sha256, feeding=feeding, threads=told.threads)


def check_listeners(ears: Ears) -> None:
    """Raise BackendError, with the cure, for a listener that cannot be used here."""
    for recognizer in ears.recognizers:
        recognizer.check()
    if ears.predictor is not None and ears.mos_fraction > 0:
        ears.predictor.check()


def without_listeners(checks: dict[str, Any]) -> None:
    """Take paths, addresses and what changes no byte out of a manifest's section.

    A part that says nothing goes: a manifest from before it stays as it was.
    """
    for part, default in LATER.items():
        told = checks[part]
        if told == default:
            del checks[part]
        elif isinstance(told, dict):
            for key in HIDDEN:
                told.pop(key, None)
            if "device" in told:
                told["device"] = told["device"].split(":", 1)[0]


def endpoints_of(checks: Checks) -> Iterator[tuple[str, TranscriptionSettings]]:
    """The parts that are behind an endpoint."""
    for part in PARTS:
        told = getattr(checks, part)
        if isinstance(told, TranscriptionSettings) and checks.asr_fraction > 0:
            yield part, told
