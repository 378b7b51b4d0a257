"""From a job's `backends` to speech backends: paths made absolute, checksums filled in, keys."""

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from jobs.recipes.chat import Keys, missing_key
from jobs.settings.job import JobSettings
from jobs.settings.speech import (
    BUILT_IN,
    CoquiSettings,
    CosyvoiceSettings,
    SpeechEndpointSettings,
    SpeechSettings,
    VitsSettings,
)
from schemas.errors import SettingsError
from transforms.backends import tts_cosyvoice_files, tts_vits
from transforms.backends.chat.protocol import Sampling
from transforms.backends.tts import SpeechBackend
from transforms.backends.tts_coqui import Coqui
from transforms.backends.tts_cosyvoice import Cosyvoice
from transforms.backends.tts_endpoint import SpeechEndpoint, SpeechService
from transforms.backends.tts_files import Files, digest_files, file_sha256, place_variable
from transforms.backends.tts_sound import SoundLimits
from transforms.backends.tts_vits import Vits
from transforms.backends.tts_wire import SpeechForm
from transforms.voices import Voice

CLIPS_ENV: Final = "VOXMILL_REFERENCE_CLIPS"  # a folder in which replay finds reference clips
HIDDEN: Final = ("path", "checkout", "endpoint", "price", "device", "gpus")
USUAL_DEVICE: Final = {"cosyvoice": "cuda"}  # of a job that names none; of others the CPU
MODEL_FILES: Final = ("*.pt", "*.onnx", "*.yaml", "*.json", "*.safetensors", "*.txt", "*.plan")


def with_speech(job: JobSettings, folder: Path) -> JobSettings:
    """The job with absolute paths and the checksums of what is there.

    What is not there yet has none: a plan may go on, a build may not. Raises SettingsError for
    a file that is not the one that the job names.
    """
    found: dict[str, SpeechSettings] = {}
    for name, told in job.backends.items():
        if name in BUILT_IN:
            raise SettingsError(
                f"backends.{name}: {' and '.join(BUILT_IN)} are built in; give the backend "
                "another name, and use it in the bank"
            )
        if isinstance(told, SpeechEndpointSettings):
            found[name] = told
            continue
        place = _place(told.path, folder)
        update: dict[str, Any] = {"path": place}
        update["files"] = _checked(f"{name}.files", told.files, _files(told, place))
        if isinstance(told, CosyvoiceSettings):
            update["checkout"] = _place(told.checkout, folder)
            code = dict(checkout_files(Path(update["checkout"]))) if update["checkout"] else {}
            update["code"] = _checked(f"{name}.code", told.code, code)
        found[name] = told.model_copy(update=update)
    return job.model_copy(update={"backends": found}) if found else job


def absent_models(job: JobSettings, folder: Path) -> list[str]:
    """The backends that a job describes and whose files are not on this machine."""
    told = with_speech(job, folder).backends
    return [
        name
        for name, item in told.items()
        if not isinstance(item, SpeechEndpointSettings) and not _files(item, item.path)
    ]


def _place(path: str, folder: Path) -> str:
    return str((folder / Path(path).expanduser()).absolute()) if path else ""


def _files(told: SpeechSettings, place: str) -> dict[str, str]:
    folder = Path(place)
    if not place or not folder.is_dir():
        return {}
    names: Iterable[str]
    if isinstance(told, VitsSettings):
        names = tts_vits.FILES
    elif isinstance(told, CoquiSettings):
        names = Coqui(
            checkpoint=told.checkpoint,
            config=told.config,
            speakers_file=told.speakers_file,
            languages_file=told.languages_file,
        ).needed
    else:
        names = [
            path.relative_to(folder).as_posix()
            for pattern in MODEL_FILES
            for path in folder.rglob(pattern)
        ]
    return dict(digest_files(folder, names))


def checkout_files(checkout: Path) -> Files:
    """One checksum for the Python files of a CosyVoice checkout that run in a build."""
    if not (checkout / "cosyvoice").is_dir():
        return ()
    from schemas.canonical import digest

    listed = sorted(
        (path.relative_to(checkout).as_posix(), file_sha256(path))
        for below in ("cosyvoice", tts_cosyvoice_files.MATCHA)
        for path in (checkout / below).rglob("*.py")
    )
    return (("checkout", digest(listed)),)


