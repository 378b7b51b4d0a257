"""Gathers what the report and the card show, in one pass over the index: counts, not rows."""

import itertools
from collections.abc import Collection, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from jobs.recipes.recipe import from_manifest
from jobs.report.columns import READ, Flat
from jobs.report.corpus import SHOWN_FAILED, Corpus, main_reason, step_order
from jobs.report.counting import see
from jobs.report.gate_use import GateUse
from jobs.report.judged import rules_of
from jobs.report.reading import index_batches, outcome_batches, outcome_rows
from pipelines.outcome import Outcome, main_code
from schemas.snapshot import FileEntry, Manifest
from schemas.store import Store

# of an outcome, all that is counted: texts, measures and attempts of every row would be slow
COUNTED = ["id", "lang", "reasons", "error", "turns.list.element.role"]
COUNTED += ["turns.list.element.voice"]
WORDS_ROWS = 20_000  # of how many rows words are counted


def gather(store: Store, manifest: Manifest, *, words: bool = False) -> Corpus:
    """Read a snapshot's index and outcomes once. Raises DamageError.

    ``words`` counts the spoken words of up to WORDS_ROWS rows too.
    """
    _, bank = from_manifest(dict(manifest["settings"]))
    rules = rules_of(store, manifest)
    gates = [GateUse(gate, norms=rules.norms) for gate in rules.gates]
    corpus = Corpus(bank, gates)
    corpus.chosen.worst.gates = tuple(use.gate for use in gates)
    share = min(1.0, WORDS_ROWS / max(manifest["counts"]["accepted"], 1)) if words else 0.0
    for batch in index_batches(store, manifest, READ):
        see(corpus, Flat(batch), share)
    for outcome in outcome_rows(store, manifest["rejected"], COUNTED):
        _see_rejected(corpus, outcome)
    for outcome in outcome_rows(store, manifest["failed"], COUNTED):
        step = outcome["error"]["step"] if outcome["error"] else "unknown"
        corpus.failed_classes[step, main_code(outcome)] += 1
        corpus.outcomes[outcome["lang"], "failed"] += 1
    order = sorted(corpus.chosen.rejected, key=step_order)
    corpus.rejected = outcomes_by_id(store, manifest["rejected"], corpus.chosen.rejections(order))
    corpus.rejected.sort(key=lambda row: (step_order(main_reason(row)), row["id"]))
    corpus.failed = list(itertools.islice(outcome_rows(store, manifest["failed"]), SHOWN_FAILED))
    return corpus


def outcomes_by_id(store: Store, entry: FileEntry, ids: Collection[str]) -> list[Outcome]:
    """Some rows of a rejected or failed file, in its order."""
    return list(_by_id(store, entry, sorted(ids))) if ids else []


def _by_id(store: Store, entry: FileEntry, ids: list[str]) -> Iterator[Outcome]:
    for batch in outcome_batches(store, entry):
        yield from batch.filter(
            pc.is_in(batch.column("id"), value_set=pa.array(ids, pa.string()))
        ).to_pylist()


def _see_rejected(corpus: Corpus, outcome: Outcome) -> None:
    code = main_reason(outcome)
    corpus.first_reasons[code] += 1
    corpus.all_reasons.update({(item["step"], item["code"]) for item in outcome["reasons"]})
    corpus.outcomes[outcome["lang"], "rejected"] += 1
    corpus.chosen.see_rejected(code, outcome["id"])
    for use in corpus.gates:
        use.rejected += use.rejects(outcome)
