"""The voice bank: who asks, who answers, and who is kept for evaluation."""

import difflib
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, cast

import yaml

from schemas.errors import SettingsError
from transforms.backends.tts import MANNERS, Reference, VoiceSpec
from transforms.references import read_reference

Role: TypeAlias = Literal["user", "assistant"]
Split: TypeAlias = Literal["train", "eval"]

ROLES: Final[tuple[Role, ...]] = ("user", "assistant")
SPLITS: Final[tuple[Split, ...]] = ("train", "eval")
FACTORS: Final = (0.2, 5.0)  # what a rate or a pitch may multiply by


@dataclass(frozen=True, kw_only=True)
class Voice:
    """One voice of the bank.

    ``speaker_id`` names the person (or the synthesizer) behind it: voices that are variants of
    one another share it. ``rate`` and ``pitch`` multiply. ``weight`` counts against the other
    candidates of the same role, language and split. ``license`` is an SPDX expression.
    ``recognizable: false`` says that speech recognition cannot judge it (espeak-ng's English): its
    alignment and WER are then reported as unavailable.

    ``reference`` is a clip to clone, a path relative to the bank's file, ``reference_text`` what
    is said in it; such a voice wants a ``consent`` note: who agreed to what, and when. ``style``,
    ``emotion`` and ``instruction`` are told to backends that honor them, and reported as ignored
    by the others. ``accent`` is for readers. ``reference_sha256`` is filled in; one that is given
    must be the clip's.
    """

    id: str
    speaker_id: str
    gender: str
    lang: str
    backend: str
    name: str  # the backend's own name for it
    license: str
    rate: float = 1.0
    pitch: float = 1.0
    roles: tuple[Role, ...] = ROLES
    splits: tuple[Split, ...] = SPLITS
    weight: float = 1.0
    recognizable: bool = True
    accent: str = ""
    style: str = ""
    emotion: str = ""
    instruction: str = ""
    task: str = ""
    reference: str = ""
    reference_text: str = ""
    reference_sha256: str = ""
    consent: str = ""

    @property
    def spec(self) -> VoiceSpec:
        """What the backend is told."""
        clip = None
        if self.reference_sha256:
            clip = Reference(self.reference, self.reference_sha256, self.reference_text)
        return VoiceSpec(
            name=self.name,
            lang=self.lang,
            rate=self.rate,
            pitch=self.pitch,
            reference=clip,
            style=self.style,
            emotion=self.emotion,
            instruction=self.instruction,
            task=self.task,
        )

    def facts(self) -> dict[str, Any]:
        """Its keys as a manifest keeps them: no path, and of what is newer only what is set."""
        found = asdict(self)
        for key in (*_NEWER, "reference"):
            if key == "reference" or not found[key]:
                del found[key]
        return found

    def ignored(self, honored: frozenset[str]) -> list[str]:
        """Which manners it asks for that its backend does not follow."""
        return [name for name in MANNERS if getattr(self, name) and name not in honored]


@dataclass(frozen=True)
class VoiceBank:
    """Voices in the order of their ids. One assistant voice per language, in both splits."""

    voices: tuple[Voice, ...]

    @property
    def langs(self) -> tuple[str, ...]:
        """The languages it speaks, sorted."""
        return tuple(sorted({voice.lang for voice in self.voices}))

    @property
    def unrecognizable(self) -> frozenset[str]:
        """The ids of the voices that speech recognition cannot judge."""
        return frozenset(voice.id for voice in self.voices if not voice.recognizable)


@dataclass(frozen=True, kw_only=True)
class LangDisjointness:
    """Which sounds and speakers the user voices of train and eval share in one language."""

    lang: str
    shared_voices: tuple[str, ...]
    shared_speakers: tuple[str, ...]
    only_split: Split | None = None  # set where one of the splits has no user voice at all

    @property
    def by_voice(self) -> bool:
        """Whether no eval user voice is also heard in train."""
        return not self.shared_voices

    @property
    def by_speaker(self) -> bool:
        """Whether no eval user speaker is also heard in train."""
        return not self.shared_speakers


@dataclass(frozen=True)
class Disjointness:
    """The answer per language, and as sentences for the report."""

    langs: tuple[LangDisjointness, ...]

    @property
    def sentence(self) -> str:
        """One sentence per language."""
        return " ".join(_sentence(lang) for lang in self.langs)


