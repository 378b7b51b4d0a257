"""`voxmill diff A B`: what drifted between two snapshots, as text, as a page, as JSON."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jobs.report.data import gather
from jobs.report.drift import Drift, Mixture, Shift, drift_of
from jobs.report.words import fact, number
from jobs.snapshots import Opened

SHOWN: Final = 40


def diff(before: Opened, now: Opened) -> Drift:
    """Compare two snapshots. Raises DamageError."""
    sides = [
        (item.name, item.manifest, gather(item.store, item.manifest, words=True))
        for item in (before, now)
    ]
    return drift_of(sides[0], sides[1])


def as_json(drift: Drift) -> dict[str, Any]:
    """The whole comparison as plain values; a distance that has no number is null."""
    value: dict[str, Any] = _plain(asdict(drift))
    return {"drifted": drift.drifted, "large": drift.of("large"), "some": drift.of("some"), **value}


def print_diff(drift: Drift, console: Console) -> None:
    """What changed, most first; what did not is counted."""
    _sizes(drift, console)
    moved = [item for item in drift.shifts if item.distance.level != "none"]
    if moved:
        console.print(_shifts("measures that drifted", moved))
    console.print(f"{len(drift.shifts) - len(moved)} of {len(drift.shifts)} measures did not drift")
    if drift.by_voice:
        console.print(_shifts("voices whose measures drifted", drift.by_voice))
    for mixture in drift.mixtures:
        if mixture.distance.level != "none":
            console.print(_mixture(mixture))
    for line in _lines(drift):
        console.print(line, soft_wrap=True, highlight=False)
    console.print(
        f"{drift.of('large')} large differences, {drift.of('some')} smaller ones", highlight=False
    )


def _sizes(drift: Drift, console: Console) -> None:
    table = Table(show_header=True)
    for name in ("", "rows", "accepted", "rejected", "failed", "hours", "identity"):
        table.add_column(name, justify="left" if name in ("", "identity") else "right")
    for side in (drift.before, drift.now):
        counts = [f"{side.counts[name]:,}" for name in ("rows", "accepted", "rejected", "failed")]
        name = escape(f"{fact(side.name)} v{side.version}")
        table.add_row(name, *counts, f"{side.hours:.3f}", side.identity[:12])
    console.print(table)


def _shifts(title: str, shifts: Sequence[Shift]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("drift", "measure", "of"):
        table.add_column(name, overflow="fold")  # a name is told whole, however narrow it gets
    for name in ("before", "now", "moved", "PSI", "KS"):
        table.add_column(name, justify="right")
    for item in shifts[:SHOWN]:
        distance = item.distance
        table.add_row(
            distance.level,
            escape(item.name),
            escape(fact(item.on)),
            number(item.before),
            number(item.now),
            "-" if math.isnan(item.moved) else f"{item.moved:+.2f}",
            f"{distance.psi:.3f}",
            f"{distance.ks:.3f}",
        )
    if len(shifts) > SHOWN:
        table.caption = f"and {len(shifts) - SHOWN} more"
    return table


def _mixture(mixture: Mixture) -> Table:
    title = f"{mixture.name}: {mixture.distance.level}, PSI {mixture.distance.psi:.3f}"
    table = Table(title=escape(title), title_justify="left")
    table.add_column("what", overflow="fold")
    for name in ("before", "now", "points"):
        table.add_column(name, justify="right")
    for what, before, now in mixture.rows[:SHOWN]:
        points = f"{100 * (now - before):+.1f}"
        table.add_row(escape(fact(what)), f"{before:.1%}", f"{now:.1%}", points)
    return table


def _lines(drift: Drift) -> Iterator[str]:
    for words, names in (
        ("new reasons", drift.new_reasons),
        ("reasons that are gone", drift.gone_reasons),
        ("measures only before", drift.only_before),
        ("measures only now", drift.only_now),
        ("steps whose fingerprint differs", drift.steps),
    ):
        if names:
            yield escape(f"{words}: {', '.join(map(fact, names))}")
    for item in drift.words:
        yield escape(
            f"words, {fact(item.lang)}: {item.bits:.3f} bits of divergence; more: "
            f"{fact(', '.join(item.more))}; fewer: {fact(', '.join(item.fewer))}"
        )
    for path, before, now in drift.settings:
        yield escape(f"setting {path}: {before or 'none'} -> {now or 'none'}")


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_page(before: Opened, now: Opened, output: Path) -> dict[str, Any]:
    """The report of ``now`` with its drift from ``before``, as one file."""
    from jobs.commands.report import write_report

    return write_report(now, output, before)
