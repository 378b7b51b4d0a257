"""Tables of the report as plain values: the funnel, the reasons, the voices."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from scipy.special import bdtr, bdtrc

from jobs.report.corpus import Amount, Code, Corpus, step_order
from jobs.report.gate_use import GateUse
from schemas.snapshot import Manifest
from transforms.voices import ROLES, SPLITS, Role, Split, Voice, lineup

KEY_MEASURES = ("chars_per_s", "loudness_lufs", "duration_ratio", "asr_wer")
MAX_VOICES = 60  # rows shown per language, split and role
CHANCE = 0.001  # what is rarer, in any voice of a table, is not laid to chance


@dataclass(frozen=True)
class Stage:
    """Rows that are left after a step, and what it took."""

    name: str
    left: int
    rejected: int
    failed: int


@dataclass(frozen=True)
class ReasonBar:
    """Rows that name this reason first, and rows that name it at all."""

    step: str
    code: str
    first: int
    named: int


@dataclass(frozen=True)
class VoiceRow:
    """A voice in one place. Shares are of the place's samples.

    ``asked`` is what the weights ask for, of the samples that the bank's voices speak; ``odd`` if
    chance would hardly do it, or if the bank has no such voice.
    """

    voice: str
    speaker: str
    license: str
    utterances: int
    hours: float
    share: float
    asked: float | None
    odd: bool = False
    medians: Sequence[float | None] = ()  # of the key measures, over all that the voice said

    @property
    def drift(self) -> float | None:
        """Share less what the weights ask for, in percentage points."""
        return None if self.asked is None else 100 * (self.share - self.asked)


@dataclass(frozen=True)
class QuotaRow:
    """What a quota asks for one value of its attribute in one place, and what came of it.

    Of the ``num`` samples that a voice of the bank speaks in; ``odd`` as of a VoiceRow.
    """

    by: str
    value: str
    asked: float
    share: float
    num: int
    odd: bool

    @property
    def deviation(self) -> float:
        """The standard deviation of a fair draw's share: sqrt(p (1 - p) / n)."""
        return math.sqrt(self.asked * (1 - self.asked) / max(self.num, 1))


@dataclass(frozen=True)
class VoiceTable:
    """The voices of one language, split and role; ``hidden`` rows are not shown."""

    lang: str
    split: str
    role: str
    samples: int
    rows: Sequence[VoiceRow]
    hidden: int
    quotas: Sequence[QuotaRow] = ()


def stages(manifest: Manifest, corpus: Corpus) -> list[Stage]:
    """The funnel, from the rows that were read to those that shipped."""
    left = manifest["counts"]["rows"]
    found = [Stage("read", left, 0, 0)]
    codes = [*corpus.first_reasons, *corpus.failed_classes]
    for step in dict.fromkeys(step for step, _ in sorted(codes, key=step_order)):
        rejected = sum(n for code, n in corpus.first_reasons.items() if code[0] == step)
        failed = sum(n for code, n in corpus.failed_classes.items() if code[0] == step)
        left -= rejected + failed
        found.append(Stage(step, left, rejected, failed))
    return found


def reason_bars(corpus: Corpus) -> list[ReasonBar]:
    """The reasons, most frequent first."""
    codes: set[Code] = {*corpus.first_reasons, *corpus.all_reasons}
    bars = [
        ReasonBar(*code, corpus.first_reasons[code], corpus.all_reasons[code]) for code in codes
    ]
    return sorted(bars, key=lambda bar: (-bar.first, -bar.named, bar.step, bar.code))


def voice_tables(corpus: Corpus) -> list[VoiceTable]:
    """Every place that has samples, with the voices that spoke and those that could have."""
    found = []
    places = {(lang, split, role) for split, lang, role, *_ in corpus.voices}
    order: dict[str, int] = {name: number for number, name in enumerate([*SPLITS, *ROLES])}
    for lang, split, role in sorted(
        places, key=lambda p: (p[0], order.get(p[1], 9), order.get(p[2], 9))
    ):
        num, rows = _voice_rows(corpus, lang, split, role)
        shown = sorted(rows, key=lambda row: -abs(row.drift or 0.0))[:MAX_VOICES]
        shown.sort(key=lambda row: row.voice)
        quotas = list(_quota_rows(corpus, lang, split, role))
        hidden = len(rows) - len(shown)
        found.append(VoiceTable(lang, split, role, num, shown, hidden, quotas))
    return found


