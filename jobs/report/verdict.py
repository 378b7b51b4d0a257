"""May this corpus be trained on? What the build's own rules say, and what a person should look at.

Only what the job asked for stops: its limits, its expectations, and that there is something to
train on. All the rest is told, with the number that it rests on, and is for people to weigh.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from jobs.cards.license import Granted
from jobs.report.corpus import Corpus
from jobs.report.expected import Expected
from jobs.report.gate_use import GateUse
from jobs.report.views import VoiceTable, bounds_words
from schemas.snapshot import Manifest, within_limits
from schemas.utterance import TAKEN
from transforms.split import EVAL, TRAIN
from transforms.voices import disjointness

Level: TypeAlias = Literal["stop", "look", "fine"]
MAX_QUOTAS: Final = 6  # missed ones that are told one by one
FEW_ACCEPTED: Final = 0.5  # of the rows
MANY_UNCHECKED: Final = 0.5  # of the rows in a gate's scope
HEARD_BY: Final = ("asr_wer", "asr_cer", "aligned")  # that compare the sound with the text


@dataclass(frozen=True)
class Finding:
    """One thing that counts; ``place`` is the section of the page that shows it."""

    level: Level
    text: str
    place: str


@dataclass(frozen=True)
class Verdict:
    """The findings, what stops first."""

    findings: Sequence[Finding]

    @property
    def level(self) -> Level:
        """The worst of them."""
        levels = {item.level for item in self.findings}
        return "stop" if "stop" in levels else "look" if "look" in levels else "fine"

    @property
    def title(self) -> str:
        """The answer in a few words."""
        looks = sum(item.level == "look" for item in self.findings)
        if self.level == "stop":
            return "Not fit to train on as it is"
        if self.level == "look":
            points = "one point" if looks == 1 else f"{looks} points"
            return f"It met what was asked of it; {points} to look at before training"
        return "It met what was asked of it, and nothing here speaks against training on it"

    def of(self, level: Level) -> Sequence[Finding]:
        """The findings of one level."""
        return [item for item in self.findings if item.level == level]


def verdict_of(
    manifest: Manifest,
    corpus: Corpus,
    voices: Sequence[VoiceTable],
    expected: Expected | None,
    granted: Granted,
) -> Verdict:
    """Everything that counts, in the order stop, look, fine."""
    found = [
        *_rows(manifest, corpus),
        *_expectations(manifest, expected),
        *_gates(corpus),
        *_splits(corpus),
        *_voices(corpus, voices),
        *_license(granted),
    ]
    order = ("stop", "look", "fine")
    return Verdict(sorted(found, key=lambda item: order.index(item.level)))


def _rows(manifest: Manifest, corpus: Corpus) -> Iterator[Finding]:
    counts = manifest["counts"]
    rows, limits = max(counts["rows"], 1), manifest.get("limits", {})
    accepted, failed = counts["accepted"], counts["failed"]
    if not accepted:
        yield Finding("stop", "No row was accepted: there is nothing to train on.", "rows")
    most, least = limits.get("max_failed_fraction"), limits.get("min_accepted_fraction")
    told = f"{accepted:,} of {counts['rows']:,} rows accepted ({accepted / rows:.1%})"
    told += f", {failed:,} failed"
    asked = [] if most is None else [f"at most {most:.3g} of the rows may fail"]
    asked += [f"at least {least:.3g} must be accepted"] if least else []
    if not within_limits(counts, limits):
        yield Finding("stop", f"{told}; the job's limits: {', '.join(asked)}.", "rows")
    elif accepted:
        words = f"; within the job's limits ({', '.join(asked)})" if asked else ""
        yield Finding("fine", f"{told}{words}.", "rows")
        if accepted / rows < FEW_ACCEPTED:
            yield Finding("look", f"Only {accepted / rows:.1%} of the rows were accepted.", "rows")
    if failed and within_limits(counts, limits):
        several, ended = (
            ("rows have", "errors ended them") if failed > 1 else ("row has", "an error ended it")
        )
        yield Finding("look", f"{failed:,} {several} no verdict: {ended}.", "rows")


def _expectations(manifest: Manifest, expected: Expected | None) -> Iterator[Finding]:
    if expected is None and manifest.get("expected", False):
        words = "Its expectations have no stored results: run the build again to ask them."
        yield Finding("stop", words, "expectations")
    elif expected is None:
        yield Finding("look", "No expectations were asked of this snapshot.", "expectations")
    elif expected.failed:
        yield Finding(
            "stop", f"{expected.failed} of {expected.total} expectations failed.", "expectations"
        )
    elif expected.total:
        yield Finding("fine", f"All {expected.total} expectations hold.", "expectations")


def _gates(corpus: Corpus) -> Iterator[Finding]:
    accepted = sum(amount.samples for amount in corpus.places.values())
    if not accepted:
        return
    if not corpus.gates:
        yield Finding("look", "The job has no gates: no row was judged by its sound.", "measures")
        return
    blind = [
        f"{bounds_words(use)}, {_measured(corpus, use)}"
        for use in corpus.gates
        if use.unchecked > MANY_UNCHECKED * (use.judged + use.unchecked)
    ]
    if blind:
        yield Finding(
            "look",
            f"Gates that could judge under half of the rows in their scope: {'; '.join(blind)}. "
            "They passed the others unseen.",
            "measures",
        )
    if corpus.unchecked:
        rows = "row was" if corpus.unchecked == 1 else "rows were"
        yield Finding("look", f"{corpus.unchecked:,} {rows} judged by no gate.", "measures")
    else:
        yield Finding(
            "fine",
            f"Every accepted row was judged by at least one of {len(corpus.gates)} gates.",
            "measures",
        )
    slots = {slot for values in corpus.values.values() for slot in values}
    heard = {slot for name in HEARD_BY for slot in corpus.values.get(name, {})}
    deaf = sorted({lang for role, lang in slots - heard})
    if deaf:
        yield Finding(
            "look",
            f"Nothing compared what is heard with the text in {', '.join(deaf)}: neither "
            "recognition nor alignment was taken there.",
            "measures",
        )


def _measured(corpus: Corpus, use: GateUse) -> str:
    slots = corpus.statuses.get(use.gate.measure, {}).items()
    found = [counter for slot, counter in slots if use.covers(*slot)]
    taken = sum(counter[TAKEN] for counter in found)
    total = sum(counter.total() for counter in found)
    if taken == total:
        return "whose voices said too little to tell what is usual"
    return f"taken of {taken:,} of {total:,} utterances"


def _splits(corpus: Corpus) -> Iterator[Finding]:
    splits = {split for split, _ in corpus.places}
    if splits and EVAL not in splits:
        yield Finding("look", "No eval split: nothing is kept apart to evaluate on.", "voices")
    if splits and TRAIN not in splits:
        yield Finding("look", "No train split.", "voices")
    if not {EVAL, TRAIN} <= splits:
        return
    langs = [item for item in disjointness(corpus.bank).langs if item.lang in corpus.langs]
    shared = [item.lang for item in langs if not item.by_speaker and item.only_split is None]
    if shared:
        words = ", ".join(shared)
        yield Finding("look", f"Train and eval share speakers in {words}.", "voices")
    elif langs:
        yield Finding("fine", "The user voices of train and eval share no speaker.", "voices")


def _voices(corpus: Corpus, voices: Sequence[VoiceTable]) -> Iterator[Finding]:
    odd = sum(row.odd for table in voices for row in table.rows)
    if odd and corpus.bank.voices:
        yield Finding(
            "look",
            f"{odd} voice {'share is' if odd == 1 else 'shares are'} not what the bank's weights "
            "ask for, by more than chance.",
            "voices",
        )
    quotas = [(table, row) for table in voices for row in table.quotas]
    missed = [(table, row) for table, row in quotas if row.odd]
    for table, row in missed[:MAX_QUOTAS]:
        yield Finding(
            "look",
            f"The quota by {row.by} is missed by more than chance: {row.value or 'none'} has "
            f"{row.share:.1%} for {row.asked:.1%} of the {table.role} voices of {table.lang} in "
            f"{table.split}.",
            "voices",
        )
    if quotas and not missed:
        yield Finding("fine", "The voice bank's quotas hold, within what chance does.", "voices")


def _license(granted: Granted) -> Iterator[Finding]:
    if granted.unknown:
        words = ", ".join(granted.unknown)
        yield Finding("look", f"License unknown - may not be published ({words}).", "license")
    elif granted.forbidding:
        words = ", ".join(granted.forbidding)
        yield Finding("look", f"May not be published: {words}.", "license")
    elif granted.restrictions:
        words = ", ".join(granted.restrictions)
        yield Finding("look", f"License {granted.license}: {words}.", "license")
    else:
        yield Finding("fine", f"License {granted.license}.", "license")
