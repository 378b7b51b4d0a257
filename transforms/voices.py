"""The voice bank: who asks, who answers, and who is kept for evaluation."""

import hashlib
import json
import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

from schemas.errors import SettingsError
from transforms.backends.tts import MANNERS, Reference, VoiceSpec
from transforms.quotas import Quota, fitted

Role: TypeAlias = Literal["user", "assistant"]
Split: TypeAlias = Literal["train", "eval"]

ROLES: Final[tuple[Role, ...]] = ("user", "assistant")
SPLITS: Final[tuple[Split, ...]] = ("train", "eval")
FACTORS: Final = (0.2, 5.0)  # what a rate or a pitch may multiply by
NEWER: Final = (  # keys that a manifest holds only where they are set
    *("accent", "style", "emotion", "instruction", "task"),
    *("reference_text", "reference_sha256", "consent"),
)


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
        for key in (*NEWER, "reference"):
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
    quotas: tuple[Quota, ...] = ()  # sorted by attribute

    @cached_property
    def lineups(self) -> dict[tuple[Role, str, Split], "Lineup"]:
        """The places that were asked for, so that none is worked out twice."""
        return {}

    @property
    def langs(self) -> tuple[str, ...]:
        """The languages it speaks, sorted."""
        return tuple(sorted({voice.lang for voice in self.voices}))

    @property
    def unrecognizable(self) -> frozenset[str]:
        """The ids of the voices that speech recognition cannot judge."""
        return frozenset(voice.id for voice in self.voices if not voice.recognizable)


@dataclass(frozen=True)
class Lineup:
    """Who may speak in one place: voices in the order of their ids, and what counts for a draw.

    ``weights`` are the voices' own, or their shares where a quota covers the place. ``bounds`` are
    the running sums.
    """

    voices: tuple[Voice, ...]
    weights: tuple[float, ...]
    bounds: tuple[float, ...]

    @property
    def shares(self) -> tuple[float, ...]:
        """What part of the draws each voice gets."""
        total = math.fsum(self.weights)
        return tuple(weight / total for weight in self.weights)


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


def candidates(bank: VoiceBank, role: Role, lang: str, split: Split) -> tuple[Voice, ...]:
    """The voices that may speak there, in the order of their ids. May be empty."""
    return tuple(v for v in bank.voices if v.lang == lang and role in v.roles and split in v.splits)


def lineup(bank: VoiceBank, role: Role, lang: str, split: Split) -> Lineup:
    """The voices of a place and their weights, quotas applied. May be empty.

    Raises SettingsError for quotas that cannot be met there.
    """
    found = bank.lineups.get((role, lang, split))
    if found is None:
        able = candidates(bank, role, lang, split)
        weights = tuple(voice.weight for voice in able)
        quotas = [quota for quota in bank.quotas if quota.covers(role, lang, split)]
        if able and quotas:
            kinds = [tuple(getattr(voice, quota.by) for quota in quotas) for voice in able]
            where = f"voice bank: {role} voices of {lang!r} in {split}"
            weights = fitted(weights, kinds, quotas, where)
        bounds = tuple(math.fsum(weights[: place + 1]) for place in range(len(able)))
        found = bank.lineups[role, lang, split] = Lineup(able, weights, bounds)
    return found


def choose(bank: VoiceBank, *, role: Role, lang: str, split: Split, draw: float) -> Voice:
    """The voice at ``draw`` (uniform in [0, 1)) of the cumulative weights in id order.

    Raises SettingsError where the bank has no voice for the place.
    """
    assert 0.0 <= draw < 1.0, draw
    here = lineup(bank, role, lang, split)
    if not here.voices:
        raise SettingsError(
            f"voice bank: no {role} voice for {lang!r} in {split}; it speaks "
            f"{', '.join(bank.langs)}: add a voice with `lang: {lang}`, `roles: [{role}]`, "
            f"`splits: [{split}]`, or leave that language out"
        )
    total = here.bounds[-1]
    point = min(draw * total, math.nextafter(total, 0.0))  # the product may be rounded up to it
    return here.voices[bisect_right(here.bounds, point)]


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
