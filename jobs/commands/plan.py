"""`voxmill plan`: the DAG, the fingerprints, what would be reused, and a guess of the size."""

import os
from pathlib import Path
from typing import Any

from jobs.commands.plan_voices import expected_voices
from jobs.estimate import estimate
from jobs.guess import Guess, lines
from jobs.prices import with_prices
from jobs.recipes.recipe import request_of
from jobs.recipes.speech import absent_models
from jobs.settings.job import JobSettings
from jobs.settings.jobfile import load_overridden
from jobs.spending import estimate_figures, estimate_lines
from pipelines.preview import Preview, preview
from pipelines.request import state_of
from transforms.cast import Cast
from transforms.step import Fit, Step


def plan_text(
    path: Path, changes: list[str], *, source: str | None, output: str | None, limit: int | None
) -> tuple[str, dict[str, Any]]:
    """The plan for people, and its figures for programs. Nothing is written anywhere."""
    job = load_overridden(path, changes, source=source, output=output)
    job = with_prices(job, path.parent)
    absent: list[str] = []
    request = request_of(job, path.parent, limit=limit, check=False, absent=absent)
    guessed: list[Guess] = []
    workers = job.engine.workers if job.engine.workers is not None else os.cpu_count() or 1
    seen = preview(
        request,
        lambda planned, store: guessed.append(estimate(planned, store, job, path.parent, workers)),
    )
    planned = seen.planned
    figures: dict[str, Any] = {
        "build_id": planned.build_id,
        "published": planned.published,
        "rows": planned.plan.rows,
        "partitions": len(planned.plan.partitions),
        "shards": len(planned.plan.shards),
        "carried_rows": seen.carried,
        "to_fit": list(seen.unfitted),
        "steps": {
            name: {"reused": item.reused, "to_compute": item.missing, "unknown": item.unknown}
            for name, item in seen.steps.items()
        },
        "speech_hours_guess": round(seen.speech_s / 3600, 3),
        "shard_mb_guess": round(seen.shard_bytes / 1e6, 1),
    }
    asks: list[str] = []
    casts = [node for node in request.pipeline.nodes if isinstance(node, Cast)]
    voices = [place for cast in casts for place in expected_voices(cast.bank)]
    figures["voice_shares"] = [place.value for place in voices]
    if isinstance(job, JobSettings):
        figures["asks_guess"] = estimate_figures(job, seen.asks)
        asks = estimate_lines(job, seen.asks)
        figures["models_not_here"] = absent_models(job, path.parent)
        if figures["models_not_here"]:
            asks.append(
                f"  not here: {', '.join(figures['models_not_here'])}; a build wants their files "
                "first (`voxmill doctor JOB` says how), and fingerprints from cast on will differ"
            )
    notes = [f"note: {told}" for told in dict.fromkeys(absent)]
    figures["estimate"] = guessed[0].value()
    told = [*_graph(seen), *_reuse(seen), *(place.line for place in voices), *asks]
    return "\n".join([*told, *lines(guessed[0]), *notes, ""]), figures


def _graph(seen: Preview) -> list[str]:
    pipeline = seen.planned.request.pipeline
    state = state_of(pipeline, seen.planned.pins)
    lines = [f"pipeline {pipeline.name}"]
    reads: dict[str, list[str]] = {}
    for writer, reader, _ in pipeline.edges():
        if writer not in reads.setdefault(reader, []):
            reads[reader].append(writer)
    for node in pipeline.nodes:
        kind = "fit" if isinstance(node, Fit) else node.table
        memo = ", memo" if isinstance(node, Step) and node.memo else ""
        mark = state.fingerprints.get(node.name, "")[:16]
        lines.append(
            f"  {node.name:<16} {kind + memo:<22} {mark:<17} reads {', '.join(reads[node.name])}"
        )
    return lines


def _reuse(seen: Preview) -> list[str]:
    planned = seen.planned
    parent = f"on v{planned.parent['version']:06d}" if planned.parent else "the first snapshot"
    lines = [
        f"build {planned.build_id}, {parent}"
        + ("; it stands already, nothing is to be done" if planned.published else ""),
        f"  {planned.plan.rows} rows in {len(planned.plan.partitions)} partitions, "
        f"{len(planned.plan.shards)} shards"
        + (f"; {seen.carried} rows stand as they are in the parent" if seen.carried else ""),
    ]
    for name, item in seen.steps.items():
        unknown = f", up to {item.unknown} more that depend on these" if item.unknown else ""
        lines.append(f"  {name:<16} {item.reused} reused, {item.missing} to compute{unknown}")
    for name in seen.unfitted:
        lines.append(f"  {name:<16} to be fitted, once the rows before it are there")
    lines.append(
        f"  at most about {seen.speech_s / 3600:.2f} h of speech and {seen.shard_bytes / 1e6:.0f} "
        "MB of shards (a guess from the letters of the source)"
    )
    return lines
