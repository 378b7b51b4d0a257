"""The price file, and what calls cost by it: money, or that it is not known, never nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.settings.check import Checks
from jobs.settings.job import BaseJob, JobSettings
from jobs.settings.listen import TranscriptionSettings
from jobs.settings.price import AudioPrice, Money, Price, SpeechPrice
from jobs.settings.speech import SpeechEndpointSettings
from schemas.errors import SettingsError

Counts = Mapping[str, float]  # calls, characters, audio_ms, prompt_tokens, completion_tokens
_P = TypeVar("_P", Price, AudioPrice, SpeechPrice)


class ModelPrice(BaseModel):
    """What a model charges, in the file's currency; which of them apply, its kind decides."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    per_million_characters: Money | None = None
    per_minute: Money | None = None
    input_per_million: Money | None = None
    output_per_million: Money | None = None


class Prices(BaseModel):
    """A price file. What it does not name is said to be unknown, never taken for nothing.

    ``models`` are by the name that the server knows: ``model`` of the job's sections.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    currency: str = "USD"
    gpu_hour: float | None = Field(default=None, ge=0)
    cpu_hour: float | None = Field(default=None, ge=0)
    storage_gb_month: float | None = Field(default=None, ge=0)
    models: dict[str, ModelPrice] = {}


def read_prices(path: Path | None) -> Prices:
    """The price file. Raises SettingsError for one that cannot be read or means nothing."""
    if path is None:
        return Prices()
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Prices.model_validate(document or {})
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SettingsError(
            f"prices {path}: {_why(error)}; wanted YAML with some of currency, gpu_hour, cpu_hour, "
            "storage_gb_month, models"
        ) from error


def with_prices(job: BaseJob, folder: Path) -> BaseJob:
    """The job with the file's prices for models and services that it states none for itself.

    ``folder`` is the job file's. Raises SettingsError for a price that does not fit its model.
    """
    if job.estimate.prices is None:
        return job
    path = folder / job.estimate.prices
    prices = read_prices(path)
    update: dict[str, object] = {}
    if isinstance(job, JobSettings):
        update["models"] = {
            name: item.model_copy(update={"price": _price(Price, item.model, prices, path)})
            if item.price is None
            else item
            for name, item in job.models.items()
        }
        update["backends"] = {
            name: item.model_copy(update={"price": _price(SpeechPrice, item.model, prices, path)})
            if isinstance(item, SpeechEndpointSettings) and item.price is None
            else item
            for name, item in job.backends.items()
        }
    checks = getattr(job, "checks", None)
    if isinstance(checks, Checks):
        update["checks"] = checks.model_copy(
            update={
                part: told.model_copy(
                    update={"price": _price(AudioPrice, told.model, prices, path)}
                )
                for part in ("asr", "second")
                if isinstance(told := getattr(checks, part), TranscriptionSettings)
                and told.price is None
            }
        )
    return job.model_copy(update=update)


def _price(kind: type[_P], model: str, prices: Prices, path: Path) -> _P | None:
    told = prices.models.get(model)
    if told is None:
        return None
    try:
        return kind(**told.model_dump(exclude_none=True), currency=prices.currency)
    except ValidationError as error:
        raise SettingsError(
            f"prices {path}: models.{model}: {_why(error)}; docs/estimate.md says which prices "
            "language models, speech and transcription can have"
        ) from error


def _why(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    told = [
        (".".join(map(str, item["loc"])), item["msg"].removeprefix("Value error, "))
        for item in error.errors()
    ]
    return "; ".join(": ".join(part for part in item if part) for item in told)


def cost(price: Price | None, tokens: Counts) -> float | None:
    """The money for so many tokens of a language model, in the price's currency."""
    if price is None:
        return None
    read, written = tokens.get("prompt_tokens", 0), tokens.get("completion_tokens", 0)
    return (read * price.input_per_million + written * price.output_per_million) / 1e6


def audio_cost(price: AudioPrice | None, counted: Counts) -> float | None:
    """The money for calls that speak or hear, in the price's currency.

    None without a price, and where tokens are charged and nobody has told how many there were.
    """
    if price is None:
        return None
    read, written = counted.get("prompt_tokens", 0), counted.get("completion_tokens", 0)
    if price.by_tokens and counted["calls"] and not read and not written:
        return None
    characters = getattr(price, "per_million_characters", None) or 0.0
    return (
        counted.get("characters", 0) * characters / 1e6
        + counted["audio_ms"] * (price.per_minute or 0.0) / 60_000
        + read * (price.input_per_million or 0.0) / 1e6
        + written * (price.output_per_million or 0.0) / 1e6
    )
