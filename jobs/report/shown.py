"""Which rows the page shows, read and ready: by chance, the worst, the rejected, the failed."""

from typing import Any, Final, TypeAlias

from jobs.report.chosen import SHOWN_REJECTED
from jobs.report.corpus import Corpus
from jobs.report.data import outcomes_by_id
from jobs.report.samples import ShownSample, shown_outcome, shown_sample
from jobs.report.turns import Budget
from pipelines.outcome import Outcome
from schemas.snapshot import Manifest
from schemas.store import Store

Heard: TypeAlias = dict[int, dict[str, Any]]  # a row's exhibits by turn
ACCEPTED_BYTES: Final = 6_000_000  # of FLAC; base64 makes 4 bytes of 3
REJECTED_BYTES: Final = 2_000_000


def shown_rows(
    store: Store, manifest: Manifest, corpus: Corpus, exhibits: list[dict[str, Any]]
) -> tuple[list[ShownSample], int]:
    """The rows that can be looked at and heard, and how many of them lack their audio."""
    accepted, rejected = Budget(ACCEPTED_BYTES), Budget(REJECTED_BYTES)
    rules = corpus.rules
    by_chance = corpus.chosen.samples() if corpus.places else []
    keys = {row["key"] for row in by_chance}
    odd = {item.row["key"]: item for item in corpus.chosen.odd_ones()}
    shown = [
        shown_sample(
            store,
            manifest,
            row,
            rules,
            accepted,
            odd=odd[row["key"]].why if row["key"] in odd else (),
        )
        for row in by_chance
    ]
    shown += [
        shown_sample(store, manifest, item.row, rules, accepted, group="worst", odd=item.why)
        for item in odd.values()
        if item.row["key"] not in keys
    ]
    shown += [
        shown_outcome(row, heard, rules, manifest, rejected)
        for row, heard in _rejections(store, manifest, corpus, exhibits)
    ]
    shown += [
        shown_outcome(row, {}, rules, manifest, rejected) for row in corpus.failed[:SHOWN_REJECTED]
    ]
    return shown, accepted.left_out + rejected.left_out


def _rejections(
    store: Store, manifest: Manifest, corpus: Corpus, exhibits: list[dict[str, Any]]
) -> list[tuple[Outcome, Heard]]:
    """At most SHOWN_REJECTED: those that can be heard first, then one of each reason."""
    heard: dict[str, Heard] = {}
    for item in exhibits:
        heard.setdefault(item["id"], {})[item["turn"]] = item
    chosen = {row["id"]: row for row in outcomes_by_id(store, manifest["rejected"], heard)}
    for row in corpus.rejected:
        if len(chosen) < SHOWN_REJECTED:
            chosen.setdefault(row["id"], row)
    return [(row, heard.get(key, {})) for key, row in chosen.items()]
