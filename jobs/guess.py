"""A guess of what a corpus takes, figure by figure, and the truth beside it: estimate.json."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from jobs.estimate_audio import words
from jobs.prices import Prices
from jobs.spending import HEARD, SPEECH
from pipelines.asking import BY, HEARING, SPEAKING
from schemas.errors import StoreError
from schemas.snapshot import Manifest
from schemas.store import Store

FILE: Final = "estimate.json"


@dataclass(frozen=True)
class Figure:
    """One guess: ``estimate`` is None where it cannot be told, ``truth`` before the run."""

    name: str
    unit: str
    estimate: float | None
    basis: str
    truth: float | None = None


@dataclass(frozen=True)
class Charges:
    """What machines and storage cost: the prices, and (cores, GPUs) of a worker of each step."""

    prices: Prices
    needs: Mapping[str, tuple[float, float]]

    def hours(self, busy_s: Mapping[str, float]) -> tuple[float, float]:
        """GPU hours and core hours of steps that were at work for so many seconds."""
        known = [
            (seconds, *self.needs[step]) for step, seconds in busy_s.items() if step in self.needs
        ]
        gpu_s = sum(seconds * gpus for seconds, _, gpus in known)
        return gpu_s / 3600, sum(seconds * cpus for seconds, cpus, _ in known) / 3600

    def amounts(self, busy_s: Mapping[str, float], size: float) -> list[tuple[str, str, float]]:
        """What is charged, the key of its price, and how much of it there is."""
        gpu_h, cpu_h = self.hours(busy_s)
        return [
            ("GPU hours", "gpu_hour", gpu_h),
            ("core hours", "cpu_hour", cpu_h),
            ("storage, a month", "storage_gb_month", size / 1e9),
        ]

    def money(self, setting: str, amount: float) -> float | None:
        """What so much of it costs; None without a price."""
        per: float | None = getattr(self.prices, setting)
        return None if per is None else amount * per


@dataclass(frozen=True)
class Guess:
    """Every figure, and what could not be told, with the cure."""

    figures: tuple[Figure, ...]
    not_known: tuple[str, ...]
    charges: Charges | None = None

    def value(self, *, complete: bool = False) -> dict[str, Any]:
        """estimate.json. ``complete``: the truth is of a run that reused nothing."""
        return {
            "figures": [asdict(item) for item in self.figures],
            "not_known": list(self.not_known),
            "complete": complete,
        }


def with_truth(guess: Guess, manifest: Manifest, run: Mapping[str, Any]) -> Guess:
    """The same figures beside what they came to, by the manifest and run.json."""
    size = sum(shard["bytes"] for shard in manifest["shards"])
    truth: dict[str, float | None] = {
        "rows": manifest["counts"]["rows"],
        "speech": sum(shard["seconds"] for shard in manifest["shards"]) / 3600,
        "shards": size / 1e6,
        "wall time": run["wall_s"] / 3600,
    }
    for step, busy_s in run["busy_s"].items():
        truth[f"{step}: time"] = busy_s / 3600
    for step, spent in run.get("models", {}).get("by_step", {}).items():
        truth[f"{step}: calls"] = spent["calls"]
        truth[f"{step}: tokens read"] = spent["prompt_tokens"]
        truth[f"{step}: tokens written"] = spent["completion_tokens"]
        truth[f"money: {step}"] = spent["cost"]
    for section, step in ((SPEECH, SPEAKING), (HEARD, HEARING)):
        for service, spent in run.get(section, {}).get("by", {}).items():
            name = words(f"{step}{BY}{service}")
            truth[f"{name}: calls"] = spent["calls"]
            truth[f"{name}: characters"] = spent["characters"]
            truth[f"{name}: audio"] = spent["audio_ms"] / 3.6e6
            if spent["prompt_tokens"] or spent["completion_tokens"]:  # else: not told
                truth[f"{name}: tokens read"] = spent["prompt_tokens"]
                truth[f"{name}: tokens written"] = spent["completion_tokens"]
            truth[f"money: {name}"] = spent["cost"]
    if guess.charges is not None:
        truth["GPU"], truth["CPU"] = guess.charges.hours(run["busy_s"])
        for what, per, amount in guess.charges.amounts(run["busy_s"], size):
            truth[f"money: {what}"] = guess.charges.money(per, amount)
    figures = [replace(item, truth=truth.get(item.name)) for item in guess.figures]
    parts = [item for item in figures if item.name.startswith("money: ")]
    spent_now = [item.truth for item in parts if item.truth is not None]
    if parts and len(spent_now) == len(parts) and len({item.unit for item in parts}) == 1:
        figures[-1] = replace(figures[-1], truth=sum(spent_now))
    return replace(guess, figures=tuple(figures))


def lines(guess: Guess) -> list[str]:
    """For a terminal."""
    return told_lines(guess.value())


def told_lines(value: Mapping[str, Any]) -> list[str]:
    """The same of what estimate.json holds."""
    shown = []
    for item in value["figures"]:
        guessed, truth = item["estimate"], item["truth"]
        amount = "not known" if guessed is None else _amount(guessed, item["unit"])
        was = "" if truth is None else f"was {_amount(truth, item['unit'])}; "
        shown.append(f"  {item['name']:<24} {amount:<18} {was}by {item['basis']}")
    part = any(item["truth"] is not None for item in value["figures"]) and not value["complete"]
    return [
        "estimate: the whole corpus from nothing, before rejections"
        + ("; the last run did a part of the work" if part else ""),
        *shown,
        *(f"  not known: {item}" for item in value["not_known"]),
    ]


def read_estimate(store: Store) -> dict[str, Any] | None:
    """What estimate.json holds; None where there is none that can be read."""
    try:
        value: dict[str, Any] = json.loads(store.get(FILE))
    except (StoreError, ValueError):
        return None
    return value if isinstance(value, dict) and "figures" in value else None


def _amount(value: float, unit: str) -> str:
    """With its unit; hours that are short as minutes or seconds."""
    if unit == "h" and value < 1 / 60:
        return f"{_number(value * 3600)} s"
    if unit == "h" and value < 2:
        return f"{_number(value * 60)} min"
    return f"{_number(value)} {unit}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
