"""What is different between two corpora: measures, voices, reasons, texts, settings."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jobs.report.corpus import Code, Corpus
from jobs.report.distance import Distance, Level, divergence, of_shares, of_values
from jobs.report.extras import cell
from jobs.report.histogram import Histogram
from schemas.snapshot import Manifest

MIN_VALUES: Final = 20  # of a voice on both sides, to be compared
MAX_WORDS: Final = 12
MAX_SETTINGS: Final = 200
SCOPES: Final = ("roles", "langs", "voices")  # of a gate
LANGUAGE_DRIFT: Final = 0.1  # bits of divergence of words that are worth a look


@dataclass(frozen=True)
class Side:
    """One of the two: where it is, and its size."""

    name: str
    version: int
    identity: str
    counts: Mapping[str, int]
    hours: float


@dataclass(frozen=True)
class Shift:
    """A measure on one kind of utterance.

    ``moved`` is that of the median, in quartile ranges; nan where the values before had no spread.
    """

    name: str
    on: str
    num_before: int
    num_now: int
    before: float
    now: float
    moved: float
    distance: Distance


@dataclass(frozen=True)
class Mixture:
    """Shares of named things: voices, languages, sources, reasons."""

    name: str
    rows: Sequence[tuple[str, float, float]]  # what, share before, share now
    distance: Distance


@dataclass(frozen=True)
class WordShift:
    """The words of a language: divergence in bits, those that came and those that went."""

    lang: str
    bits: float
    more: Sequence[str]
    fewer: Sequence[str]


@dataclass(frozen=True)
class Drift:
    """All differences; what drifted most comes first."""

    before: Side
    now: Side
    shifts: Sequence[Shift]
    by_voice: Sequence[Shift]  # only those that drifted
    mixtures: Sequence[Mixture]
    new_reasons: Sequence[str]
    gone_reasons: Sequence[str]
    only_before: Sequence[str]  # measures
    only_now: Sequence[str]
    words: Sequence[WordShift]
    settings: Sequence[tuple[str, str, str]]
    steps: Sequence[str]  # whose fingerprint differs

    def of(self, level: Level) -> int:
        """How many measures and mixtures drifted so much."""
        distances = [item.distance for item in (*self.shifts, *self.by_voice)]
        distances += [item.distance for item in self.mixtures]
        return sum(item.level == level for item in distances)

    @property
    def drifted(self) -> bool:
        """Whether anything drifted much, or rows are rejected for a reason that was not there."""
        return bool(self.of("large") or self.new_reasons)


def drift_of(before: tuple[str, Manifest, Corpus], now: tuple[str, Manifest, Corpus]) -> Drift:
    """Compare two corpora, each as its name, its manifest and what ``gather`` found in it."""
    one, other = before[2], now[2]
    slots = list(_by_slot({**one.values, **one.texts}, {**other.values, **other.texts}))
    voices = list(_by_slot(one.by_voice, other.by_voice, MIN_VALUES))
    measures = ({name for name in item.values} for item in (one, other))
    first, second = measures
    reasons = [_named(item.all_reasons) for item in (one, other)]
    return Drift(
        before=_side(*before),
        now=_side(*now),
        shifts=sorted(slots, key=_most_first),
        by_voice=sorted((s for s in voices if s.distance.level != "none"), key=_most_first),
        mixtures=list(_mixtures(before[1], one, now[1], other)),
        new_reasons=sorted({*reasons[1]} - {*reasons[0]}),
        gone_reasons=sorted({*reasons[0]} - {*reasons[1]}),
        only_before=sorted(first - second),
        only_now=sorted(second - first),
        words=list(_words(one, other)),
        settings=list(_settings(before[1], now[1])),
        steps=sorted(
            name
            for name in {*before[1]["fingerprints"], *now[1]["fingerprints"]}
            if before[1]["fingerprints"].get(name) != now[1]["fingerprints"].get(name)
        ),
    )


def _side(name: str, manifest: Manifest, corpus: Corpus) -> Side:
    return Side(
        name, manifest["version"], manifest["identity"], manifest["counts"], corpus.seconds / 3600
    )


def _most_first(shift: Shift) -> tuple[int, float, str, str]:
    order = ("large", "some", "none").index(shift.distance.level)
    return order, -shift.distance.ks, shift.name, shift.on


def _by_slot(
    one: Mapping[str, Mapping[Any, Histogram]],
    other: Mapping[str, Mapping[Any, Histogram]],
    least: int = 1,
) -> Iterator[Shift]:
    """Every measure on every kind of utterance that both have."""
    for name in sorted({*one} & {*other}):
        for slot in sorted({*one[name]} & {*other[name]}):
            a, b = one[name][slot], other[name][slot]
            if min(a.num, b.num) < least:
                continue
            spread = a.quantile(0.75) - a.quantile(0.25)
            before, now = a.quantile(0.5), b.quantile(0.5)
            on = slot if isinstance(slot, str) else " ".join(slot)
            # of values that do not spread no number of ranges can be given
            moved = (now - before) / spread if spread else 0.0 if now == before else math.nan
            yield Shift(name, on, a.num, b.num, before, now, moved, of_values(a, b))


def _mixtures(manifest: Manifest, one: Corpus, now: Manifest, other: Corpus) -> Iterator[Mixture]:
    """How rows ended and why; languages, splits, sources, licenses; voices by role and language."""
    states = ("accepted", "rejected", "failed")
    ended = [{state: item["counts"][state] for state in states} for item in (manifest, now)]
    yield _mixture("how rows ended", ended[0], ended[1])
    yield _mixture("first reasons", _named(one.first_reasons), _named(other.first_reasons))
    for place, name in ((1, "languages"), (0, "splits")):
        counts = [Counter[str](), Counter[str]()]
        for counter, corpus in zip(counts, (one, other), strict=True):
            for key, amount in corpus.places.items():
                counter[key[place]] += amount.samples
        yield _mixture(name, *counts)
    yield _mixture("sources", one.sources, other.sources)
    yield _mixture("licenses", one.licenses, other.licenses)
    spoken = [_spoken(corpus) for corpus in (one, other)]
    for place_of in sorted({*spoken[0]} & {*spoken[1]}):
        name = f"voices, {' '.join(place_of)}"
        yield _mixture(name, spoken[0][place_of], spoken[1][place_of])


def _mixture(name: str, one: Mapping[str, int], other: Mapping[str, int]) -> Mixture:
    totals = [max(sum(item.values()), 1) for item in (one, other)]
    rows = [
        (what or "unknown", one.get(what, 0) / totals[0], other.get(what, 0) / totals[1])
        for what in {*one, *other}
    ]
    rows.sort(key=lambda row: (-abs(row[2] - row[1]), row[0]))
    return Mixture(name, rows, of_shares(one, other))


def _named(codes: Mapping[Code, int]) -> dict[str, int]:
    return {f"{step}: {code}": number for (step, code), number in codes.items()}


def _spoken(corpus: Corpus) -> dict[tuple[str, str], Counter[str]]:
    found: dict[tuple[str, str], Counter[str]] = {}
    for (_, lang, role, voice, _), amount in corpus.voices.items():
        found.setdefault((role, lang), Counter())[voice] += amount.utterances
    return found


def _words(one: Corpus, other: Corpus) -> Iterator[WordShift]:
    """The languages that both have, by how the shares of their words differ."""
    for lang in sorted({*one.words} & {*other.words}):
        a, b = one.words[lang], other.words[lang]
        if not a or not b:
            continue
        change = {word: b[word] / b.total() - a[word] / a.total() for word in {*a, *b}}
        order = sorted(change, key=lambda word: (change[word], word))
        fewer = [word for word in order[:MAX_WORDS] if change[word] < 0]
        more = [word for word in order[::-1][:MAX_WORDS] if change[word] > 0]
        yield WordShift(lang, divergence(a, b), more, fewer)


def _settings(one: Manifest, other: Manifest) -> Iterator[tuple[str, str, str]]:
    """The settings that differ, by their path in the job file."""
    a, b = (dict(_flat("", item["settings"])) for item in (one, other))
    differing = [name for name in sorted({*a, *b}) if a.get(name) != b.get(name)]
    for name in differing[:MAX_SETTINGS]:
        yield name, cell(a.get(name)), cell(b.get(name))


def _flat(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(f"{path}.{key}" if path else str(key), item)
    elif path == "gates" and isinstance(value, list):
        rules: dict[str, list[str]] = {}
        for gate in value:
            scope = [name for key in SCOPES for name in gate.get(key) or ()]
            name = " ".join(map(str, [gate.get("measure"), *scope]))
            rules.setdefault(name, []).append(_rule(gate))
        for name, told in rules.items():
            yield f"gates: {name}", "; ".join(told)
    elif path == "voices" and isinstance(value, list):
        for voice in value:
            yield f"voices.{voice.get('id')}", voice
    elif path == "quotas" and isinstance(value, list):
        for quota in value:
            scope = [*quota.get("langs", ()), *quota.get("splits", ())]
            name = " ".join(map(str, [quota.get("role"), "by", quota.get("by"), *scope]))
            yield f"quotas: {name}", quota.get("shares")
    else:
        yield path, value


def _rule(gate: Mapping[str, Any]) -> str:
    """All that a gate says but its measure and its scope; of outliers only where it judges them."""
    quiet = {"measure", *SCOPES}
    quiet |= set() if gate.get("outlier_mad") else {"per", "side", "tolerance"}
    given = {key: item for key, item in gate.items() if key not in quiet and item is not None}
    order = sorted(given, key=lambda key: (key != "min", key))
    return ", ".join(f"{key} {cell(given[key])}" for key in order)
