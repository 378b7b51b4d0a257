"""What a build tells: the table for people, the JSON line for programs, run.json for later."""

import os
import platform
import shlex
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from rich.console import Console
from rich.table import Table

from jobs.settings.job import BaseJob
from jobs.spending import spending
from pipelines.asking import BY, HEARING, SPEAKING, asked_of
from pipelines.build import Result
from pipelines.outcome import each_outcome, main_code
from pipelines.telemetry import Telemetry
from schemas.address import OBJECT_SCHEMES, scheme_of
from schemas.snapshot import Manifest, snapshot_path
from schemas.store import Store
from transforms.environment import environment

EXIT_OK, EXIT_GATE, EXIT_USAGE, EXIT_FAILED_ROWS = 0, 1, 2, 3


def json_line(result: Result) -> dict[str, Any]:
    """The keys of --json. Hours are of speech; rows are source rows, computed_rows step rows."""
    manifest = result.manifest
    return {
        "snapshot": snapshot_path(manifest["version"]),
        "identity": manifest["identity"],
        **manifest["counts"],
        "hours": round(speech_s(manifest) / 3600, 4),
        "computed_rows": result.computed,
        "reused_rows": result.reused,
        "carried_rows": result.carried,
        "wall_s": round(result.wall_s, 3),
    }


def run_record(job: BaseJob, result: Result, workers: int) -> dict[str, Any]:
    """run.json: what may differ between two runs of one build, times above all."""
    return {
        **json_line(result),
        "busy_s": {name: round(value, 3) for name, value in result.busy_s.items()},
        "stage_s": {name: round(value, 3) for name, value in result.stage_s.items()},
        "engine": job.engine.name,
        "workers": workers,
        "environment": dict(environment()),
        "build_id": result.manifest["build_id"],
        "settings": result.manifest["settings"],
        "lost": result.lost,
        **spending(job, result),
    }


def host_facts(started: datetime, telemetry: Telemetry) -> dict[str, Any]:
    """For run.json: when, where and with what; what each step did. No setting that is a secret."""
    return {
        "started": started.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": {
            "name": platform.node(),
            "platform": platform.platform(),
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "voxmill": version("voxmill"),
        },
        "steps": telemetry.status()["steps"],
    }


def exit_code(job: BaseJob, manifest: Manifest) -> tuple[int, str]:
    """The exit code, and why it is not 0."""
    counts = manifest["counts"]
    rows = max(counts["rows"], 1)
    if counts["failed"] / rows > job.limits.max_failed_fraction:
        return EXIT_FAILED_ROWS, (
            f"{counts['failed']} of {counts['rows']} rows failed, more than "
            f"limits.max_failed_fraction ({job.limits.max_failed_fraction:g}) allows; see their "
            "errors in the report. Rows that are wrong: correct them in the source and run the "
            "same command; a cause outside of them: mend it and run again with --retry-failed"
        )
    if counts["accepted"] / rows < job.limits.min_accepted_fraction:
        return EXIT_GATE, (
            f"only {counts['accepted']} of {counts['rows']} rows were accepted, under "
            f"limits.min_accepted_fraction ({job.limits.min_accepted_fraction:g}); see the "
            "reasons in the report"
        )
    return EXIT_OK, ""


def speech_s(manifest: Manifest) -> float:
    """Seconds of speech in the shards."""
    return sum(shard["seconds"] for shard in manifest["shards"])


def print_summary(store: Store, result: Result, workers: int, console: Console) -> None:
    """The closing table, and where to look and listen."""
    manifest = result.manifest
    counts, seconds = manifest["counts"], speech_s(manifest)
    table = Table(title=f"snapshot v{manifest['version']:06d}", show_header=False, min_width=48)
    table.add_column(justify="left")
    table.add_column(justify="right")
    table.add_row("rows", str(counts["rows"]))
    table.add_row("accepted", f"{counts['accepted']} ({_percent(counts, 'accepted')})")
    table.add_row("rejected", f"{counts['rejected']} ({_percent(counts, 'rejected')})")
    for code, count in _codes(store, manifest, "rejected"):
        table.add_row(f"  {code}", str(count))
    table.add_row("failed", str(counts["failed"]))
    for code, count in _codes(store, manifest, "failed"):
        table.add_row(f"  {code}", str(count))
    table.add_section()
    table.add_row("hours of speech", f"{seconds / 3600:.3f}")
    _add_calls(table, result)
    if result.unchanged:
        table.add_row("wall time", f"{result.wall_s:.1f} s (it stood already)")
    else:
        factor = result.wall_s / seconds if seconds else float("nan")
        table.add_row("wall time", f"{result.wall_s:.1f} s {_by(workers)}")
        table.add_row(
            "real-time factor", f"{factor:.4f} ({1 / factor:.0f} x real time)" if seconds else "-"
        )
        table.add_section()
        for name, wall_s in result.stage_s.items():
            table.add_row(f"stage: {name}", f"{wall_s:.1f} s")
        table.add_section()
        for name, rows in result.reused.items():
            busy = result.busy_s.get(name, 0.0) / max(workers, 1)
            table.add_row(
                f"step: {name}",
                f"{busy:.1f} s, {result.computed[name]} computed, {rows} reused",
            )
    console.print(table)
    deep = " --deep" if scheme_of(store.uri) in OBJECT_SCHEMES else ""
    typed = shlex.quote(store.uri)  # a folder may have spaces
    console.print(f"identity {manifest['identity']}", soft_wrap=True, highlight=False)
    console.print(
        f"Look and listen:  {store.uri}/report/index.html\n"
        f"One sample:       voxmill inspect {typed} KEY\n"
        f"Check every byte: voxmill verify {typed}{deep}",
        soft_wrap=True,
        highlight=False,
    )


def _add_calls(table: Table, result: Result) -> None:
    """What was asked: of language models, and for speech and transcripts, each by itself."""
    for kind, step in (("model", ""), ("speech", SPEAKING), ("transcript", HEARING)):
        behind = [spent for name, spent in result.calls.items() if name.rpartition(BY)[0] == step]
        if not behind:
            continue
        calls, read, written = asked_of(result.asked, step).values()
        tokens = f" ({read} + {written} tokens)" if read or written or not step else ""
        table.add_row(f"{kind} calls of this run", f"{calls}{tokens}")
        repairs = sum(item["repairs"] for item in behind)
        more = f", {repairs} of them repairs" if not step else ""
        table.add_row(
            f"{kind} calls behind these rows", f"{sum(item['calls'] for item in behind)}{more}"
        )


def _codes(store: Store, manifest: Manifest, state: str) -> list[tuple[str, int]]:
    entry = manifest["rejected"] if state == "rejected" else manifest["failed"]
    return Counter(main_code(row) for row in each_outcome(store, entry)).most_common()


def _by(workers: int) -> str:
    if workers == 0:
        return "in this process"
    return f"with {workers} worker{'s' if workers > 1 else ''}"


def _percent(counts: dict[str, int], key: str) -> str:
    return f"{100 * counts[key] / max(counts['rows'], 1):.1f} %"
