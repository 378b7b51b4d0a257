"""Tables of the report as plain values: the funnel, the reasons, the voices."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from jobs.report.corpus import Code, Corpus, step_order
from jobs.report.gate_use import GateUse
from schemas.snapshot import Manifest
from transforms.quotas import Quota, deviations
from transforms.voices import ROLES, SPLITS, Role, Split, Voice, lineup

KEY_MEASURES = ("chars_per_s", "loudness_lufs", "duration_ratio", "asr_wer")
MAX_VOICES = 60  # rows shown per language, split and role
SURPRISE = 3.0  # standard deviations beyond which a drift is not chance


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
    """A voice in one place. Shares are of the place's samples; ``odd`` if not by chance."""

    voice: str
    speaker: str
    license: str
    utterances: int
    hours: float
    share: float
    asked: float | None
    num: int  # samples of the place
    medians: Sequence[float | None] = ()  # of the key measures, over all that the voice said

    @property
    def drift(self) -> float | None:
        """Share less what the weights ask for, in percentage points."""
        return None if self.asked is None else 100 * (self.share - self.asked)

    @property
    def odd(self) -> bool:
        """Whether chance alone would hardly have done it."""
        return self.asked is None or deviations(self.share, self.asked, self.num) > SURPRISE


@dataclass(frozen=True)
class QuotaRow:
    """What a quota asks for one value of its attribute in one place, and what came of it."""

    by: str
    value: str
    asked: float
    share: float
    num: int  # samples of the place that a voice of the bank speaks in

    @property
    def deviation(self) -> float:
        """The standard deviation of a fair draw's share: sqrt(p (1 - p) / n)."""
        return math.sqrt(self.asked * (1 - self.asked) / max(self.num, 1))

    @property
    def odd(self) -> bool:
        """Whether chance alone would hardly have done it."""
        return deviations(self.share, self.asked, self.num) > SURPRISE


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
        rows = list(_voice_rows(corpus, lang, split, role))
        shown = sorted(rows, key=lambda row: -abs(row.drift or 0.0))[:MAX_VOICES]
        shown.sort(key=lambda row: row.voice)
        found.append(
            VoiceTable(
                lang,
                split,
                role,
                rows[0].num,
                shown,
                hidden=len(rows) - len(shown),
                quotas=list(_quota_rows(corpus, lang, split, role)),
            )
        )
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


def _voice_rows(corpus: Corpus, lang: str, split: str, role: str) -> Iterator[VoiceRow]:
    amounts = {
        (voice, speaker): amount
        for (in_split, in_lang, in_role, voice, speaker), amount in corpus.voices.items()
        if (in_split, in_lang, in_role) == (split, lang, role)
    }
    num = sum(amount.samples for amount in amounts.values())
    able = lineup(corpus.bank, cast("Role", role), lang, cast("Split", split))
    known: dict[tuple[str, str], Voice] = {(v.id, v.speaker_id): v for v in able.voices}
    asked = {voice.id: share for voice, share in zip(able.voices, able.shares, strict=True)}
    for key in sorted({*amounts, *known}):
        amount, voice = amounts.get(key), known.get(key)
        yield VoiceRow(
            voice=key[0] or "(the source's audio)",
            speaker=key[1] or "unknown",
            license=voice.license if voice else "",
            utterances=amount.utterances if amount else 0,
            hours=amount.seconds / 3600 if amount else 0.0,
            share=amount.samples / num if amount else 0.0,
            asked=asked[voice.id] if voice else None,
            num=num,
            medians=[_median(corpus, name, key[0]) for name in key_measures(corpus)],
        )


def _quota_rows(corpus: Corpus, lang: str, split: str, role: str) -> Iterator[QuotaRow]:
    """Of every quota that covers the place. Audio of the source counts in none."""
    known = {voice.id: voice for voice in corpus.bank.voices}
    samples = {
        key[3]: amount.samples
        for key, amount in corpus.voices.items()
        if key[:3] == (split, lang, role) and key[3] in known
    }
    num = sum(samples.values())
    covering: list[Quota] = [q for q in corpus.bank.quotas if q.covers(role, lang, split)]
    for quota in covering if num else ():
        for value, asked in quota.shares:
            found = sum(n for v, n in samples.items() if getattr(known[v], quota.by) == value)
            yield QuotaRow(quota.by, value, asked, found / num, num)


def _median(corpus: Corpus, measure: str, voice: str) -> float | None:
    values = corpus.by_voice[measure].get(voice)
    return None if values is None else values.quantile(0.5)