def load_bank(path: Path) -> VoiceBank:
    """Read and check a bank. Raises SettingsError naming the file, the voice and the key."""
    try:
        document: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"voice bank {path}: {error.strerror}; see voices.bank") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"voice bank {path}: not YAML: {error}") from error
    entries = document.get("voices") if isinstance(document, dict) else None
    if not isinstance(document, dict) or set(document) != {"voices"} or not entries:
        got = sorted(map(str, document)) if isinstance(document, dict) else document
        raise SettingsError(
            f"voice bank {path}: got {got!r}, wants one key `voices` with a list of voices"
        )
    if not isinstance(entries, list):
        raise SettingsError(f"voice bank {path}: `voices` is {entries!r}, wants a list of voices")
    voices = [_voice(entry, number, path) for number, entry in enumerate(entries, start=1)]
    return _checked(voices, path)


def candidates(bank: VoiceBank, role: Role, lang: str, split: Split) -> tuple[Voice, ...]:
    """The voices that may speak there, in the order of their ids. May be empty."""
    return tuple(v for v in bank.voices if v.lang == lang and role in v.roles and split in v.splits)


def choose(bank: VoiceBank, *, role: Role, lang: str, split: Split, draw: float) -> Voice:
    """The voice at ``draw`` (uniform in [0, 1)) of the cumulative weights in id order.

    Raises SettingsError where the bank has no voice for the place.
    """
    assert 0.0 <= draw < 1.0, draw
    able = candidates(bank, role, lang, split)
    if not able:
        raise SettingsError(
            f"voice bank: no {role} voice for {lang!r} in {split}; it speaks "
            f"{', '.join(bank.langs)}: add a voice with `lang: {lang}`, `roles: [{role}]`, "
            f"`splits: [{split}]`, or leave that language out"
        )
    point = draw * math.fsum(voice.weight for voice in able)
    for index, voice in enumerate(able):
        if point < math.fsum(v.weight for v in able[: index + 1]):
            return voice
    return able[-1]  # the product was rounded up to the sum


def disjointness(bank: VoiceBank) -> Disjointness:
    """Compare the user voices of train and eval: by what is heard (not by id), and by speaker."""
    return Disjointness(tuple(_compare(bank, lang) for lang in bank.langs))


def voice_digest(voice: Voice, backend_identity: Mapping[str, object]) -> str:
    """SHA-256 of what the sound, and how it is judged, depends on besides the text.

    Not of ids, weights or splits.
    """
    parts: dict[str, object] = {
        "backend": voice.backend,
        "name": voice.name,
        "lang": voice.lang,
        "rate": voice.rate,
        "pitch": voice.pitch,
        "identity": backend_identity,
    }
    if not voice.recognizable:
        parts["recognizable"] = False
    if voice.reference_sha256:
        parts["reference"] = [voice.reference_sha256, voice.reference_text]
    parts |= {key: getattr(voice, key) for key in (*MANNERS, "task") if getattr(voice, key)}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _compare(bank: VoiceBank, lang: str) -> LangDisjointness:
    train, evaluation = (candidates(bank, "user", lang, split) for split in SPLITS)
    heard_in_train = {_sound(voice) for voice in train}
    speakers = {voice.speaker_id for voice in train}
    only: Split | None = None
    if not train or not evaluation:
        only = "train" if train else "eval"
    return LangDisjointness(
        lang=lang,
        shared_voices=tuple(v.id for v in evaluation if _sound(v) in heard_in_train),
        shared_speakers=tuple(sorted({v.speaker_id for v in evaluation} & speakers)),
        only_split=only,
    )


def _sound(voice: Voice) -> tuple[object, ...]:
    spec = voice.spec
    clip = None if spec.reference is None else spec.reference.sha256
    manner = tuple(getattr(voice, key) for key in MANNERS)
    return voice.backend, voice.name, voice.rate, voice.pitch, clip, manner


def _sentence(lang: LangDisjointness) -> str:
    if lang.only_split is not None:
        return f"{lang.lang}: only {lang.only_split} has user voices, nothing to compare."
    if lang.by_voice and lang.by_speaker:
        return f"{lang.lang}: the user voices of train and eval share no voice and no speaker."
    speakers = ", ".join(lang.shared_speakers)
    if lang.by_voice:
        return (
            f"{lang.lang}: the user voices of train and eval share no voice, but they are "
            f"variants of the same speaker ({speakers})."
        )
    return (
        f"{lang.lang}: the user voices of train and eval are NOT disjoint: eval's "
        f"{', '.join(lang.shared_voices)} are heard in train too (speakers: {speakers})."
    )


_KEYS: Final = {f.name: f for f in fields(Voice)}
_WORDS: Final = ("id", "speaker_id", "gender", "lang", "backend", "name", "license")
_NEWER: Final = (
    *("accent", "style", "emotion", "instruction", "task"),
    *("reference_text", "reference_sha256", "consent"),
)
_TEXTS: Final = (*_NEWER, "reference")  # may be left out
_NUMBERS: Final = ("rate", "pitch", "weight")
_FLAGS: Final = ("recognizable",)
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {"roles": ROLES, "splits": SPLITS}


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
