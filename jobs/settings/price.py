"""What models and services charge. A price changes no byte and is in no manifest."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Money = Annotated[float, Field(ge=0)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Price(_Model):
    """What a million tokens cost."""

    input_per_million: Money
    output_per_million: Money
    currency: str = "USD"


class AudioPrice(_Model):
    """What a service that hears or speaks charges: a minute of audio, or a million tokens."""

    per_minute: Money | None = None
    input_per_million: Money | None = None
    output_per_million: Money | None = None
    currency: str = "USD"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.input_per_million is None) != (self.output_per_million is None):
            raise ValueError(
                "tokens are read and written: state input_per_million and output_per_million, "
                "0 for what is free"
            )
        if all(getattr(self, name) is None for name in type(self).model_fields if name in CHARGED):
            words = [name for name in CHARGED if name in type(self).model_fields]
            raise ValueError(f"a price needs some of {', '.join(words)}; 0 says that it is free")
        return self

    @property
    def by_tokens(self) -> bool:
        """Whether tokens are charged."""
        return self.input_per_million is not None


class SpeechPrice(AudioPrice):
    """What speech costs: also by the characters of the text."""

    per_million_characters: Money | None = None


CHARGED = ("per_million_characters", "per_minute", "input_per_million", "output_per_million")
