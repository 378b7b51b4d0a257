"""Reads a voice bank: the YAML file, each key of a voice, its clip; quotas in quota_file."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Final, cast

import yaml

from schemas.errors import SettingsError
from transforms.quota_file import with_quotas
from transforms.references import read_reference
from transforms.voices import FACTORS, NEWER, ROLES, SPLITS, Voice, VoiceBank

KEYS: Final = {"voices", "quotas"}
_KEYS: Final = {f.name: f for f in fields(Voice)}
_WORDS: Final = ("id", "speaker_id", "gender", "lang", "backend", "name", "license")
_TEXTS: Final = (*NEWER, "reference")  # may be left out
_NUMBERS: Final = ("rate", "pitch", "weight")
_FLAGS: Final = ("recognizable",)
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {"roles": ROLES, "splits": SPLITS}


def load_bank(path: Path) -> VoiceBank:
    """Read and check a bank. Raises SettingsError naming the file, the voice and the key."""
    try:
        document: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"voice bank {path}: {error.strerror}; see voices.bank") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"voice bank {path}: not YAML: {error}") from error
    entries = document.get("voices") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not {"voices"} <= set(document) <= KEYS or not entries:
        got = sorted(map(str, document)) if isinstance(document, dict) else document
        raise SettingsError(
            f"voice bank {path}: got {got!r}, wants the key `voices` with a list of voices, and "
            "perhaps `quotas`"
        )
    if not isinstance(entries, list):
        raise SettingsError(f"voice bank {path}: `voices` is {entries!r}, wants a list of voices")
    voices = [_voice(entry, number, path) for number, entry in enumerate(entries, start=1)]
    bank = _checked(voices, path)
    return with_quotas(bank, document["quotas"], path) if "quotas" in document else bank


@dataclass
class _Entry:
    """One entry of the file on its way to a Voice."""

    where: str
    values: dict[str, object] = field(default_factory=dict)

    def wrong(self, key: str, wanted: str) -> SettingsError:
        return SettingsError(f"{self.where}: `{key}` is {self.values.get(key)!r}, wants {wanted}")

    def word(self, key: str) -> str:
        value = self.values[key]
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(key, "text (in quotes where YAML reads it as something else)")
        return value

    def number(self, key: str) -> float:
        value = self.values[key]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(key, "a number")
        if not math.isfinite(value) or value <= 0:
            raise self.wrong(key, "a number above 0")
        if key != "weight" and not FACTORS[0] <= value <= FACTORS[1]:
            raise self.wrong(key, f"a factor from {FACTORS[0]} to {FACTORS[1]}")
        return float(value)

    def flag(self, key: str) -> bool:
        value = self.values[key]
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def choices(self, key: str) -> tuple[str, ...]:
        value, allowed = self.values[key], _CHOICES[key]
        chosen = [word for word in allowed if isinstance(value, list) and word in value]
        if not isinstance(value, list) or not chosen or len(chosen) != len(value):
            raise self.wrong(key, f"a list of {' or '.join(allowed)}, each at most once")
        return tuple(chosen)


def _voice(entry: object, number: int, path: Path) -> Voice:
    where = f"voice bank {path}: voice {number}"
    if not isinstance(entry, dict):
        raise SettingsError(f"{where} is {entry!r}, wants keys such as id, backend and name")
    if isinstance(entry.get("id"), str):
        where = f"{where} ({entry['id']})"
    for key in entry:
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key), _KEYS, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"it wants {', '.join(_KEYS)}"
            raise SettingsError(f"{where}: unknown key `{key}`: {hint}")
    missing = [k for k, f in _KEYS.items() if f.default is MISSING and k not in entry]
    if missing:
        raise SettingsError(f"{where}: `{missing[0]}` is missing; every voice wants it")
    reader = _Entry(where, entry)
    values: dict[str, object] = {}
    values.update({key: reader.word(key) for key in _WORDS})
    values.update({key: reader.word(key) for key in _TEXTS if key in entry})
    values.update({key: reader.number(key) for key in _NUMBERS if key in entry})
    values.update({key: reader.flag(key) for key in _FLAGS if key in entry})
    values.update({key: reader.choices(key) for key in _CHOICES if key in entry})
    made = Voice(**cast("dict[str, str]", values))  # type: ignore[arg-type]  # read by kind above
    return with_reference(made, path.parent, where) if made.reference else made


def with_reference(voice: Voice, folder: Path, where: str) -> Voice:
    """A cloned voice with its clip's path and checksum. Raises SettingsError with the cure."""
    if not voice.consent:
        raise SettingsError(
            f"{where}: it clones a person from `reference`, and there is no `consent`; write who "
            "agreed to what and when, or take a voice that needs no clip"
        )
    path = (folder / Path(voice.reference).expanduser()).absolute()
    sha256 = read_reference(path, where)
    if voice.reference_sha256 not in ("", sha256):
        raise SettingsError(
            f"{where}: {path} has the checksum {sha256[:16]}, wants `reference_sha256` "
            f"{voice.reference_sha256[:16]}: another clip stands there; restore it, or drop the key"
        )
    return replace(voice, reference=str(path), reference_sha256=sha256)


def _checked(voices: list[Voice], path: Path) -> VoiceBank:
    bank = VoiceBank(tuple(sorted(voices, key=lambda voice: voice.id)))
    for first, second in zip(bank.voices, bank.voices[1:], strict=False):
        if first.id == second.id:
            raise SettingsError(f"voice bank {path}: two voices have the id {first.id!r}")
    for lang in bank.langs:
        answering = [v for v in bank.voices if v.lang == lang and "assistant" in v.roles]
        if len(answering) != 1:
            ids = ", ".join(voice.id for voice in answering) or "none"
            raise SettingsError(
                f"voice bank {path}: {lang!r} has {len(answering)} assistant voices ({ids}), wants "
                "exactly one: write `roles: [user]` on the voices that only ask"
            )
        if answering[0].splits != SPLITS:
            raise SettingsError(
                f"voice bank {path}: the assistant voice {answering[0].id!r} is in "
                f"{', '.join(answering[0].splits)} only, wants both splits: one voice answers all"
            )
    return bank
