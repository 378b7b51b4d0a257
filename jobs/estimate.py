"""What a corpus will take, from its plan and a sample of its rows; afterwards, the truth beside it.

All of it is of the whole corpus made from nothing, rejections left aside, so an upper guess.
"""

import itertools
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.rates import is_embedded, rate_of
from jobs.settings.job import BaseJob, JobSettings
from jobs.spending import cost, figures_of, price_of
from pipelines.asking import asking_steps
from pipelines.plan import FLAC_BYTES_PER_S, load_partition
from pipelines.request import Planned
from schemas.errors import SettingsError, StoreError
from schemas.snapshot import Manifest
from schemas.store import Store
from transforms.ask import AskingStep, Estimate
from transforms.step import Step

FILE: Final = "estimate.json"
SAMPLED: Final = 24  # partitions that are read


class Prices(BaseModel):
    """A price file. What it does not name is said to be unknown, never taken for nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    currency: str = "USD"
    gpu_hour: float | None = Field(default=None, ge=0)
    cpu_hour: float | None = Field(default=None, ge=0)
    storage_gb_month: float | None = Field(default=None, ge=0)


@dataclass(frozen=True)
class Figure:
    """One guess: ``estimate`` is None where it cannot be told, ``truth`` before the run."""

    name: str
    unit: str
    estimate: float | None
    basis: str
    truth: float | None = None


@dataclass(frozen=True)
class Guess:
    """Every figure, and what could not be told, with the cure."""

    figures: tuple[Figure, ...]
    not_known: tuple[str, ...]

    def value(self, *, complete: bool = False) -> dict[str, Any]:
        """estimate.json. ``complete``: the truth is of a run that reused nothing."""
        return {
            "figures": [asdict(item) for item in self.figures],
            "not_known": list(self.not_known),
            "complete": complete,
        }


def read_prices(path: Path | None) -> Prices:
    """The price file. Raises SettingsError for one that cannot be read or means nothing."""
    if path is None:
        return Prices()
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Prices.model_validate(document or {})
    except (OSError, ValueError, yaml.YAMLError) as error:
        why = (
            "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            if isinstance(error, ValidationError)
            else str(error)
        )
        raise SettingsError(
            f"prices {path}: {why}; wanted YAML with some of currency, gpu_hour, cpu_hour, "
            "storage_gb_month"
        ) from error


def estimate(planned: Planned, store: Store, job: BaseJob, folder: Path, workers: int) -> Guess:
    """The guess for a planned build. ``folder`` is the job file's."""
    settings = job.estimate
    prices = read_prices(None if settings.prices is None else folder / settings.prices)
    rows, turns, asks = _sampled(planned, store)
    speech_s = sum(partition.seconds for partition in planned.plan.partitions)
    size = speech_s * FLAC_BYTES_PER_S
    figures = [
        Figure("rows", "rows", rows, "the plan"),
        Figure("speech", "h", speech_s / 3600, "the letters of the source, before any is cut"),
        Figure("shards", "MB", size / 1e6, f"{FLAC_BYTES_PER_S} bytes a second"),
    ]
    unknown: list[str] = []
    money: list[float | None] = []
    for name, guess in asks.items():
        price = price_of(job, name) if isinstance(job, JobSettings) else None
        step_cost = cost(price, figures_of(guess))
        figures += [
            Figure(f"{name}: calls", "calls", guess.calls, "sampled rows"),
            Figure(f"{name}: tokens read", "tokens", guess.prompt_tokens, "sampled rows"),
            Figure(f"{name}: tokens written", "tokens", guess.completion_tokens, "sampled rows"),
        ]
        money.append(step_cost)
        if step_cost is None:
            unknown.append(f"{name}: the model has no price; set models.NAME.price")
    cpu_s, gpu_s, wall_s = 0.0, 0.0, 0.0
    before = _last_run(store)
    for step in planned.request.pipeline.memo_steps():
        if isinstance(step, AskingStep):
            continue
        count = rows * turns if step.table == "utterances" else rows
        rate = rate_of(step.name, is_embedded(step), settings.rates, before)
        if rate.seconds_per_row is None:
            unknown.append(f"{step.name}: {rate.basis}")
            figures.append(Figure(f"{step.name}: time", "h", None, rate.basis))
            continue
        seconds = count * rate.seconds_per_row
        figures.append(Figure(f"{step.name}: time", "h", seconds / 3600, rate.basis))
        cpu_s += seconds * max(step.resources.cpus, 1.0)
        gpu_s += seconds * step.resources.gpus
        wall_s += seconds / max(workers, 1)
    figures += [
        Figure("GPU", "GPU h", gpu_s / 3600, "times of steps by their GPUs"),
        Figure("CPU", "core h", cpu_s / 3600, "times of steps by their cores"),
        Figure("wall time", "h", wall_s / 3600, f"{max(workers, 1)} workers, models not counted"),
    ]
    for what, amount, per_unit, setting in (
        ("GPU hours", gpu_s / 3600, prices.gpu_hour, "gpu_hour"),
        ("core hours", cpu_s / 3600, prices.cpu_hour, "cpu_hour"),
        ("storage, a month", size / 1e9, prices.storage_gb_month, "storage_gb_month"),
    ):
        if amount == 0:
            continue
        money.append(None if per_unit is None else amount * per_unit)
        if per_unit is None:
            unknown.append(f"{what}: no price; set {setting} in the file estimate.prices names")
    told = [item for item in money if item is not None]
    basis = "what has a price" if len(told) < len(money) else "all of the above"
    figures.append(Figure("money", prices.currency, sum(told) if told else None, basis))
    return Guess(tuple(figures), tuple(unknown))