def key_measures(corpus: Corpus) -> list[str]:
    """The measures whose medians stand in the tables of voices: those that were taken."""
    return [name for name in KEY_MEASURES if corpus.by_voice.get(name)]


def bounds_words(use: GateUse) -> str:
    """A gate's bounds and scope, in words."""
    gate = use.gate
    low = "" if gate.min is None else f"{gate.min:g} ≤ "
    high = "" if gate.max is None else f" ≤ {gate.max:g}"
    scope = [*gate.roles, *gate.langs, *gate.voices]
    if gate.outlier_mad is not None:
        return f"{gate.measure} {gate.bounds()}" + (f" ({', '.join(scope)})" if scope else "")
    return f"{low}{gate.measure}{high}" + (f" ({', '.join(scope)})" if scope else "")


def _voice_rows(corpus: Corpus, lang: str, split: str, role: str) -> tuple[int, list[VoiceRow]]:
    """How many samples a place has, and its voices."""
    amounts = {
        (voice, speaker): amount
        for (in_split, in_lang, in_role, voice, speaker), amount in corpus.voices.items()
        if (in_split, in_lang, in_role) == (split, lang, role)
    }
    num = sum(amount.samples for amount in amounts.values())
    able = lineup(corpus.bank, cast("Role", role), lang, cast("Split", split))
    known: dict[tuple[str, str], Voice] = {(v.id, v.speaker_id): v for v in able.voices}
    shares = {voice.id: share for voice, share in zip(able.voices, able.shares, strict=True)}
    drawn = sum(amount.samples for key, amount in amounts.items() if key in known)
    found = []
    for key in sorted({*amounts, *known}):
        amount, voice = amounts.get(key, Amount()), known.get(key)
        weight = shares[voice.id] if voice else None
        if weight is not None:
            odd = chance_of(amount.samples, drawn, weight) < CHANCE / len(known)
        else:
            odd = bool(key[0] and corpus.bank.voices)
        found.append(
            VoiceRow(
                voice=key[0] or "(the source's audio)",
                speaker=key[1] or "unknown",
                license=voice.license if voice else "",
                utterances=amount.utterances,
                hours=amount.seconds / 3600,
                share=amount.samples / num if num else 0.0,
                asked=None if weight is None else weight * drawn / max(num, 1),
                odd=odd,
                medians=[_median(corpus, name, key[0]) for name in key_measures(corpus)],
            )
        )
    return num, found


def _quota_rows(corpus: Corpus, lang: str, split: str, role: str) -> Iterator[QuotaRow]:
    """Of every quota that covers the place. Audio of the source counts in none."""
    known = {voice.id: voice for voice in corpus.bank.voices}
    samples = {
        key[3]: amount.samples
        for key, amount in corpus.voices.items()
        if key[:3] == (split, lang, role) and key[3] in known
    }
    num = sum(samples.values())
    for quota in corpus.bank.quotas if num else ():
        for value, asked in quota.shares if quota.covers(role, lang, split) else ():
            hits = sum(n for v, n in samples.items() if getattr(known[v], quota.by) == value)
            odd = chance_of(hits, num, asked) < CHANCE / len(quota.shares)
            yield QuotaRow(quota.by, value, asked, hits / num, num, odd)


def chance_of(hits: int, draws: int, share: float) -> float:
    """How likely so many hits are, or fewer, or so many or more: the rarer, twice; at most 1.

    Exact, by the binomial law: its normal approximation finds one hit of a rare voice in a small
    split surprising, where some voice has to speak.
    """
    if not draws:
        return 1.0
    at_most = float(bdtr(hits, draws, share))
    at_least = float(bdtrc(hits - 1, draws, share)) if hits else 1.0
    return min(1.0, 2 * min(at_most, at_least))


def _median(corpus: Corpus, measure: str, voice: str) -> float | None:
    values = corpus.by_voice[measure].get(voice)
    return None if values is None else values.quantile(0.5)
