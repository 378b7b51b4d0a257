"""What a corpus will take, from its plan and a sample of its rows; afterwards, the truth beside it.

All of it is of the whole corpus made from nothing, rejections left aside, so an upper guess.
"""

import itertools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from jobs.estimate_audio import AudioCount, counted_before, setting, words
from jobs.guess import Charges, Figure, Guess
from jobs.prices import audio_cost, cost, read_prices
from jobs.rates import is_embedded, rate_of
from jobs.settings.job import BaseJob, JobSettings
from jobs.settings.price import AudioPrice, Price
from jobs.spending import (
    audio_prices,
    figures_of,
    price_of,
)
from pipelines.asking import asking_steps
from pipelines.plan import FLAC_BYTES_PER_S, load_partition
from pipelines.request import Planned
from schemas.errors import StoreError
from schemas.store import Store
from transforms.ask import AskingStep, Estimate
from transforms.step import Step

SAMPLED: Final = 24  # partitions that are read


def estimate(planned: Planned, store: Store, job: BaseJob, folder: Path, workers: int) -> Guess:
    """The guess for a planned build. ``folder`` is the job file's; its prices are filled in."""
    settings = job.estimate
    prices = read_prices(None if settings.prices is None else folder / settings.prices)
    before = _last_run(store)
    rows, turns, asks, audio = _sampled(planned, store)
    speech_s = sum(partition.seconds for partition in planned.plan.partitions)
    size = speech_s * FLAC_BYTES_PER_S
    figures = [
        Figure("rows", "rows", rows, "the plan"),
        Figure("speech", "h", speech_s / 3600, "the letters of the source, before any is cut"),
        Figure("shards", "MB", size / 1e6, f"{FLAC_BYTES_PER_S} bytes a second"),
    ]
    unknown: list[str] = []
    money: list[Figure] = []
    later: set[str] = set()
    for name, guess in asks.items():
        price = price_of(job, name) if isinstance(job, JobSettings) else None
        figures += [
            Figure(f"{name}: calls", "calls", guess.calls, "sampled rows"),
            Figure(f"{name}: tokens read", "tokens", guess.prompt_tokens, "sampled rows"),
            Figure(f"{name}: tokens written", "tokens", guess.completion_tokens, "sampled rows"),
        ]
        money.append(_money(name, price, cost(price, figures_of(guess))))
        if price is None:
            unknown.append(f"{name}: the model has no price; set models.NAME.price")
    for name, counted in audio.items():
        told, charged, why = _audio(name, counted, audio_prices(job).get(name))
        figures += told
        money.append(charged)
        unknown += [why] if why else []
        if charged.unit:  # it has a price: afterwards there may be money
            later.add(charged.name)
    busy_s, needs, times, untimed = _times(planned, job, before, rows, turns)
    figures += times
    unknown += untimed
    charges = Charges(prices, needs)
    wall_s = sum(busy_s.values()) / max(workers, 1)
    gpu_h, cpu_h = charges.hours(busy_s)
    figures += [
        Figure("GPU", "GPU h", gpu_h, "times of steps by their GPUs"),
        Figure("CPU", "core h", cpu_h, "times of steps by their cores"),
        Figure("wall time", "h", wall_s / 3600, f"{max(workers, 1)} workers, models not counted"),
    ]
    for what, per, amount in charges.amounts(busy_s, size):
        if amount:
            paid = charges.money(per, amount)
            money.append(Figure(f"money: {what}", prices.currency, paid, "the price file"))
            if paid is None:
                unknown.append(f"{what}: no price; set {per} in the file estimate.prices names")
    figures += [item for item in money if item.estimate is not None or item.name in later]
    total, basis = _sum(money)
    currencies = {item.unit for item in money if item.estimate is not None} or {prices.currency}
    if len(currencies) > 1:
        unknown.append(
            f"money: prices are in {' and '.join(sorted(currencies))}, which are not added up; "
            "state all in one currency"
        )
    unit = currencies.pop() if len(currencies) == 1 else ""
    figures.append(Figure("money", unit, total, basis))
    return Guess(tuple(figures), tuple(unknown), charges)


def _money(name: str, price: Price | AudioPrice | None, amount: float | None) -> Figure:
    return Figure(f"money: {name}", "" if price is None else price.currency, amount, "its price")