def _checked(where: str, given: dict[str, str], there: dict[str, str]) -> dict[str, str]:
    """What is there, if it is what the job says; what the job says, where nothing is there."""
    for name, sha256 in given.items():
        if name in there and not there[name].startswith(sha256):
            raise SettingsError(
                f"backends.{where}: {name} has the checksum {there[name][:16]}, wanted "
                f"{sha256[:16]}: the file is damaged or of another release; download it again, or "
                "correct the checksum"
            )
    return there or given


def speech_backends(job: JobSettings, keys: Keys) -> tuple[SpeechBackend, ...]:
    """The backends that a job describes."""
    return tuple(_backend(name, told, keys) for name, told in sorted(job.backends.items()))


def _backend(name: str, told: SpeechSettings, keys: Keys) -> SpeechBackend:
    limits = SoundLimits(**told.limits.model_dump())
    if isinstance(told, SpeechEndpointSettings):
        return _endpoint(name, told, limits, keys)
    env = place_variable(name)
    place = told.path
    if not place and os.environ.get(env):  # a snapshot's: its checksums must hold
        place = os.environ[env]
        _checked(f"{name}.files", told.files, _files(told, place))
    common: dict[str, Any] = {
        "name": name,
        "folder": place,
        "files": tuple(sorted(told.files.items())),
        "device": told.device,
        "threads": told.threads,
        "gpus": float(told.device != "cpu") if told.gpus is None else told.gpus,
        "max_chars": told.max_chars,
        "limits": limits,
    }
    if isinstance(told, VitsSettings):
        return Vits(
            **common,
            speakers=tuple(sorted(told.speakers.items())),
            batch_items=told.batch_items,
            batch_frames=told.batch_frames,
            noise_scale=told.noise_scale,
            noise_scale_duration=told.noise_scale_duration,
        )
    if isinstance(told, CoquiSettings):
        more = ("checkpoint", "config", "speakers_file", "languages_file", "language")
        return Coqui(**common, **told.model_dump(include=set(more)))
    return Cosyvoice(
        **common,
        checkout=told.checkout or os.environ.get(f"{env}_CHECKOUT", ""),
        code=tuple(sorted(told.code.items())),
        instruct=told.instruct,
        fp16=told.fp16,
        wide_chars=told.wide_chars,
    )


def _endpoint(
    name: str, told: SpeechEndpointSettings, limits: SoundLimits, keys: Keys
) -> SpeechEndpoint:
    form = SpeechForm(
        model=told.model,
        revision=told.revision,
        response_format=told.response_format,
        sample_rate_hz=told.sample_rate_hz,
        languages=tuple(sorted(told.languages.items())),
        send_seed=told.send_seed,
        send_speed=told.send_speed,
        extra=json.dumps(told.extra, sort_keys=True),
    )
    options: dict[str, Any] = {
        "sampling": Sampling(model=told.model),
        "form": form,
        "limits": limits,
        "batch_items": told.batch_items,
        "setting": f"backends.{name}",
    }
    reached = told.endpoint
    if reached is None:
        options["not_ready"] = (
            f"the job names no endpoint for the backend '{name}'; set backends.{name}.endpoint.urls"
        )
    else:
        env = reached.api_key_env
        options |= reached.model_dump(exclude={"api_key_env"})
        options["key"] = keys.get(env) if env else None
        options["not_ready"] = missing_key(env) if env and env not in keys else ""
    return SpeechEndpoint(
        name=name,
        service=SpeechService(**options),
        form=form,
        max_chars=told.max_chars,
        limits=limits,
    )


def without_places(settings: dict[str, Any]) -> None:
    """Take paths, addresses and what changes no byte out of a manifest's settings.

    The whole key goes where there is no backend: a manifest from before it stays as it was.
    """
    for told in settings["backends"].values():
        device, usual = told.get("device", "cpu"), USUAL_DEVICE.get(told["kind"], "cpu")
        for key in HIDDEN:
            told.pop(key, None)
        if device != usual or device != "cpu":
            told["device"] = device.split(":", 1)[0]
    if not settings["backends"]:
        del settings["backends"]


def with_clip(voice: Voice) -> Voice:
    """A voice of a manifest, whose clip is looked for in the folder that the environment names."""
    place = os.environ.get(CLIPS_ENV, "")
    if not voice.reference_sha256 or not place or not Path(place).is_dir():
        return voice
    for path in sorted(Path(place).iterdir()):
        if path.is_file() and file_sha256(path) == voice.reference_sha256:
            return replace(voice, reference=str(path))
    return voice