def with_truth(guess: Guess, manifest: Manifest, run: Mapping[str, Any]) -> Guess:
    """The same figures beside what they came to, by the manifest and run.json."""
    models = run.get("models", {}).get("by_step", {})
    truth: dict[str, float] = {
        "rows": manifest["counts"]["rows"],
        "speech": sum(shard["seconds"] for shard in manifest["shards"]) / 3600,
        "shards": sum(shard["bytes"] for shard in manifest["shards"]) / 1e6,
        "wall time": run["wall_s"] / 3600,
    }
    for step, busy_s in run["busy_s"].items():
        truth[f"{step}: time"] = busy_s / 3600
    for step, spent in models.items():
        truth[f"{step}: calls"] = spent["calls"]
        truth[f"{step}: tokens read"] = spent["prompt_tokens"]
        truth[f"{step}: tokens written"] = spent["completion_tokens"]
    figures = tuple(replace(item, truth=truth.get(item.name)) for item in guess.figures)
    return replace(guess, figures=figures)


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


def _last_run(store: Store) -> Mapping[str, Any] | None:
    try:
        value = json.loads(store.get("run.json"))
    except (StoreError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _sampled(planned: Planned, store: Store) -> tuple[int, float, dict[str, Estimate]]:
    """Rows, turns to be spoken a row, and what models are asked, from evenly spaced partitions."""
    partitions = planned.plan.partitions
    stride = max(1, len(partitions) // SAMPLED)
    steps: list[Step] = list(asking_steps(planned.request.pipeline, None))
    asks = {step.name: Estimate() for step in steps}
    seen = spoken = 0
    for partition in itertools.islice(partitions, 0, None, stride):
        for row in load_partition(store, partition).to_pylist():
            seen += 1
            spoken += sum(turn["role"] != "system" for turn in row["turns"])
            for step in steps:
                assert isinstance(step, AskingStep)
                asks[step.name] += step.estimate(row)
    rows = planned.plan.rows
    whole = {name: guess * (rows / max(seen, 1)) for name, guess in asks.items()}
    return rows, spoken / max(seen, 1), whole
