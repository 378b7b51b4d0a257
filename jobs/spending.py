"""Tokens and money: what a build will cost, about, and what it did cost."""

from collections.abc import Mapping
from typing import Any

from jobs.prices import audio_cost, cost
from jobs.recipes.chat import chats_of, models_of
from jobs.recipes.listen import endpoints_of
from jobs.settings.check import Checks
from jobs.settings.job import BaseJob, JobSettings
from jobs.settings.price import AudioPrice, Price
from jobs.settings.speech import SpeechEndpointSettings
from pipelines.asking import BY, COUNTED, HEARING, OF_SOUND, SPEAKING, asked_of
from pipelines.build import Result
from transforms.ask import Estimate

SPEECH, HEARD = "speech", "hearing"  # sections of run.json, of the steps that ask for them


def price_of(job: JobSettings, step: str) -> Price | None:
    """What the model of a step costs, if the job says it."""
    chats = chats_of(job)
    return models_of(job)[chats[step].model].price if step in chats else None


def spending(job: BaseJob, result: Result) -> dict[str, Any]:
    """For run.json: calls and tokens behind the corpus by step, and those of this very run."""
    audio = audio_spending(job, result)
    if not isinstance(job, JobSettings) or not chats_of(job):
        return audio
    calls = {step: spent for step, spent in result.calls.items() if BY not in step}
    steps = {
        step: {**spent, "cost": _rounded(cost(price_of(job, step), spent))}
        for step, spent in sorted(calls.items())
    }
    prices = [price_of(job, step) for step in chats_of(job)]
    # Of this run language models' calls are not told apart: a price only where they have one.
    one = prices[0] if len(set(map(repr, prices))) == 1 else None
    asked = asked_of(result.asked)
    figures: dict[str, Any] = {
        "models": {
            "by_step": steps,
            "asked_now": {**asked, "cost": _rounded(cost(one, asked))},
            "currency": next((price.currency for price in prices if price is not None), None),
        }
    }
    for name in COUNTED:
        figures[f"model_{name}"] = sum(spent.get(name, 0) for spent in calls.values())
    figures["model_calls_of_this_run"] = asked["calls"]
    costs = [spent["cost"] for spent in steps.values() if spent["cost"] is not None]
    if costs and len(costs) == len(steps):
        figures["model_cost"] = _money(sum(costs), prices)
    return {**figures, **audio}


def audio_prices(job: BaseJob) -> dict[str, AudioPrice | None]:
    """What every service that speaks or hears for a job charges, as the ledger names it."""
    found: dict[str, AudioPrice | None] = {}
    if isinstance(job, JobSettings):
        for name, told in job.backends.items():
            if isinstance(told, SpeechEndpointSettings):
                found[f"{SPEAKING}{BY}{name}"] = told.price
    checks = getattr(job, "checks", None)
    if isinstance(checks, Checks):
        for part, ears in endpoints_of(checks):
            found[f"{HEARING}{BY}{part}"] = ears.price
    return found


def audio_spending(job: BaseJob, result: Result) -> dict[str, Any]:
    """For run.json: what was asked of services that speak and hear for this corpus, and its cost.

    ``asked_now`` are the calls of this very run, whichever service they went to.

    ``cost`` is null where a service has no price, or charges tokens that it did not tell.
    """
    figures: dict[str, Any] = {}
    for section, step in ((SPEECH, SPEAKING), (HEARD, HEARING)):
        by: dict[str, dict[str, Any]] = {}
        for name, price in audio_prices(job).items():
            spent = result.calls.get(name)
            if spent is None or not name.startswith(step + BY):
                continue
            counted = {key: spent.get(key, 0) for key in (*COUNTED, *OF_SOUND)}
            by[name.removeprefix(step + BY)] = {
                **counted,
                "cost": _rounded(audio_cost(price, counted)),
                "currency": None if price is None else price.currency,
            }
        if by:
            whole = {k: sum(item[k] for item in by.values()) for k in (*COUNTED, *OF_SOUND)}
            currencies = {item["currency"] for item in by.values()}
            known = len(currencies) == 1 and all(item["cost"] is not None for item in by.values())
            figures[section] = {
                **whole,
                "asked_now": asked_of(result.asked, step),
                "cost": _rounded(sum(item["cost"] for item in by.values())) if known else None,
                "currency": currencies.pop() if known else None,
                "by": by,
            }
    return figures


def estimate_lines(job: JobSettings, estimates: Mapping[str, Estimate]) -> list[str]:
    """For `voxmill plan`: what is still to be asked, by step."""
    lines = []
    for step, guess in estimates.items():
        price = price_of(job, step)
        money = cost(price, figures_of(guess))
        shown = "no price in the job" if money is None else f"about {_money(money, [price])}"
        lines.append(
            f"  {step:<16} about {guess.calls:.0f} calls, {guess.prompt_tokens / 1e3:.0f} k tokens "
            f"read, {guess.completion_tokens / 1e3:.0f} k written, {shown}"
        )
    return lines


def estimate_figures(job: JobSettings, estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    """The same for programs."""
    return {
        step: {
            "calls": round(guess.calls),
            **{name: round(value) for name, value in figures_of(guess).items()},
            "cost": _rounded(cost(price_of(job, step), figures_of(guess))),
        }
        for step, guess in estimates.items()
    }


def figures_of(guess: Estimate) -> dict[str, float]:
    """The tokens of a guess by name."""
    return {
        "prompt_tokens": guess.prompt_tokens,
        "completion_tokens": guess.completion_tokens,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _money(value: float, prices: list[Price | None]) -> str:
    currency = next((price.currency for price in prices if price is not None), "")
    return f"{value:.2f} {currency}" if value >= 0.01 else f"{value:.4f} {currency}"
