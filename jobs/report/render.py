"""The report: one HTML file that needs nothing else, from a snapshot and what its build did."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from jobs.cards.license import granted_of
from jobs.report.codes import code_use
from jobs.report.corpus import STEPS, Corpus
from jobs.report.data import gather
from jobs.report.drift import Drift
from jobs.report.expected import read_expected
from jobs.report.filters import facets
from jobs.report.groups import sample_groups
from jobs.report.guessed import read_guesses
from jobs.report.measure_views import BOX, measure_views, text_views
from jobs.report.shown import shown_rows
from jobs.report.tables import lang_rows, origin_rows
from jobs.report.turns import COLUMNS, HEIGHT, MAX_UNITS, STRIP_HEIGHT
from jobs.report.verdict import verdict_of
from jobs.report.views import bounds_words, key_measures, reason_bars, stages, voice_tables
from jobs.report.words import clipped, fact, number
from schemas.snapshot import Manifest
from schemas.store import Store
from schemas.unitset import UnitSet
from transforms.voices import disjointness

TEMPLATES: Final = Path(__file__).parent.parent / "templates"
MAX_SETTINGS: Final = 30_000  # characters: a bank may have thousands of voices
FACTS: Final = (
    *("engine", "workers", "wall_s", "model_calls", "model_prompt_tokens"),
    *("model_completion_tokens", "model_cost", "model_calls_of_this_run"),
)


def render_report(
    store: Store,
    manifest: Manifest,
    run: Mapping[str, object],
    exhibits: list[dict[str, Any]],
    corpus: Corpus | None = None,
    drift: Drift | None = None,
) -> str:
    """The page. ``run`` is what run.json holds, and may be empty; so may ``exhibits``.

    ``exhibits`` are the utterances of rejected rows that were heard: id, turn, role, spoken_text,
    voice, flac, codes, measures. ``corpus`` is ``gather``'s, where the caller has it already;
    ``drift`` is against another corpus.
    Raises DamageError if what the snapshot names is damaged.
    """
    if corpus is None:
        corpus = gather(store, manifest)
    if run.get("build_id", manifest["build_id"]) != manifest["build_id"]:
        run = {}  # the record of another version's build
    script = (TEMPLATES / "report.js").read_text("utf-8")
    settings = yaml.safe_dump(manifest["settings"], allow_unicode=True, sort_keys=True)
    page = environment().get_template("report.html.j2")
    text = page.render(
        manifest=manifest,
        counts=manifest["counts"],
        corpus=corpus,
        drift=drift,
        settings=clipped(settings, MAX_SETTINGS),
        **_rows_and_verdict(store, manifest, corpus),
        **_measures(store, manifest, corpus),
        **_samples(store, manifest, corpus, exhibits),
        steps=step_table(manifest, run),
        stage_s=_numbers(run.get("stage_s")),
        facts=_facts(run),
        # an estimate is of the run that run.json tells of
        guessed=read_guesses(store) if run.get("build_id") else None,
        script=Markup(script),
        # the page's policy lets no other script run
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return text.encode("utf-8", "replace").decode("utf-8")


def _rows_and_verdict(store: Store, manifest: Manifest, corpus: Corpus) -> dict[str, Any]:
    """What the sections on rows, voices, expectations and the license show, and the summary."""
    voices = voice_tables(corpus)
    expected = read_expected(store, manifest)
    granted = granted_of(manifest, corpus)
    origins, hidden_origins = origin_rows(corpus)
    return {
        "verdict": verdict_of(manifest, corpus, voices, expected, granted),
        "splits": _splits(manifest),
        "stages": stages(manifest, corpus),
        "reasons": reason_bars(corpus),
        "langs": lang_rows(corpus),
        "origins": origins,
        "hidden_origins": hidden_origins,
        "voices": voices,
        "key_measures": key_measures(corpus),
        "disjoint": _disjoint(corpus),
        "expected": expected,
        "waits": manifest.get("expected", False),
        "granted": granted,
        "parts": granted.alike(),
    }


def _measures(store: Store, manifest: Manifest, corpus: Corpus) -> dict[str, Any]:
    """What the sections on measures and units show."""
    unit_rows = corpus.unit_rows.items()
    sets = [UnitSet.from_json(value) for value in manifest["unit_sets"]]
    return {
        "measures": measure_views(corpus),
        "texts": text_views(corpus),
        "gates": [(bounds_words(use), use) for use in corpus.gates],
        "box": BOX,
        "units": [(item, code_use(store, unit_rows, item)) for item in sets],
    }


def _samples(
    store: Store, manifest: Manifest, corpus: Corpus, exhibits: list[dict[str, Any]]
) -> dict[str, Any]:
    """What the section of rows to hear shows."""
    shown, left_out = shown_rows(store, manifest, corpus, exhibits)
    return {
        "groups": sample_groups(shown, manifest["counts"]),
        "filters": facets(shown),
        "audio_left_out": left_out,
        "max_units": MAX_UNITS,
        "wave": (COLUMNS, HEIGHT),
        "strip": (COLUMNS, STRIP_HEIGHT),
    }


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


def _disjoint(corpus: Corpus) -> list[str]:
    """Whether train and eval share voices, a sentence per language that is heard."""
    sentences = [item for item in disjointness(corpus.bank).sentence.split(". ") if item]
    return [item for item in sentences if item.split(":")[0] in corpus.langs]


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
        (name.replace("_", " "), number(value) if isinstance(value, float) else str(value))
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
    if 0 < abs(value) < 1e-3:
        return f"{value:.1e}".replace("e-0", "e-")
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:,.0f}"