def _audio(
    service: str, counted: Mapping[str, float], price: AudioPrice | None
) -> tuple[list[Figure], Figure, str]:
    """The figures of a service that speaks or hears, the money, and why that is not known."""
    name, sampled = words(service), "sampled rows, first attempts"
    figures = [Figure(f"{name}: calls", "calls", counted["calls"], sampled)]
    if counted["characters"]:
        figures.append(Figure(f"{name}: characters", "characters", counted["characters"], sampled))
    figures.append(Figure(f"{name}: audio", "h", counted["audio_ms"] / 3.6e6, sampled))
    if price is not None and price.by_tokens:
        for key, word in (("prompt_tokens", "read"), ("completion_tokens", "written")):
            basis = "tokens a second of the last run here"
            figures.append(Figure(f"{name}: tokens {word}", "tokens", counted.get(key), basis))
    charged = _money(name, price, audio_cost(price, counted))
    why = ""
    if price is None:
        why = f"{name}: no price; set {setting(service)}.price, or models in the price file"
    elif charged.estimate is None:
        why = (
            f"{name}: it charges tokens, and how many there are of a second of audio is known only "
            "after a run here whose server tells them; a price per_minute can be estimated"
        )
    return figures, charged, why


def _times(
    planned: Planned,
    job: BaseJob,
    before: Mapping[str, Any] | None,
    rows: int,
    turns: float,
) -> tuple[dict[str, float], dict[str, tuple[float, float]], list[Figure], list[str]]:
    """Seconds of the steps that have a rate; cores and GPUs, and figures, of all; what is unknown.

    Seconds are over all rows, of one worker.
    """
    busy_s: dict[str, float] = {}
    needs: dict[str, tuple[float, float]] = {}
    figures: list[Figure] = []
    unknown: list[str] = []
    for step in planned.request.pipeline.memo_steps():
        if isinstance(step, AskingStep):
            continue
        needs[step.name] = (max(step.resources.cpus, 1.0), step.resources.gpus)
        count = rows * turns if step.table == "utterances" else rows
        rate = rate_of(step.name, is_embedded(step), job.estimate.rates, before)
        hours = None
        if rate.seconds_per_row is None:
            unknown.append(f"{step.name}: {rate.basis}")
        else:
            busy_s[step.name] = count * rate.seconds_per_row
            hours = busy_s[step.name] / 3600
        figures.append(Figure(f"{step.name}: time", "h", hours, rate.basis))
    return busy_s, needs, figures, unknown


def _sum(parts: Iterable[Figure]) -> tuple[float | None, str]:
    """The total of what is known, in one currency; None where that cannot be told."""
    found = list(parts)
    told = [item for item in found if item.estimate is not None]
    basis = "what has a price" if len(told) < len(found) else "all of the above"
    if not told or len({item.unit for item in told}) > 1:
        return None, basis
    return sum(item.estimate or 0.0 for item in told), basis


def _last_run(store: Store) -> Mapping[str, Any] | None:
    try:
        value = json.loads(store.get("run.json"))
    except (StoreError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _sampled(
    planned: Planned, store: Store
) -> tuple[int, float, dict[str, Estimate], dict[str, dict[str, float]]]:
    """Rows, turns to be spoken a row, and what models and services are asked for all rows.

    From evenly spaced partitions.
    """
    partitions = planned.plan.partitions
    stride = max(1, len(partitions) // SAMPLED)
    steps: list[Step] = list(asking_steps(planned.request.pipeline, None))
    asks = {step.name: Estimate() for step in steps}
    audio = AudioCount(planned.request.pipeline)
    seen = spoken = 0
    for partition in itertools.islice(partitions, 0, None, stride):
        for row in load_partition(store, partition).to_pylist():
            seen += 1
            spoken += sum(turn["role"] != "system" for turn in row["turns"])
            audio.see(row)
            for step in steps:
                assert isinstance(step, AskingStep)
                asks[step.name] += step.estimate(row)
    rows, before = planned.plan.rows, _last_run(store)
    factor = rows / max(seen, 1)
    whole = {name: guess * factor for name, guess in asks.items()}
    services = {
        name: asked.counted(factor, counted_before(before, name))
        for name, asked in sorted(audio.asked.items())
    }
    return rows, spoken / max(seen, 1), whole, services
