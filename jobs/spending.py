"""Tokens and money: what a build will cost, about, and what it did cost."""

from collections.abc import Mapping
from typing import Any

from jobs.recipes.chat import chats_of, models_of
from jobs.settings.chat import Price
from jobs.settings.job import JobSettings
from jobs.settings.speech import SpeechEndpointSettings
from pipelines.build import Result
from transforms.ask import Estimate

SPEAKING, SPEECH = "synthesize", "speech"
Tokens = Mapping[str, float]  # prompt_tokens, completion_tokens


def price_of(job: JobSettings, step: str) -> Price | None:
    """What the model of a step costs, if the job says it."""
    chats = chats_of(job)
    return models_of(job)[chats[step].model].price if step in chats else None


def cost(price: Price | None, tokens: Tokens) -> float | None:
    """The money for so many tokens, in the price's currency."""
    if price is None:
        return None
    read, written = tokens.get("prompt_tokens", 0), tokens.get("completion_tokens", 0)
    return (read * price.input_per_million + written * price.output_per_million) / 1e6


def spending(job: JobSettings, result: Result) -> dict[str, Any]:
    """For run.json: calls and tokens behind the corpus by step, and those of this very run."""
    speech = speech_spending(job, result)
    if not chats_of(job):
        return speech
    calls = {step: spent for step, spent in result.calls.items() if step != SPEAKING}
    steps = {
        step: {**spent, "cost": _rounded(cost(price_of(job, step), spent))}
        for step, spent in sorted(calls.items())
    }
    prices = [price_of(job, step) for step in chats_of(job)]
    one = prices[0] if len(set(map(repr, prices))) == 1 else None
    asked = {name: result.asked.get(name, 0) for name in _COUNTED}
    figures: dict[str, Any] = {
        "models": {
            "by_step": steps,
            "asked_now": {**asked, "cost": _rounded(cost(one, asked))},
            "currency": next((price.currency for price in prices if price is not None), None),
        }
    }
    for name in _COUNTED:
        figures[f"model_{name}"] = sum(spent.get(name, 0) for spent in calls.values())
    figures["asked_now_calls"] = asked["calls"]
    costs = [spent["cost"] for spent in steps.values() if spent["cost"] is not None]
    if costs and len(costs) == len(steps):
        figures["model_cost"] = _money(sum(costs), prices)
    return {**figures, **speech}


def speech_spending(job: JobSettings, result: Result) -> dict[str, Any]:
    """For run.json: what was asked of speech endpoints for this corpus, and about what it cost.

    With endpoints at several prices no cost is told: calls do not say which answered.
    """
    prices = {
        repr(told.price): told.price
        for told in job.backends.values()
        if isinstance(told, SpeechEndpointSettings)
    }
    spent = result.calls.get(SPEAKING)
    if not prices or spent is None:
        return {}
    counted = {name: spent.get(name, 0) for name in ("calls", "characters", *_COUNTED[1:])}
    price = next(iter(prices.values())) if len(prices) == 1 else None
    money = None
    if price is not None:
        money = _rounded(
            (
                counted["characters"] * price.per_million_characters
                + counted["prompt_tokens"] * price.input_per_million
                + counted["completion_tokens"] * price.output_per_million
            )
            / 1e6
        )
    currency = None if price is None else price.currency
    return {SPEECH: {**counted, "cost": money, "currency": currency}}


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


_COUNTED = ("calls", "prompt_tokens", "completion_tokens")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _money(value: float, prices: list[Price | None]) -> str:
    currency = next((price.currency for price in prices if price is not None), "")
    return f"{value:.2f} {currency}" if value >= 0.01 else f"{value:.4f} {currency}"
