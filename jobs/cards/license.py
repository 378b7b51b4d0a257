"""What a corpus may say of its license: what follows from source, language model, TTS and voice."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

from jobs.cards.license_table import FORBIDDING, NON_COMMERCIAL, SHARE_ALIKE, Terms, terms_of
from jobs.report.corpus import Corpus
from schemas.errors import SettingsError
from schemas.snapshot import Manifest

Kind: TypeAlias = Literal["source", "earlier corpus", "language model", "speech synthesis", "voice"]
# Programs whose license covers the program and says nothing of the sound that it makes. What a
# voice of theirs is licensed under is said in the voice bank.
PROGRAMS: Final = {"espeak": "GPL-3.0-or-later"}
UNKNOWN: Final = "unknown"


@dataclass(frozen=True)
class Part:
    """Something that the corpus is made with: what it is, its license, how much rests on it."""

    kind: Kind
    name: str
    license: str
    samples: int = 0
    terms: Terms | None = None
    binds: bool = True  # whether the license reaches what is made with it
    utterances: int = 0  # of a voice, in the place of samples

    @property
    def told(self) -> str:
        """In words, for lists of what is unknown."""
        return f"{self.kind} {self.name}: {self.license or 'none given'}"

    @property
    def covers(self) -> str:
        """How much rests on it, in words; empty where that is not counted."""
        if self.utterances:
            return f"{self.utterances:,} utterances"
        return f"{self.samples:,} samples" if self.samples else ""


@dataclass(frozen=True)
class Granted:
    """The outcome. ``license`` is a name on the Hugging Face Hub, or ``unknown``."""

    parts: Sequence[Part]
    license: str
    restrictions: Sequence[str]
    unknown: Sequence[str]  # what has no known license
    forbidding: Sequence[str]  # what may not be published at all

    @property
    def publishable(self) -> bool:
        """Whether everything is known and nothing forbids."""
        return not self.unknown and not self.forbidding

    def alike(self) -> list[tuple[Part, list[str]]]:
        """Parts of one kind under one license as one, with all their names.

        Samples of several sources add up; several models have written the same samples.
        """
        found: dict[tuple[Kind, str, bool], list[Part]] = {}
        for part in self.parts:
            found.setdefault((part.kind, part.license, part.binds), []).append(part)
        return [
            (
                replace(
                    parts[0],
                    samples=(sum if kind == "source" else max)(part.samples for part in parts),
                    utterances=sum(part.utterances for part in parts),
                ),
                [part.name for part in parts],
            )
            for (kind, _, _), parts in found.items()
        ]

    def front_matter(self) -> dict[str, str]:
        """The license keys of a dataset card."""
        if self.unknown:
            return {"license": UNKNOWN}
        if self.forbidding:
            return {"license": "other", "license_name": "may-not-be-published"}
        return {"license": self.license}


def granted_of(
    manifest: Manifest, corpus: Corpus, said: Mapping[str, str] | None = None
) -> Granted:
    """The license of a corpus. ``said`` gives licenses by name: of a source, a model, a voice.

    It also may say what an unknown license amounts to. Raises SettingsError for what is not there.
    """
    told = said or {}
    parts = [_with(part, told) for part in _parts(manifest, corpus)]
    names = {part.name for part in _parts(manifest, corpus)}
    names |= {part.license for part in _parts(manifest, corpus)}
    for name in sorted(set(told) - names):
        raise SettingsError(
            f"--license {name}={told[name]}: nothing here is named so; there are "
            f"{', '.join(sorted(names - {''}))}"
        )
    return outcome(parts)


def outcome(parts: Sequence[Part]) -> Granted:
    """The most restrictive outcome of all parts that bind."""
    binding = [part for part in parts if part.binds]
    unknown = [part.told for part in binding if part.terms is None]
    unknown += [] if binding else ["the corpus: nothing in it has a license"]
    known = [(part, part.terms) for part in binding if part.terms is not None]
    forbidding = [
        f"{part.told} ({ask})" for part, terms in known for ask in terms.asks if ask in FORBIDDING
    ]
    forbidding += _contradictions(known)
    strictest = max((terms for _, terms in known), key=lambda terms: terms.rank, default=None)
    asks = dict.fromkeys(ask for _, terms in known for ask in terms.asks)
    return Granted(
        parts=parts,
        license=UNKNOWN if strictest is None or unknown else strictest.hub,
        restrictions=[ask for ask in asks if ask not in FORBIDDING],
        unknown=list(dict.fromkeys(unknown)),
        forbidding=list(dict.fromkeys(forbidding)),
    )


def as_code(text: str) -> str:
    """A word from a user as Markdown code: inert, and on one line."""
    shown = "".join(" " if char in "`|<>" or not char.isprintable() else char for char in text)
    return f"`{shown.strip()}`" if shown.strip() else "(none given)"


def _with(part: Part, told: Mapping[str, str]) -> Part:
    """The part under the license that somebody says it has. Raises SettingsError."""
    given = told.get(part.name, told.get(part.license))
    if given is None:
        return part
    terms = terms_of(given)
    if terms is None:
        raise SettingsError(
            f"--license {part.name}={given}: not in the table of "
            f"jobs/cards/license_table.py; wanted an "
            "SPDX id or a name of the Hugging Face Hub, such as cc-by-4.0"
        )
    return replace(part, license=given, terms=terms, binds=True)


def _parts(manifest: Manifest, corpus: Corpus) -> Iterator[Part]:
    for (source, granted), amount in sorted(corpus.origins.items()):
        yield Part("source", source, granted, amount.samples, terms_of(granted))
    settings: dict[str, Any] = dict(manifest["settings"])
    yield from _models(settings, corpus)
    read_from = settings.get("source")
    earlier = read_from.get("snapshot") if isinstance(read_from, dict) else None
    if earlier is not None:
        # who spoke and wrote there is in no row: what its own card says has to be told
        yield Part("earlier corpus", str(earlier["identity"])[:12], "", _accepted(corpus))
    yield from _voices(corpus, told=earlier is not None)


def _accepted(corpus: Corpus) -> int:
    return sum(amount.samples for amount in corpus.places.values())


def _voices(corpus: Corpus, *, told: bool) -> Iterator[Part]:
    """The programs that speak, and the voices that are heard.

    One that the bank does not have is of unknown license, unless an earlier corpus stands for it.
    """
    heard: dict[str, int] = {}
    for (_, _, _, voice, _), amount in corpus.voices.items():
        heard[voice] = heard.get(voice, 0) + amount.utterances
    by_id = {voice.id: voice for voice in corpus.bank.voices}
    for backend in sorted({by_id[name].backend for name in heard if name in by_id}):
        if backend in PROGRAMS:
            granted = PROGRAMS[backend]
            yield Part("speech synthesis", backend, granted, 0, terms_of(granted), binds=False)
    for name, utterances in sorted(heard.items()):
        if name in by_id:
            known = by_id[name]
            # the bank gives such a voice the license of the program that makes it
            binds = known.license != PROGRAMS.get(known.backend)
            terms = terms_of(known.license)
            yield Part("voice", name, known.license, 0, terms, binds, utterances)
        elif name and not told:
            yield Part("voice", name, "", utterances=utterances)


def _models(settings: dict[str, Any], corpus: Corpus) -> Iterator[Part]:
    """The language models that wrote what is said."""
    samples = _accepted(corpus)
    names = [
        settings[step]["chat"]["model"]
        for step in ("rewrite", "respond")
        if isinstance(settings.get(step), dict) and settings[step].get("backend") == "chat"
    ]
    for name in dict.fromkeys(names):
        model = settings["models"][name]
        granted = str(model.get("license", ""))
        yield Part("language model", str(model["model"]), granted, samples, terms_of(granted))


def _contradictions(known: Iterable[tuple[Part, Terms]]) -> list[str]:
    """Share-alike of one part against what another part asks of the same samples."""
    parts = list(known)
    found = []
    for part, terms in parts:
        for other, others in parts:
            apart = part.kind != other.kind or part.kind == "language model"
            if not apart or part is other or SHARE_ALIKE not in terms.asks:
                continue
            shared = SHARE_ALIKE in others.asks and others.hub != terms.hub
            paid = NON_COMMERCIAL in others.asks and NON_COMMERCIAL not in terms.asks
            if shared or paid:
                found.append(f"{part.told} and {other.told} contradict each other")
    return found
