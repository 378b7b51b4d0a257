"""The report: one HTML file that needs nothing else, from a snapshot and what its build did."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from jobs.report.chosen import SHOWN_REJECTED
from jobs.report.corpus import STEPS, Corpus
from jobs.report.data import gather, outcomes_by_id
from jobs.report.filters import facets
from jobs.report.samples import (
    COLUMNS,
    HEIGHT,
    MAX_UNITS,
    STRIP_HEIGHT,
    Budget,
    code_use,
    shown_outcome,
    shown_sample,
)
from jobs.report.views import (
    BOX,
    bounds_words,
    measure_views,
    reason_bars,
    stages,
    voice_tables,
)
from jobs.report.words import clipped, fact
from pipelines.outcome import Outcome
from schemas.snapshot import Manifest
from schemas.store import Store
from schemas.unitset import UnitSet
from transforms.split import TRAIN
from transforms.voices import disjointness

Heard: TypeAlias = dict[int, dict[str, Any]]  # a row's exhibits by turn
TEMPLATES: Final = Path(__file__).parent.parent / "templates"
ACCEPTED_BYTES: Final = 6_500_000  # of FLAC; base64 makes 4 bytes of 3
REJECTED_BYTES: Final = 2_500_000
MAX_SETTINGS: Final = 30_000  # characters: a bank may have thousands of voices
FACTS: Final = (
    *("engine", "workers", "wall_s", "model_calls", "model_prompt_tokens"),
    *("model_completion_tokens", "model_cost", "asked_now_calls"),
)


def render_report(
    store: Store,
    manifest: Manifest,
    run: Mapping[str, object],
    exhibits: list[dict[str, Any]],
    corpus: Corpus | None = None,
) -> str:
    """The page. ``run`` is what run.json holds, and may be empty; so may ``exhibits``.

    ``exhibits`` are the utterances of rejected rows that were heard: id, turn, role, spoken_text,
    voice, flac, codes, measures. ``corpus`` is ``gather``'s, where the caller has it already.
    Raises DamageError if what the snapshot names is damaged.
    """
    if corpus is None:
        corpus = gather(store, manifest)
    if run.get("build_id", manifest["build_id"]) != manifest["build_id"]:
        run = {}  # the record of another version's build
    accepted, rejected = Budget(ACCEPTED_BYTES), Budget(REJECTED_BYTES)
    gates = [use.gate for use in corpus.gates]
    shown = [
        shown_sample(store, manifest, row, gates, accepted)
        for row in (corpus.chosen.samples() if corpus.places else [])
    ]
    shown += [
        shown_outcome(row, heard, gates, manifest, rejected)
        for row, heard in _rejections(store, manifest, corpus, exhibits)
    ]
    shown += [
        shown_outcome(row, {}, gates, manifest, rejected) for row in corpus.failed[:SHOWN_REJECTED]
    ]
    script = (TEMPLATES / "report.js").read_text("utf-8")
    unit_rows = corpus.unit_rows.items()
    sets = [UnitSet.from_json(value) for value in manifest["unit_sets"]]
    page = environment().get_template("report.html.j2")
    text = page.render(
        manifest=manifest,
        counts=manifest["counts"],
        settings=clipped(
            yaml.safe_dump(manifest["settings"], allow_unicode=True, sort_keys=True), MAX_SETTINGS
        ),
        corpus=corpus,
        splits=_splits(manifest),
        places=sorted(corpus.places.items(), key=lambda item: (item[0][0] != TRAIN, item[0])),
        stages=stages(manifest, corpus),
        reasons=reason_bars(corpus),
        voices=voice_tables(corpus),
        disjoint=[d for d in disjointness(corpus.bank).sentence.split(". ") if d],
        measures=measure_views(corpus),
        gates=[(bounds_words(use), use) for use in corpus.gates],
        units=[(item, code_use(store, unit_rows, item)) for item in sets],
        samples=shown,
        filters=facets(shown),
        audio_left_out=accepted.left_out + rejected.left_out,
        steps=step_table(manifest, run),
        stage_s=_numbers(run.get("stage_s")),
        facts=_facts(run),
        max_units=MAX_UNITS,
        wave=(COLUMNS, HEIGHT),
        strip=(COLUMNS, STRIP_HEIGHT),
        box=BOX,
        script=Markup(script),
        # the page's policy lets no other script run
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return text.encode("utf-8", "replace").decode("utf-8")


def environment() -> Environment:
    """Templates that escape every value, and stop at a name that is not there."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"count": _count, "percent": _percent, "duration": duration, "short": _short}
    made.filters |= {"fact": fact, "clipped": clipped}
    return made


def step_table(
    manifest: Manifest, run: Mapping[str, object]
) -> list[dict[str, float | str | None]]:
    """Rows, computed and reused rows, and busy seconds of each step; None for what is unknown."""
    rows: Mapping[str, float] = manifest["step_rows"]
    parts = {
        "computed": _numbers(run.get("computed_rows", run.get("computed"))),
        "reused": _numbers(run.get("reused_rows", run.get("reused"))),
        "busy_s": _numbers(run.get("busy_s")),
    }
    names = {name for part in (rows, *parts.values()) for name in part}
    order = {name: place for place, name in enumerate(STEPS)}
    return [
        {
            "name": name,
            "rows": rows.get(name),
            **{kind: part.get(name) for kind, part in parts.items()},
        }
        for name in sorted(names, key=lambda name: (order.get(name, len(order)), name))
    ]


def duration(seconds: float) -> str:
    """Seconds as people say them: 1.42 s, 3 min 05 s, 2.31 h."""
    if seconds < 60:
        return f"{seconds:.2f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
    return f"{seconds / 3600:,.2f} h"


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


def _splits(manifest: Manifest) -> list[tuple[str, int, float]]:
    """Split, samples, seconds: from the manifest alone."""
    shards = manifest["shards"]
    return [
        (
            name,
            sum(shard["samples"] for shard in shards if shard["split"] == name),
            sum(shard["seconds"] for shard in shards if shard["split"] == name),
        )
        for name in sorted({shard["split"] for shard in shards}, reverse=True)
    ]


def _facts(run: Mapping[str, object]) -> list[tuple[str, str]]:
    """What the run says of itself in one word or number."""
    return [
        (name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value))
        for name, value in ((name, run.get(name)) for name in FACTS)
        if isinstance(value, str | int | float)
    ]


def _numbers(value: object) -> dict[str, float]:
    """The numbers of a mapping; nothing for anything else: run.json may be of another version."""
    if not isinstance(value, Mapping):
        return {}
    return {
        str(name): number
        for name, number in value.items()
        if isinstance(number, int | float) and not isinstance(number, bool)
    }


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}" if whole else "0.0"


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
